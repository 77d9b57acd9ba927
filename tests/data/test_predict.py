"""Files that a trained model is to judge are opened as the training data were."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from torchwork.data.predict import open_for_prediction
from torchwork.types import InputError

IMAGES = {"inputs": "image", "input_shape": [3, 12, 16], "numbers": [], "categories": []}
TABLE = {"inputs": "table", "input_shape": [3], "numbers": ["size"], "categories": ["colour"]}
ARRAY = {"inputs": "array", "input_shape": [4], "numbers": [], "categories": []}


def test_images_have_the_mode_of_training(make_folder: Callable[..., Path]) -> None:
    root = make_folder({"a": 2})
    files = [root / "a" / "001.png", root / "a" / "000.png"]
    grey = IMAGES | {"input_shape": [1, 12, 16]}
    for data, spec, channels in (
        (IMAGES, {"name": "ImageFolder"}, 3),
        (IMAGES, {"name": "ImageFolder", "mode": "L"}, 1),
        (grey, {"name": "ImageCSV"}, 3),
        (grey, {"name": "Digits"}, 1),
        (IMAGES, {"name": "Arrays"}, 3),
    ):
        source = open_for_prediction(files, data, spec)
        inputs, targets = source.read(np.arange(2), epoch=0)
        assert inputs.shape == (2, channels, 12, 16)
        assert targets is None
        assert source.targets is None
        assert source.name(0) == str(files[0])


@pytest.mark.parametrize("inside", [lambda spec: spec, lambda spec: {"name": "Subset", "source": spec}])
def test_images_have_the_background_of_training(tmp_path: Path, inside: Callable[[Any], Any]) -> None:
    Image.new("RGBA", (3, 2), (9, 9, 9, 0)).save(tmp_path / "a.png")
    for background, level in (("black", 0), ([7, 7, 7], 7), (None, 255)):
        spec = {"name": "ImageFolder"} | ({} if background is None else {"background": background})
        source = open_for_prediction([tmp_path / "a.png"], IMAGES, inside(spec))
        assert source.read(np.arange(1), epoch=0)[0].unique().tolist() == [level]
    rgba = open_for_prediction([tmp_path / "a.png"], IMAGES, inside({"name": "ImageCSV", "mode": "RGBA"}))
    assert rgba.read(np.arange(1), epoch=0)[0][0, :, 0, 0].tolist() == [9, 9, 9, 0]


def test_rows_of_several_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("colour,size\nred,1\nblue,2\n")
    (tmp_path / "b.csv").write_text("size,colour,more\n3,red,x\n")
    source = open_for_prediction([tmp_path / "a.csv", tmp_path / "b.csv"], TABLE, {"name": "Table"})
    assert len(source) == 3
    assert source.name(2).endswith("b.csv row 1")
    inputs, _ = source.read(np.arange(3), epoch=0)
    assert inputs["numbers"][:, 0].tolist() == [1, 2, 3]
    assert inputs["categories"][:, 0].tolist() == ["red", "blue", "red"]


def test_arrays_by_name_or_the_only_one(tmp_path: Path) -> None:
    x = np.arange(8.0).reshape(2, 4)
    np.savez(tmp_path / "a.npz", data=x, y=np.zeros(2))
    np.save(tmp_path / "b.npy", x)
    files = [tmp_path / "a.npz", tmp_path / "b.npy"]
    source = open_for_prediction(files, ARRAY, {"name": "Arrays", "inputs": "data"})
    np.testing.assert_array_equal(source.read(np.arange(4), epoch=0)[0].numpy(), np.concatenate([x, x]))


def _write_idx(path: Path, array: np.ndarray, packed: bool) -> Path:
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte", "new", "new.idx"])
def test_idx_files_are_read_gzipped_or_not_whatever_their_names(tmp_path: Path, name: str, packed: bool) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 7, 5), np.uint8)
    file = _write_idx(tmp_path / (name + (".gz" if packed else "")), images, packed)
    np.savez(tmp_path / "a.npz", x=images)
    source = open_for_prediction(
        [file, tmp_path / "a.npz"], IMAGES | {"input_shape": [1, 7, 5]}, {"name": "Arrays", "path": "mnist"}
    )
    np.testing.assert_array_equal(source.read(np.arange(6), epoch=0)[0].numpy()[:, 0], np.concatenate([images] * 2))
    assert source.name(2) == f"{file} sample 3"


def test_idx_files_of_labels_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    labels = _write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.zeros(3, np.uint8), packed=False)
    assert _code([labels], IMAGES, "Arrays") == "wrong-files"
    cut = tmp_path / "t10k-images-idx3-ubyte.gz"
    cut.write_bytes(_write_idx(cut, np.zeros((3, 7, 5), np.uint8), packed=True).read_bytes()[:-9])
    assert _code([cut], IMAGES, "Arrays") == "bad-idx"
    rows = _write_idx(tmp_path / "rows.idx", np.zeros((3, 4), np.uint8), packed=False)
    assert len(open_for_prediction([rows], ARRAY, {"name": "Arrays"})) == 3


def _code(files: list[Path], data: dict[str, Any], name: str) -> str:
    with pytest.raises(InputError) as caught:
        open_for_prediction(files, data, {"name": name})
    return caught.value.findings[0].code


def test_wrong_files_are_refused(tmp_path: Path, make_folder: Callable[..., Path]) -> None:
    image = make_folder({"a": 1}) / "a" / "000.png"
    table = tmp_path / "a.csv"
    table.write_text("colour,size\nred,1\n")
    assert _code([], IMAGES, "ImageFolder") == "no-files"
    assert _code([tmp_path / "no.png"], IMAGES, "ImageFolder") == "missing-path"
    assert _code([tmp_path], IMAGES, "ImageFolder") == "missing-path"
    assert _code([table], IMAGES, "ImageFolder") == "wrong-files"
    assert _code([image], TABLE, "Table") == "wrong-files"
    assert _code([image, table], IMAGES, "ImageFolder") == "wrong-files"
    assert _code([image], ARRAY, "Arrays") == "wrong-files"
    (tmp_path / "broken.png").write_bytes(b"x")
    assert _code([tmp_path / "broken.png"], IMAGES, "ImageFolder") == "unreadable-images"
    assert _code([table], TABLE | {"numbers": ["size", "weight"]}, "Table") == "missing-column"
    assert _code([table], TABLE | {"numbers": ["colour"]}, "Table") == "not-a-number"
    table.write_text("colour,size\nred,\n")
    assert _code([table], TABLE, "Table") == "missing-cells"
    np.savez(tmp_path / "a.npz", p=np.zeros(2), q=np.zeros(2))
    assert _code([tmp_path / "a.npz"], ARRAY, "Arrays") == "missing-array"
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 8, 8), np.uint8))
    assert _code([tmp_path / "a.npz"], ARRAY, "Arrays") == "wrong-files"
    np.savez(tmp_path / "b.npz", x=np.zeros((2, 9, 9), np.uint8))
    assert _code([tmp_path / "a.npz", tmp_path / "b.npz"], IMAGES, "Arrays") == "unequal-sizes"
