"""A user's data set: what it draws is a function of (seed, epoch, sample), and its labels keep their meaning."""

from __future__ import annotations

import random
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from torchwork.data.dataset import DatasetSource
from torchwork.data.source import open_source
from torchwork.types import InputError, RunError

Pair = namedtuple("Pair", "x y")


class Items(Dataset[Any]):
    """Items from a list, counting what is asked for."""

    def __init__(self, items: list[Any], **attributes: Any) -> None:
        self.items = items
        self.asked: list[int] = []
        for name, value in attributes.items():
            setattr(self, name, value)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        self.asked.append(index)
        return self.items[index]


class Drawing(Dataset[Any]):
    """Draws from the three global generators."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        drawn = [index, random.random(), np.random.rand(), torch.rand(()).item()]
        return torch.tensor(drawn, dtype=torch.float64), index % 2


def test_what_is_drawn_depends_on_seed_epoch_and_sample_alone() -> None:
    source = DatasetSource(Drawing())
    together, _ = source.read(np.arange(10), epoch=3)
    reversed_, _ = source.read(np.arange(9, -1, -1), epoch=3)
    assert torch.equal(together, reversed_.flip(0))
    other_epoch, _ = source.read(np.arange(10), epoch=4)
    other_seed, _ = source.seeded(1).read(np.arange(10), epoch=3)
    for other in (other_epoch, other_seed):
        assert not (together[:, 1:] == other[:, 1:]).any()
    assert len(together[:, 1:].unique()) == 30


def test_the_global_generators_are_given_back() -> None:
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    expected = random.random(), np.random.rand(), torch.rand(())
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    DatasetSource(Drawing()).read(np.arange(3), epoch=1)
    assert (random.random(), np.random.rand(), torch.rand(())) == expected


def test_the_generators_are_given_back_after_an_error_that_names_the_sample() -> None:
    class Failing(Drawing):
        def __getitem__(self, index: int) -> Any:
            if index == 2:
                raise KeyError("lost")
            return super().__getitem__(index)

    source = DatasetSource(Failing())
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with pytest.raises(RunError, match="sample 2 of Failing cannot be read: KeyError: 'lost' ") as caught:
        source.read(np.arange(4), epoch=1)
    assert isinstance(caught.value.__cause__, KeyError)
    assert torch.equal(torch.get_rng_state(), before)


class Many(Drawing):
    """A data set that gives whole batches, and notes what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[int]] = []

    def __getitems__(self, indices: list[int]) -> list[Any]:
        self.asked.append(list(indices))
        return [self[index] for index in indices]


def test_a_data_set_that_gives_whole_batches_is_asked_for_them() -> None:
    many = Many()
    source = DatasetSource(many)
    many.asked.clear()
    first = source.read(np.array([2, 0, 1]), epoch=1)[0]
    assert many.asked == [[2, 0, 1]]
    assert torch.equal(source.read(np.array([2, 0, 1]), epoch=1)[0], first)
    assert not torch.equal(source.read(np.array([2, 0, 1]), epoch=2)[0], first)


def test_a_subset_of_a_data_set_without_getitems_draws_for_each_sample() -> None:
    alone = DatasetSource(Subset(Drawing(), [1, 2])).read(np.array([1]), epoch=1)[0]
    together = DatasetSource(Subset(Drawing(), [1, 2])).read(np.array([0, 1]), epoch=1)[0]
    assert torch.equal(together[1:], alone)


def test_a_data_set_that_gives_too_few_items_is_told_so() -> None:
    class Few(Drawing):
        def __getitems__(self, indices: list[int]) -> list[Any]:
            return [self[index] for index in indices[: len(indices) // 2 + 1]]

    with pytest.raises(InputError, match="gave 3 items for 4 indices"):
        DatasetSource(Few()).read(np.arange(4), epoch=1)


def _pil(size: tuple[int, int] = (5, 4), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size)


@pytest.mark.parametrize(
    ("x", "shape"),
    [
        (_pil(), (2, 3, 4, 5)),
        (_pil(mode="L"), (2, 1, 4, 5)),
        (_pil(mode="RGBA"), (2, 3, 4, 5)),
        (torch.zeros(3, 4, 5, dtype=torch.uint8), (2, 3, 4, 5)),
        (np.zeros((4, 5), np.uint8), (2, 1, 4, 5)),
        (np.zeros((4, 5, 3), np.uint8), (2, 3, 4, 5)),
    ],
)
def test_images_are_known_by_their_type(x: Any, shape: tuple[int, ...]) -> None:
    source = DatasetSource(Items([(x, 0), (x, 1)]))
    assert source.schema.inputs == "image"
    images, _ = source.read(np.arange(2), epoch=1)
    assert images.shape == shape
    assert images.dtype == torch.uint8


def test_images_of_different_size_are_a_list() -> None:
    source = DatasetSource(Items([(_pil(), 0), (_pil((6, 6)), 1)]))
    assert [image.shape[1:] for image in source.read(np.arange(2), epoch=1)[0]] == [(4, 5), (6, 6)]


@pytest.mark.parametrize(
    ("x", "dtype", "shape"),
    [
        (torch.zeros(3, 4, 5), torch.float32, (2, 3, 4, 5)),
        (np.zeros(7), torch.float64, (2, 7)),
        (1.5, torch.float64, (2,)),
        (torch.zeros(7, dtype=torch.int64), torch.int64, (2, 7)),
    ],
)
def test_all_else_passes_as_torchs_collate_makes_it(x: Any, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    source = DatasetSource(Items([(x, 0), (x, 1)]))
    assert source.schema.inputs == "array"
    inputs, _ = source.read(np.arange(2), epoch=1)
    assert (inputs.dtype, tuple(inputs.shape)) == (dtype, shape)


def test_a_dict_of_tensors_stays_a_dict() -> None:
    item = ({"a": torch.zeros(2), "b": torch.ones(3)}, 0)
    inputs, _ = DatasetSource(Items([item, (item[0], 1)])).read(np.arange(2), epoch=1)
    assert {name: tuple(value.shape) for name, value in inputs.items()} == {"a": (2, 2), "b": (2, 3)}


def test_inputs_that_do_not_stack_are_an_error() -> None:
    with pytest.raises(InputError, match="do not stack"):
        DatasetSource(Items([(torch.zeros(2), 0), (torch.zeros(3), 1)])).read(np.arange(2), epoch=1)


@pytest.mark.parametrize("y", [2, np.int64(2), torch.tensor(2), np.array(2)])
def test_whole_numbers_are_places_among_the_outputs_and_not_renumbered(y: Any) -> None:
    source = DatasetSource(Items([(torch.zeros(1), y), (torch.zeros(1), 4)]))
    assert source.schema.classes == ("0", "1", "2", "3", "4")
    assert source.targets.tolist() == [2, 4]


def test_the_data_sets_own_names_are_used() -> None:
    source = DatasetSource(Subset(Items([(0.0, 0), (0.0, 1), (0.0, 1)], classes=["cat", "dog", "cow"]), [1, 2]))
    assert source.schema.classes == ("cat", "dog", "cow")
    assert source.targets.tolist() == [1, 1]


def test_texts_are_classes_that_train_decides() -> None:
    source = DatasetSource(Items([(0.0, "b"), (0.0, "a")]))
    assert source.schema.target == "class"
    assert source.schema.classes is None
    assert source.targets.tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("y", "width"),
    [(1.5, 1), (np.float32(1.5), 1), (torch.tensor(1.5), 1), (torch.ones(3), 3), (np.ones(2), 2)],
)
def test_floats_are_numbers(y: Any, width: int) -> None:
    source = DatasetSource(Items([(0.0, y), (0.0, y)]))
    assert source.schema.target == "number"
    assert len(source.schema.target_names) == width
    assert source.targets.shape == (2, width)
    assert source.targets.dtype == np.float64


@pytest.mark.parametrize("labels", [[-1, 0], [0, 3]])
def test_labels_out_of_range_are_refused(labels: list[int]) -> None:
    data = Items([(0.0, label) for label in labels], classes=["a", "b", "c"])
    with pytest.raises(InputError, match="out of range"):
        _ = DatasetSource(data).schema


def test_an_identifier_is_no_label() -> None:
    with pytest.raises(InputError, match=r"the label 10+ of sample 1 is out of range"):
        _ = DatasetSource(Items([(0.0, 1), (0.0, 10**12)])).schema


@pytest.mark.parametrize("name", ["targets", "labels"])
@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_listed_targets_save_reading_all_items(name: str, kind: Callable[..., Any]) -> None:
    labels = [index % 3 for index in range(100)]
    data = Items([(0.0, label) for label in labels], **{name: kind(labels)})
    assert DatasetSource(data).targets.tolist() == labels
    assert len(set(data.asked)) <= 3
    assert DatasetSource(Subset(data, range(10, 60))).targets.tolist() == labels[10:60]
    assert len(set(data.asked)) <= 6


def test_listed_targets_that_the_items_contradict_are_not_believed() -> None:
    data = Items([(0.0, index % 3 + 1) for index in range(9)], targets=[index % 3 for index in range(9)])
    assert DatasetSource(data).targets.tolist() == [index % 3 + 1 for index in range(9)]


def test_targets_are_read_once_and_only_when_asked_for() -> None:
    data = Items([(0.0, 0.5)] * 100)
    source = DatasetSource(data)
    assert data.asked == [0]
    assert source.schema.target == "number"
    assert data.asked == [0]
    assert source.targets is source.seeded(5).targets
    assert len(data.asked) == 101


def test_pairs_may_be_lists_or_named() -> None:
    for pair in ([0.0, 1], Pair(0.0, 1)):
        assert DatasetSource(Items([pair, pair])).targets.tolist() == [1, 1]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield 0.0, 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (Stream(), "no __len__ and __getitem__"),
        (None, "NoneType has no __len__"),
        (Items([]), "no samples"),
        (Items([0.0]), "each item must be a pair"),
        (Items([(0.0, 1, 2)]), "a tuple of 3"),
    ],
)
def test_what_is_no_data_set_of_pairs_is_refused(data: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        open_source(data)
    assert caught.value.findings[0].where == "data.source"


def test_a_data_set_by_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
import torch
from torch.utils.data import Dataset, TensorDataset
class Squares(Dataset):
    def __init__(self, count: int, power: int = 2): self.count, self.power = count, power
    def __len__(self): return self.count
    def __getitem__(self, index): return torch.tensor([float(index)]), float(index ** self.power)
def make(count: int): return TensorDataset(torch.zeros(count, 2), torch.arange(count))
ready = make(4)
def nothing(): return None
def lost(): open("/nowhere/at/all")
"""
    (tmp_path / "own_data.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("own_data", None)
    assert open_source({"name": "own_data:Squares", "count": 3, "power": 3}).targets.tolist() == [[0], [1], [8]]
    assert open_source({"name": "own_data:make", "count": 3}).targets.tolist() == [0, 1, 2]
    assert len(open_source({"name": "own_data:ready"})) == 4
    for spec, code, where in (
        ({"name": "own_data:Squares"}, "missing-option", "data.source"),
        ({"name": "own_data:Squares", "count": "x"}, "wrong-type", "data.source.count"),
        ({"name": "own_data:Sqares", "count": 3}, "no-attribute", "data.source"),
        ({"name": "own_data:nothing"}, "not-indexable", "data.source"),
        ({"name": "own_data:lost"}, "cannot-read", "data.source"),
        ({"name": "Irsi"}, "unknown-name", "data.source"),
        ({"name": "ImageFolder", "root": "nowhere"}, "missing-path", "data.source.root"),
        ({"name": "ImageFolder", "root": 3}, "wrong-type", "data.source.root"),
    ):
        with pytest.raises(InputError) as caught:
            open_source(spec)
        assert [(finding.code, finding.where) for finding in caught.value.findings] == [(code, where)]


def test_a_tensor_data_set_is_a_source() -> None:
    source = open_source(TensorDataset(torch.randn(5, 2), torch.arange(5)))
    assert source.schema.classes == tuple("01234")
    assert open_source(source) is source
