"""Small files of images and tables to read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def real_data() -> Path:
    """The folder of real data, or a skip with the reason."""
    folder = os.environ.get("TORCHWORK_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("TORCHWORK_TEST_DATA names no folder of real data")
    return Path(folder)


def _smooth(seed: int, height: int = 12, width: int = 16) -> np.ndarray:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def smooth() -> Callable[..., np.ndarray]:
    """Make an image whose neighbouring pixels resemble each other, as in a photograph: uint8 [H, W, 3]."""
    return _smooth


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Make class folders with images: ``make_folder({"cat": 3, "dog": 2})``."""

    def make(counts: dict[str, int], under: str = "images", suffix: str = "png", **size: int) -> Path:
        root = tmp_path / under
        for place, (label, count) in enumerate(counts.items()):
            (root / label).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                image = Image.fromarray(_smooth(100 * place + number, **size))
                image.save(root / label / f"{number:03}.{suffix}")
        return root

    return make
