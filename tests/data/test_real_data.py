"""Real files: MNIST as it is shipped, CIFAR-10 as JPEGs, photographs of many sizes."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from torchwork.data.arrays import Arrays
from torchwork.data.images import ImageCSV, ImageFolder
from torchwork.data.transform import Pipeline
from torchwork.types import InputError


def test_mnist_as_it_is_shipped(real_data: Path) -> None:
    source = Arrays(str(real_data / "mnist"))
    assert {part: len(ids) for part, ids in source.given.items()} == {"train": 60000, "test": 10000}
    images, targets = source.read(np.array([0, 69999]), epoch=1)
    assert images.shape == (2, 1, 28, 28)
    assert set(np.unique(source.targets)) == set(range(10))
    levels = source.inputs[:60000].double().mean().item() / 255
    assert abs(levels - 0.1307) < 0.0005  # the mean that everybody uses
    assert len(targets) == 2


def test_cifar_as_jpegs_in_train_and_test(real_data: Path, tmp_path: Path) -> None:
    with tarfile.open(real_data / "cifar10-12k.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    source = ImageFolder(str(tmp_path / "cifar10"))
    assert {part: len(ids) for part, ids in source.given.items()} == {"train": 10000, "test": 2000}
    ids = np.arange(0, 12000, 400)
    images, targets = source.read(ids, epoch=1)
    for image, label, index in zip(images, targets, ids, strict=True):
        path = tmp_path / "cifar10" / source.name(int(index))
        assert path.parent.name == label
        with Image.open(path) as opened:
            np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), np.asarray(opened.convert("RGB")))


def test_photographs_need_a_resize_and_equal_pillows_then(real_data: Path, tmp_path: Path) -> None:
    with tarfile.open(real_data / "photos-200.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "photos"
    images = next(path for path in folder.rglob("*") if path.suffix.lower() == ".jpeg").parent
    source = ImageCSV(str(folder / "annotations.csv"), str(images))
    assert len(source) == 200
    with pytest.raises(InputError, match=r"add .*Resize"):
        Pipeline([], source.schema).check_sizes(source.sizes, source.name)
    pipeline = Pipeline([{"name": "Resize", "size": [64, 80]}], source.schema)
    pipeline.check_sizes(source.sizes, source.name)
    ids = np.arange(0, 200, 20)
    for resized, index in zip(pipeline.prepare(source.read(ids, epoch=1)[0]), ids, strict=True):
        with Image.open(source.paths[index]) as opened:
            expected = np.asarray(opened.convert("RGB").resize((80, 64), Image.Resampling.BILINEAR))
        assert np.abs(resized.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 1
