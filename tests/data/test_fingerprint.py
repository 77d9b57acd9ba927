"""Equal content has equal fingerprints and other content others, for every kind of samples."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import datasets
from torch.utils.data import TensorDataset

from torchwork.data.builtin import Digits, Iris
from torchwork.data.dataset import DatasetSource
from torchwork.data.fingerprint import fingerprints, of_file
from torchwork.data.images import ImageFolder
from torchwork.data.memory import InMemory, Rows
from torchwork.types import Schema


def _array(values: torch.Tensor) -> InMemory:
    return InMemory(values, None, Schema("array", None))


def _rows(numbers: list[list[float]], categories: list[list[Any]]) -> Rows:
    texts = np.array(categories, object).reshape(len(numbers), -1)
    return Rows(np.array(numbers, float), texts, None, Schema("table", None))


def test_rows_are_equal_exactly_where_their_cells_are() -> None:
    cells = datasets.load_iris().data.astype(np.float32)
    expected = (cells[:, None] == cells[None]).all(-1)
    found = np.array(fingerprints(Iris(), np.arange(150)))
    np.testing.assert_array_equal(found[:, None] == found[None], expected)
    assert expected.sum() == 152  # one pair


def test_images_in_memory_are_equal_exactly_where_their_pixels_are() -> None:
    source = InMemory(torch.cat([Digits().inputs, Digits().inputs[:7]]), None, Schema("image", None))
    found = fingerprints(source, np.arange(len(source)))
    assert found[-7:] == found[:7]
    assert len(set(found)) == len({image.numpy().tobytes() for image in source.inputs})


def test_files_have_the_digest_of_their_bytes_whatever_their_names(make_folder: Callable[..., Path]) -> None:
    root = make_folder({"cat": 4, "dog": 4})
    shutil.copy(root / "cat" / "000.png", root / "dog" / "again.jpg")
    source = ImageFolder(str(root))
    found = fingerprints(source, np.arange(len(source)))
    expected = [hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in source.paths]
    assert found == expected
    assert len(set(found)) == len(found) - 1
    some = np.array([8, 0, 3])
    assert fingerprints(source, some) == [expected[place] for place in some]


def test_a_pipe_that_nobody_writes_to_has_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert of_file(tmp_path / "pipe.png") is None


def test_a_file_that_is_gone_has_none(make_folder: Callable[..., Path]) -> None:
    source = ImageFolder(str(make_folder({"cat": 2, "dog": 2})))
    source.paths[1].unlink()
    found = fingerprints(source, np.arange(4))
    assert [bool(digest) for digest in found] == [True, False, True, True]


def test_shape_and_type_belong_to_the_content() -> None:
    zeros = [_array(torch.zeros(1, 4)), _array(torch.zeros(1, 2, 2)), _array(torch.zeros(1, 4, dtype=torch.int32))]
    assert len({fingerprints(source, np.arange(1))[0] for source in zeros}) == 3


def test_missing_numbers_are_equal_and_so_are_the_zeros() -> None:
    odd_nan = torch.tensor([[0x7FC00001]], dtype=torch.int32).view(torch.float32)
    source = _array(torch.cat([odd_nan, torch.tensor([[float("nan")], [0.0], [-0.0]])]))
    nan, again, zero, negative = fingerprints(source, np.arange(4))
    assert (nan == again, zero == negative, nan == zero) == (True, True, False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["a", "bc"], ["ab", "c"]),
        (["a", None], ["a", "None"]),
        (["a", ""], ["a", None]),
        (["a'", "b"], ["a", "'b"]),
    ],
)
def test_cells_do_not_run_into_each_other(one: list[Any], other: list[Any]) -> None:
    source = _rows([[1], [1], [1]], [one, other, one])
    first, second, third = fingerprints(source, np.arange(3))
    assert first == third != second


def test_numbers_and_categories_both_count() -> None:
    source = _rows([[1, 2], [1, 3], [1, 2]], [["x"], ["x"], ["y"]])
    assert len(set(fingerprints(source, np.arange(3)))) == 3


class Texts:
    """Texts as a source gives them."""

    schema, targets, given, faults, annotations = Schema("text", None), None, None, (), {}

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def name(self, index: int) -> str:
        return f"line {index + 1}"

    def read(self, indices: np.ndarray, *, epoch: int, size: tuple[int, int] | None = None) -> tuple[list[str], None]:
        return [self.texts[index] for index in indices], None


class Sounds(Texts):
    """Sounds of any length."""

    def read(self, indices: np.ndarray, *, epoch: int, size: tuple[int, int] | None = None) -> tuple[Any, None]:
        return [torch.tensor([float(ord(letter)) for letter in self.texts[index]]) for index in indices], None


@pytest.mark.parametrize("kind", [Texts, Sounds])
def test_texts_and_sounds_of_any_length(kind: type[Texts]) -> None:
    texts = ["free money", "free money ", "", "free money", "frée", "\ud800"]
    found = fingerprints(kind(texts), np.arange(6))
    assert found[0] == found[3]
    assert len(set(found)) == 5


def test_a_batch_of_another_size_changes_nothing() -> None:
    source = Texts([str(number % 7000) for number in range(9000)])
    found = fingerprints(source, np.arange(9000))
    assert found[5000:5003] == fingerprints(source, np.array([5000, 5001, 5002]))
    assert len(set(found)) == 7000


def test_a_users_data_set_has_none_as_it_may_draw_anew() -> None:
    source = DatasetSource(TensorDataset(torch.zeros(5, 2), torch.arange(5)))
    assert fingerprints(source, np.arange(5)) == [""] * 5


def test_a_source_made_of_others_gives_its_own() -> None:
    class Reversed(Texts):
        def fingerprints(self, indices: np.ndarray) -> list[str]:
            return [f"own {index}" for index in indices]

    assert fingerprints(Reversed(["a", "b"]), np.array([1])) == ["own 1"]
