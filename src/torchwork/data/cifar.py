"""CIFAR10 and CIFAR100 by name, from their binary archives: no pickle is read."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from torchwork.data.download import fetch
from torchwork.data.official import Official, Published, no_files, other_checksums, wrong_labels
from torchwork.types import Finding, InputError

_PIXELS = 3 * 32 * 32
_CHUNK = 1 << 20
_LARGEST = 60_000 * (2 + _PIXELS)  # bytes: all images in one file

_FINE = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""
_COARSE = """
aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2
"""
_TEN = "airplane automobile bird cat deer dog frog horse ship truck"
FINE, COARSE = tuple(_FINE.split()), tuple(_COARSE.split())

_CIFAR10 = Published(
    {"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"}, tuple(_TEN.split())
)
_CIFAR100 = Published(
    {"cifar-100-binary.tar.gz": "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"}, FINE
)


class CIFAR10(Official):
    """60,000 photographs of 32×32 pixels, 10 classes; train and test are the official ones.

    Krizhevsky: "Learning multiple layers of features from tiny images", 2009. A record of the binary files is the label
    and 3072 bytes: red, green, blue, each row by row. Validation samples are cut from train by ``data.split``.

    Args:
        root: The folder with ``cifar-10-binary.tar.gz``, or with what it holds (``data_batch_1.bin`` to
            ``data_batch_5.bin`` and ``test_batch.bin``), also in ``cifar-10-batches-bin``.
        download: Fetch the archive where neither is there; it is checked by its SHA-256.
        url: The address to fetch it from.

    Raises:
        InputError: files that are missing, cannot be fetched, or are no such records.
    """

    def __init__(
        self,
        root: str,
        download: bool = False,
        url: str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    ) -> None:
        train = [f"data_batch_{number}.bin" for number in range(1, 6)]
        found, findings = _contents(
            Path(root), _CIFAR10, "cifar-10-batches-bin", [*train, "test_batch.bin"], download, url
        )
        num_train = sum(len(found[name]) for name in train) // (1 + _PIXELS)
        labels, images = _records(found, {"label": 10}, root)
        super().__init__(images, labels["label"], _CIFAR10.classes, num_train, findings)


class CIFAR100(Official):
    """60,000 photographs of 32×32 pixels, 100 classes in 20 coarse ones; train and test are the official ones.

    Krizhevsky: "Learning multiple layers of features from tiny images", 2009. A record of the binary files is the
    coarse label, the fine label and 3072 bytes: red, green, blue, each row by row. Validation samples are cut from
    train by ``data.split``.

    Args:
        root: The folder with ``cifar-100-binary.tar.gz``, or with what it holds (``train.bin``, ``test.bin``), also in
            ``cifar-100-binary``.
        download: Fetch the archive where neither is there; it is checked by its SHA-256.
        url: The address to fetch it from.
        coarse: Take the 20 coarse classes for targets.

    Attributes:
        annotations: ``fine`` and ``coarse``: the name of each sample's class.

    Raises:
        InputError: files that are missing, cannot be fetched, or are no such records.
    """

    def __init__(
        self,
        root: str,
        download: bool = False,
        url: str = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        coarse: bool = False,
    ) -> None:
        names = ["train.bin", "test.bin"]
        found, findings = _contents(Path(root), _CIFAR100, "cifar-100-binary", names, download, url)
        num_train = len(found["train.bin"]) // (2 + _PIXELS)
        labels, images = _records(found, {"coarse": len(COARSE), "fine": len(FINE)}, root)
        told = {"fine": np.array(FINE, object)[labels["fine"]], "coarse": np.array(COARSE, object)[labels["coarse"]]}
        targets = labels["coarse" if coarse else "fine"]
        super().__init__(images, targets, COARSE if coarse else FINE, num_train, findings, told)


def _contents(
    root: Path, published: Published, folder: str, names: list[str], download: bool, url: str
) -> tuple[dict[str, np.ndarray], list[Finding]]:
    """Return what the binary files hold, unpacked or from the archive, and what is to be told."""
    (archive_name,) = published.files
    for place in (root, root / folder):
        if all((place / name).is_file() for name in names):
            return {name: np.fromfile(place / name, np.uint8) for name in names}, []
    archive = root / archive_name
    if not archive.is_file():
        if not download:
            raise _lacking(root, folder, names, archive_name)
        fetch(root, {archive_name: (url, published.checksum(archive_name))})
    return _unpacked(archive, names), other_checksums(published, {archive_name: archive})


def _lacking(root: Path, folder: str, names: list[str], archive: str) -> InputError:
    some = [name for name in names if (root / name).is_file() or (root / folder / name).is_file()]
    if some:
        lacking = [name for name in names if name not in some]
        return no_files(root, lacking, archive.removesuffix("-binary.tar.gz").upper())
    error = no_files(root, [archive], "the binary version")
    pickles = [path.name for path in sorted(root.glob("cifar-10*")) if "python" in path.name or "-py" in path.name]
    if pickles:
        message = f"{root} holds {', '.join(pickles)}, which are pickles and are not read: they may run any code"
        return InputError(Finding("pickle", "error", "root", message, error.findings[0].fix))
    return error


def _unpacked(archive: Path, names: list[str]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    try:
        with tarfile.open(archive, "r|gz") as members:  # read once, in order
            for member in members:
                name = Path(member.name).name
                content = members.extractfile(member) if name in names and member.isfile() else None
                if content is not None and member.size > _LARGEST:
                    raise tarfile.TarError(f"{name} says that it has {member.size:,} bytes")
                if content is not None:
                    found[name] = np.empty(member.size, np.uint8)
                    for start in range(0, member.size, _CHUNK):  # to read it at once would take its size twice
                        part = content.read(_CHUNK)
                        found[name][start : start + len(part)] = np.frombuffer(part, np.uint8)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        message = f"{archive} cannot be unpacked: {error}"
        fix = "give the archive as it was published"
        raise InputError(Finding("bad-archive", "error", "root", message, fix)) from error
    lacking = [name for name in names if name not in found]
    if lacking:
        message = f"{archive} lacks {', '.join(lacking)}"
        raise InputError(Finding("bad-archive", "error", "root", message, "give the archive as it was published"))
    return found


def _records(
    files: dict[str, np.ndarray], labels: Mapping[str, int], root: str
) -> tuple[dict[str, np.ndarray], Tensor]:
    """Return labels int64 [N] by name and images uint8 [N, 3, 32, 32] of all files, one after the other.

    Args:
        files: What each file holds; emptied on the way, so that no two copies of everything are in memory.
        labels: The labels before the pixels of a record, with their number of classes.
        root: Where the files are, for errors.
    """
    length = len(labels) + _PIXELS
    findings = []
    for name, content in files.items():
        if len(content) % length or not len(content):
            message = f"{name} of {root} has {len(content)} bytes, which are no records of {length}"
            fix = "give the binary version as it was published"
            findings.append(Finding("record-length", "error", "root", message, fix))
    if findings:
        raise InputError(findings)
    images = np.empty((sum(map(len, files.values())) // length, _PIXELS), np.uint8)
    columns: list[np.ndarray] = []
    start = 0
    for name in list(files):
        part = files.pop(name).reshape(-1, length)
        images[start : start + len(part)] = part[:, len(labels) :]
        columns.append(part[:, : len(labels)].astype(np.int64))
        start += len(part)
        for place, (said, num_classes) in enumerate(labels.items()):
            findings += wrong_labels(part[:, place], num_classes, f"{name} of {root} ({said})")
    if findings:
        raise InputError(findings)
    every = np.concatenate(columns)
    return {said: every[:, at].copy() for at, said in enumerate(labels)}, torch.from_numpy(images).view(-1, 3, 32, 32)
