"""Packing ahead of time: everything that a run will read, once, and the run reads the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from torchwork import assembly, config, packing
from torchwork.config.sections import CleanConfig
from torchwork.data import resident
from torchwork.data.files import ImageFiles
from torchwork.types import InputError


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    random = np.random.default_rng(0)
    for number in range(30):
        place = tmp_path / "images" / f"class {number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (12 + number % 3, 14, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return config.load(
        {
            "data": {
                "source": {"name": "ImageFolder", "root": str(tmp_path / "images")},
                "transform": [{"name": "Resize", "size": [8, 8]}, {"name": "Normalize", "mean": 0.5, "std": 0.5}],
                "augment": [{"name": "RandomResizedCrop", "size": 8}],
                "batch_size": 4,
            },
            "model": {"name": "MLP", "hidden": [4]},
            "optimizer": "SGD",
        }
    )


def _inputs(settings: config.Config) -> list[bytes]:
    parts = assembly.assemble(settings)
    try:
        loaders = parts.data.loaders.values()
        return [batch.inputs.numpy().tobytes() for loader in loaders for batch in loader.batches(1)]
    finally:
        parts.data.close()


def test_a_run_reads_the_same_bytes_from_packs_without_decoding(settings, monkeypatch):
    settings = settings.model_copy(update={"train": settings.train.model_copy(update={"threads": 1})})
    expected = _inputs(settings)
    told: list[tuple[int, int]] = []
    done = packing.pack(settings, lambda *count: told.append(count))
    assert done.images == 30
    assert told[-1] == (30, 30)
    monkeypatch.setattr(resident, "SHARE", 0.0)
    monkeypatch.setattr(ImageFiles, "decode", lambda *arguments: pytest.fail("decoded again"))
    assert _inputs(settings) == expected


def test_packing_again_decodes_nothing(settings, monkeypatch):
    first = packing.pack(settings)
    monkeypatch.setattr(ImageFiles, "decode", lambda *arguments: pytest.fail("decoded again"))
    assert packing.pack(settings) == first


@pytest.mark.parametrize(("gigabytes", "said"), [(0.0, "means no packs"), (1e-9, "do not fit")])
def test_a_cache_without_room_is_told_before_anything_is_decoded(settings, gigabytes, said):
    data = settings.data.model_copy(update={"cache_gb": gigabytes})
    with pytest.raises(InputError, match=said):
        packing.pack(settings.model_copy(update={"data": data}))


def test_what_is_no_image_file_cannot_be_packed():
    settings = config.load({"data": {"source": "Iris"}, "model": "MLP", "optimizer": "SGD"})
    with pytest.raises(InputError, match="gives no image files"):
        packing.pack(settings)


def test_what_cannot_be_read_is_packed_as_little_as_it_is_trained_on(settings, tmp_path):
    (tmp_path / "images" / "class 0" / "0.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="1 of 30 images cannot be read"):
        packing.pack(settings)
    data = settings.data.model_copy(update={"clean": CleanConfig(unreadable="drop")})
    assert packing.pack(settings.model_copy(update={"data": data})).images == 29
