"""The data of the jobs: one folder for each seed, from which every contender reads the same samples and weights."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np


def lenet(data: Path, to: Path, *, samples: int, judged: int, epochs: int) -> Path:
    """Make arrays of MNIST: the first ``samples`` to learn from, ``judged`` of its test set to judge by."""
    (x, y), (vx, vy) = (mnist(data / "mnist", part) for part in ("train", "t10k"))
    arrays = {"x_train": x[:samples], "y_train": y[:samples], "x_val": vx[:judged], "y_val": vy[:judged]}
    return _written(to, arrays, {"name": "LeNet", "image_size": 28}, epochs)


def mlp(to: Path, *, samples: int, epochs: int) -> Path:
    """Make 16 normal numbers a sample, and a class that three hyperplanes decide."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((samples, 16)).astype(np.float32)
    y = (x @ generator.standard_normal((16, 3)) > 0).astype(np.int64) @ np.array([1, 2, 4])
    return _written(to, {"x_train": x, "y_train": y}, {"name": "MLP", "hidden": [64, 64]}, epochs)


def cifar(data: Path, to: Path, *, a_class: int) -> Path:
    """Unpack the first ``a_class`` JPEG files of each class of CIFAR-10's training part into class folders."""
    folder = to / "cifar10"
    if folder.is_dir():
        return folder
    partial = to / "cifar10-partial"
    shutil.rmtree(partial, ignore_errors=True)
    kept: dict[str, int] = {}
    with tarfile.open(data / "cifar10-12k.tar.gz") as archive:
        for member in archive:
            path = Path(member.name)
            if not member.isfile() or path.parts[-3:-2] != ("train",) or kept.get(path.parts[-2], 0) >= a_class:
                continue
            kept[path.parts[-2]] = kept.get(path.parts[-2], 0) + 1
            target = partial / path.parts[-2] / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.extractfile(member).read())  # type: ignore[union-attr]
    partial.rename(folder)
    return folder


def _written(to: Path, arrays: dict[str, np.ndarray], model: dict[str, Any], epochs: int) -> Path:
    """Write a seed's folder, whose name ends in the seed: arrays, order of each epoch, first weights."""
    if (to / "start.pt").is_file():
        return to
    import torch
    from benchmarks.contenders import ours
    from benchmarks.contenders.work import Work

    from torchwork import assembly, rng
    from torchwork.config import loading

    to.mkdir(parents=True, exist_ok=True)
    np.savez(to / "data.npz", **arrays)
    (to / "model.json").write_text(json.dumps(model))
    count, seed = len(arrays["x_train"]), int(to.name.rpartition("-")[2])
    np.save(to / "orders.npy", np.stack([rng.permutation(count, seed, "order", epoch) for epoch in range(epochs)]))
    parts = assembly.assemble(loading.load(ours.config(Work(to, 8, 1e-3))))
    order = parts.data.loaders["train"].order(0)
    assert (order == np.load(to / "orders.npy")[0]).all(), "the order of a run is another than that of its peers"
    classes = len(parts.task.classes)
    shapes = {"num_classes": classes} if "x_val" in arrays else {"in_features": 16, "out_features": classes}
    (to / "shapes.json").write_text(json.dumps(shapes))
    torch.save(parts.model.state_dict(), to / "start.pt")
    parts.data.close()
    return to


def mnist(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for kind, header in (("images-idx3", 16), ("labels-idx1", 8)):
        raw = gzip.decompress((folder / f"{part}-{kind}-ubyte.gz").read_bytes())
        found.append(np.frombuffer(raw, np.uint8, offset=header))
    return found[0].reshape(-1, 28, 28), found[1].astype(np.int64)
