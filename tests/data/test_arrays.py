"""Arrays of .npz and IDX files: shapes, splits, and headers that do not fit."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from torchwork.data.arrays import Arrays, as_inputs
from torchwork.data.idx import OFFICIAL, read_idx
from torchwork.types import InputError

RANDOM = np.random.default_rng(0)


def _idx(array: np.ndarray, type_byte: int) -> bytes:
    return bytes([0, 0, type_byte, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def _code(make: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        make()
    finding = caught.value.findings[0]
    return finding.code, finding.where


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((6, 9, 7), (6, 1, 9, 7)),
        ((6, 9, 7, 3), (6, 3, 9, 7)),
        ((6, 9, 7, 1), (6, 1, 9, 7)),
        ((6, 3, 9, 7), (6, 3, 9, 7)),
    ],
)
def test_uint8_arrays_are_images(tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    x = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(6) % 2)
    source = Arrays(str(tmp_path / "a.npz"))
    assert source.schema.inputs == "image"
    images, targets = source.read(np.arange(6), epoch=1)
    assert images.shape == expected
    assert targets.tolist() == [0, 1, 0, 1, 0, 1]
    pixel = images[2, -1, 5, 4].item()
    assert pixel == (x[2, 5, 4] if x.ndim == 3 else x[2, -1, 5, 4] if shape[1] == 3 else x[2, 5, 4, -1])


@pytest.mark.parametrize(
    ("dtype", "whole", "expected"),
    [
        ("float64", False, torch.float64),
        ("float32", False, torch.float32),
        ("float16", False, torch.float32),
        ("int64", False, torch.float32),
        ("int16", True, torch.int64),
        ("uint8", False, torch.float32),
        ("bool", False, torch.float32),
    ],
)
def test_other_arrays_become_floats(tmp_path: Path, dtype: str, whole: bool, expected: torch.dtype) -> None:
    x = RANDOM.integers(0, 2, (4, 5)).astype(dtype)
    np.savez(tmp_path / "a.npz", x=x, y=np.array(["b", "a", "b", "a"]))
    source = Arrays(str(tmp_path / "a.npz"), whole=whole)
    assert source.schema.inputs == "array"
    inputs, targets = source.read(np.array([3, 0]), epoch=1)
    assert inputs.dtype == expected
    np.testing.assert_array_equal(inputs.numpy(), x[[3, 0]])
    assert targets.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("y", "kind", "expected"),
    [
        ([0.5, 1.5, 2.5, 3.5], None, "number"),
        ([0.0, 1.0, 0.0, 1.0], None, "class"),
        ([0, 1, 2, 3], None, "class"),
        ([0, 1, 2, 3], "number", "number"),
        ([[0.0, 1], [2, 3], [4, 5], [6, 7]], None, "number"),
    ],
)
def test_the_kind_of_targets(tmp_path: Path, y: list[object], kind: str | None, expected: str) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2)), y=np.array(y))
    source = Arrays(str(tmp_path / "a.npz"), kind=kind)
    assert source.schema.target == expected
    if expected == "number":
        np.testing.assert_array_equal(source.targets, np.array(y, float).reshape(4, -1))
        assert len(source.schema.target_names) == source.targets.shape[1]


def test_arrays_by_split_are_given(tmp_path: Path) -> None:
    x = RANDOM.normal(size=(6, 2))
    y = np.arange(6) % 3
    np.savez(
        tmp_path / "a.npz", data_train=x[:4], label_train=y[:4], data_valid=x[4:5], label_valid=y[4:5], rest=np.ones(1)
    )
    source = Arrays(str(tmp_path / "a.npz"), inputs="data", target="label")
    assert {part: ids.tolist() for part, ids in source.given.items()} == {"train": [0, 1, 2, 3], "val": [4]}
    np.testing.assert_array_equal(source.read(np.arange(5), epoch=1)[0].numpy(), x[:5])


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dotted", [True, False])
def test_the_four_official_files_give_train_and_test(tmp_path: Path, packed: bool, dotted: bool) -> None:
    arrays = {}
    for part, count in (("train", 7), ("test", 3)):
        pair = (RANDOM.integers(0, 256, (count, 4, 5), dtype=np.uint8), (np.arange(count) % 2).astype(np.uint8))
        arrays[part] = pair
        for name, array in zip(OFFICIAL[part], pair, strict=True):
            content, name = _idx(array, 8), name.replace("-idx", ".idx") if dotted else name
            path = tmp_path / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(content) if packed else content)
    source = Arrays(str(tmp_path))
    assert {part: len(ids) for part, ids in source.given.items()} == {"train": 7, "test": 3}
    images, targets = source.read(source.given["test"], epoch=1)
    np.testing.assert_array_equal(images[:, 0].numpy(), arrays["test"][0])
    np.testing.assert_array_equal(targets, arrays["test"][1])


@pytest.mark.parametrize(
    ("type_byte", "dtype"), [(8, "u1"), (9, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
def test_every_type_of_idx_is_read_in_the_order_of_the_machine(tmp_path: Path, type_byte: int, dtype: str) -> None:
    array = RANDOM.integers(0, 100, (3, 2, 2)).astype(dtype)
    (tmp_path / "a-idx3-ubyte").write_bytes(_idx(array, type_byte))
    found = read_idx(tmp_path / "a-idx3-ubyte")
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)


def test_one_idx_file_with_its_labels(tmp_path: Path) -> None:
    (tmp_path / "x.idx").write_bytes(_idx(np.zeros((2, 3, 3), np.uint8), 8))
    (tmp_path / "y.idx").write_bytes(_idx(np.array([0, 1], np.uint8), 8))
    assert len(Arrays(str(tmp_path / "x.idx"), labels=str(tmp_path / "y.idx"))) == 2
    assert _code(lambda: Arrays(str(tmp_path / "x.idx"))) == ("no-labels", "labels")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\1\0\x08\1",
        b"\0\0\x07\1\0\0\0\1a",
        b"\0\0\x08\0",
        b"\0\0\x08\3\0\0\0\1",
        _idx(np.zeros((2, 3, 3), np.uint8), 8)[:-1],
        _idx(np.zeros((2, 3, 3), np.uint8), 8) + b"x",
        gzip.compress(_idx(np.zeros((2, 3, 3), np.uint8), 8), mtime=0)[:-9],
    ],
)
def test_an_idx_file_that_does_not_fit_its_header_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.idx").write_bytes(content)
    assert _code(lambda: read_idx(tmp_path / "x.idx"))[0] == "bad-idx"


def test_what_is_wrong_with_arrays_is_said(tmp_path: Path) -> None:
    path = str(tmp_path / "a.npz")
    good = {"x": np.zeros((2, 3)), "y": np.arange(2)}
    assert _code(lambda: Arrays(path)) == ("missing-path", "path")
    assert _code(lambda: Arrays(str(tmp_path))) == ("missing-path", "path")
    for change, code, where in (
        ({"y": np.arange(3)}, "unequal-counts", "path"),
        ({"x": np.zeros((0, 3)), "y": np.arange(0)}, "no-samples", "path"),
        ({"y": np.zeros(2, int)}, "one-class", "target"),
        ({"x": np.array([[1.0, np.nan], [0, 1]])}, "missing-cells", "inputs"),
        ({"x": np.array([["a"], ["b"]])}, "not-a-number", "inputs"),
    ):
        np.savez(path, **(good | change))
        assert _code(lambda: Arrays(path)) == (code, where)
    np.savez(path, **good)
    assert _code(lambda: Arrays(path, inputs="data")) == ("missing-array", "inputs")
    assert _code(lambda: Arrays(path, target="label")) == ("missing-array", "target")
    np.savez(path, x=good["x"], y=np.array(["a", "b"]))
    assert _code(lambda: Arrays(path, kind="number")) == ("not-a-number", "target")
    np.savez(path, x=good["x"], y=np.array([0.5, 1.5]))
    assert _code(lambda: Arrays(path, kind="class")) == ("no-classes", "target")
    np.savez(path, x=np.array([{}, {}], object), y=good["y"])
    assert _code(lambda: Arrays(path)) == ("unreadable-arrays", "path")
    Path(path).write_bytes(b"hello")
    assert _code(lambda: Arrays(path)) == ("unreadable-arrays", "path")


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 3, 4, 4), (2, 4, 4, 3), (2, 5)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64])
def test_read_only_arrays_are_copied_without_a_warning_and_others_shared(
    shape: tuple[int, ...], dtype: type[np.generic]
) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    locked = np.frombuffer(array.tobytes(), dtype).reshape(shape)
    for whole in (False, True):
        expected, is_image = as_inputs(array, whole=whole)
        found, same = as_inputs(locked, whole=whole)  # a warning is an error in tests
        assert is_image == same
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert not np.shares_memory(found.numpy(), locked)
    if dtype in (np.float32, np.float64):
        assert np.shares_memory(as_inputs(array)[0].numpy(), array)
