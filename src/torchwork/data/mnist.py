"""MNIST and FashionMNIST by name, from their official files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from torchwork.data import idx
from torchwork.data.download import fetch
from torchwork.data.official import Official, Published, no_files, other_checksums, wrong_labels
from torchwork.types import Finding, InputError

_SIDE = 28

_MNIST = Published(
    {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    tuple("0123456789"),
)
_FASHION = Published(
    {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


class MNIST(Official):
    """70,000 handwritten digits as grey images of 28×28 pixels, 10 classes; train and test are the official ones.

    LeCun, Bottou, Bengio, Haffner: "Gradient-based learning applied to document recognition", 1998. Validation samples
    are cut from train by ``data.split``.

    Args:
        root: The folder with the four official files (``train-images-idx3-ubyte`` and so on), gzipped or not, or with
            them in ``MNIST/raw``, where torchvision puts them.
        download: Fetch the files that are not there; they are checked by their published SHA-256.
        url: The address of the folder to fetch them from.

    Raises:
        InputError: files that are missing, cannot be fetched, are damaged or no MNIST.
    """

    def __init__(
        self, root: str, download: bool = False, url: str = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    ) -> None:
        super().__init__(*_read(Path(root), "MNIST", _MNIST, download, url))


class FashionMNIST(Official):
    """70,000 articles of clothing as grey images of 28×28 pixels, 10 classes; train and test are the official ones.

    Xiao, Rasul, Vollgraf: "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017.
    Validation samples are cut from train by ``data.split``.

    Args:
        root: The folder with the four official files (``train-images-idx3-ubyte`` and so on), gzipped or not, or with
            them in ``FashionMNIST/raw``, where torchvision puts them.
        download: Fetch the files that are not there; they are checked by their SHA-256.
        url: The address of the folder to fetch them from.

    Raises:
        InputError: files that are missing, cannot be fetched, are damaged or no FashionMNIST.
    """

    def __init__(
        self,
        root: str,
        download: bool = False,
        url: str = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ) -> None:
        super().__init__(*_read(Path(root), "FashionMNIST", _FASHION, download, url))


def _read(
    root: Path, title: str, published: Published, download: bool, url: str
) -> tuple[torch.Tensor, np.ndarray, tuple[str, ...], int, list[Finding]]:
    """Return images, targets, classes, how many are for training, and what is to be told of the files."""
    found = _files(root, title)
    lacking = [name for name, path in found.items() if path is None]
    if lacking and download:
        fetch(root, {name: (f"{url.rstrip('/')}/{name}", published.checksum(name)) for name in lacking})
        found = _files(root, title)
    elif lacking:
        raise no_files(root, lacking, title)
    paths = {name: path for name, path in found.items() if path is not None}
    arrays = {name: idx.read_idx(path, "root") for name, path in paths.items()}
    images = [arrays[f"{part}-images-idx3-ubyte.gz"] for part in ("train", "t10k")]
    labels = [arrays[f"{part}-labels-idx1-ubyte.gz"] for part in ("train", "t10k")]
    for part, x, y in zip(("train", "test"), images, labels, strict=True):
        _check(x, y, f"{root} ({part})", title)
    told = other_checksums(published, {name: path for name, path in paths.items() if path.name == name})
    inputs = torch.from_numpy(np.concatenate(images)[:, None])
    return inputs, np.concatenate(labels).astype(np.int64), published.classes, len(labels[0]), told


def _files(root: Path, title: str) -> dict[str, Path | None]:
    """Return where each official file is, gzipped or not; None where it is not."""
    names = [name for both in idx.OFFICIAL.values() for name in both]
    return {f"{name}.gz": idx.find(root, name) or idx.find(root / title / "raw", name) for name in names}


def _check(images: np.ndarray, labels: np.ndarray, where: str, title: str) -> None:
    findings = []
    if images.dtype != np.uint8 or images.shape[1:] != (_SIDE, _SIDE):
        message = f"the images in {where} are {images.dtype} of shape {list(images.shape)}, not uint8 [N, 28, 28]"
        findings.append(Finding("wrong-shape", "error", "root", message, f"give {title}'s own, or use Arrays"))
    if labels.dtype.kind not in "ui" or labels.ndim != 1 or len(labels) != len(images) or len(labels) == 0:
        message = f"{where} has {len(images)} images and labels {labels.dtype} of shape {list(labels.shape)}"
        findings.append(Finding("unequal-counts", "error", "root", message, "give one label for each image"))
    elif not findings:
        findings += wrong_labels(labels, 10, where)
    if findings:
        raise InputError(findings)
