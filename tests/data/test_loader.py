"""Batches are a function of (seed, epoch): whatever the workers, the memory, and where in the epoch one begins."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset

from torchwork.data import resident
from torchwork.data.augment.build import build
from torchwork.data.builtin import Diabetes, Digits, Iris
from torchwork.data.dataset import DatasetSource
from torchwork.data.images import ImageFolder
from torchwork.data.loader import Loader, check_batch_size
from torchwork.data.memory import InMemory, Rows
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.types import Batch, InputError, RunError, Schema, Source

AUGMENTS = [{"name": "RandomCrop", "size": 8, "padding": 2}, {"name": "RandomHorizontalFlip"}]


class Drawing(Dataset[Any]):
    """Draws from all three global generators, and a different number of times for each sample."""

    targets = tuple(index % 3 for index in range(23))

    def __len__(self) -> int:
        return 23

    def __getitem__(self, index: int) -> tuple[dict[str, torch.Tensor], int]:
        drawn = [[random.random(), np.random.rand(), torch.rand(()).item()] for _ in range(index + 1)]
        return {"x": torch.tensor(drawn[-1]), "index": torch.tensor(index)}, index % 3


# A step that changes the images, so that they are not kept where they stand.
PADDED = ({"name": "Pad", "padding": 1}, {"name": "Normalize"})


def _loader(source: Source, *, steps: Any = ({"name": "Normalize"},), augments: Any = (), **options: Any) -> Loader:
    ids = options.pop("indices", np.arange(len(source)))
    target = Target.fit(source.schema, source.targets, {"train": ids}, source.name)
    pipeline = Pipeline(list(steps), source.schema)
    pipeline.dtype = options.pop("dtype", torch.float32)
    pipeline.fit(source, ids)
    return Loader(source, ids, pipeline=pipeline, target=target, augments=build(augments), **options)


def _flat(inputs: Any) -> list[torch.Tensor]:
    return list(inputs.values()) if isinstance(inputs, dict) else [inputs]


def _same(some: Any, others: Any) -> bool:
    def same(one: Batch, other: Batch) -> bool:
        tensors = zip([*_flat(one.inputs), one.target], [*_flat(other.inputs), other.target], strict=True)
        return np.array_equal(one.ids, other.ids) and all(a.dtype == b.dtype and torch.equal(a, b) for a, b in tensors)

    return all(same(one, other) for one, other in zip(some, others, strict=True))


@given(st.integers(1, 40), st.integers(1, 12), st.booleans(), st.booleans(), st.integers(0, 3), st.integers(0, 2))
@settings(deadline=None)
def test_an_epoch_has_every_sample_once_in_batches_of_the_size(
    count: int, size: int, shuffle: bool, drop_last: bool, epoch: int, seed: int
) -> None:
    if drop_last and size > count:
        return
    x = torch.arange(100.0).view(100, 1)
    source = InMemory(x, x.numpy().astype(np.float64), Schema("array", "number", target_names=("t",)))
    ids = np.arange(50, 50 + count)
    loader = _loader(source, steps=(), indices=ids, batch_size=size, shuffle=shuffle, drop_last=drop_last, seed=seed)
    batches = list(loader.batches(epoch))
    assert len(batches) == len(loader) == (count // size if drop_last else -(-count // size))
    assert all(len(batch.ids) == size for batch in batches[:-1])
    seen = np.concatenate([batch.ids for batch in batches])
    assert len(seen) == loader.num_samples == len(set(seen.tolist()))
    np.testing.assert_array_equal(seen, loader.order(epoch)[: len(seen)])
    assert sorted(loader.order(epoch).tolist()) == ids.tolist()
    assert shuffle or loader.order(epoch).tolist() == ids.tolist()
    for batch in batches:
        assert batch.inputs[:, 0].tolist() == batch.ids.tolist() == batch.target[:, 0].tolist()


@given(st.integers(0, 8), st.integers(0, 3), st.booleans())
@settings(deadline=None, max_examples=30)
def test_an_epoch_from_the_middle_is_the_tail_of_the_whole(start: int, epoch: int, resident: bool) -> None:
    source = Digits()
    loader = _loader(
        source, augments=AUGMENTS, indices=np.arange(200), batch_size=32, shuffle=True, seed=1, resident=resident
    )
    assert _same(loader.batches(epoch, start), list(loader.batches(epoch))[start:])


def test_the_order_depends_on_seed_and_epoch() -> None:
    orders = [
        tuple(_loader(Iris(), batch_size=16, shuffle=True, seed=seed).order(epoch).tolist())
        for seed in (0, 1)
        for epoch in (0, 1)
    ]
    assert len(set(orders)) == 4


@pytest.mark.parametrize("make", [Digits, Iris, Diabetes])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_data_kept_in_memory_give_the_same_bytes_as_data_read_anew(
    make: Callable[[], Source], dtype: torch.dtype
) -> None:
    augments = AUGMENTS if make is Digits else []
    ids = np.arange(140)
    for used in ([], augments):
        kept, anew = (
            _loader(make(), augments=used, indices=ids, batch_size=32, shuffle=True, resident=resident, dtype=dtype)
            for resident in (True, False)
        )
        assert kept.resident
        assert not anew.resident
        first = next(kept.batches(0))
        assert first.inputs.dtype == dtype
        assert first.target.dtype == (dtype if make is Diabetes else torch.int64)
        assert _same(kept.batches(2), anew.batches(2))


def test_batches_are_the_same_for_any_number_of_workers(make_folder: Callable[..., Path]) -> None:
    files = ImageFolder(str(make_folder({"a": 9, "b": 8}, suffix="jpg", height=10, width=10)))
    for source, options in (
        (files, {"augments": AUGMENTS, "steps": [{"name": "Resize", "size": [9, 9]}]}),
        (DatasetSource(Drawing()), {"steps": ()}),
    ):
        loaders = [
            _loader(source, batch_size=4, shuffle=True, seed=5, num_workers=workers, resident=False, **options)
            for workers in (0, 1, 3)
        ]
        before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
        for epoch in (0, 1):
            expected = list(loaders[0].batches(epoch))
            for loader in loaders[1:]:
                assert _same(loader.batches(epoch), expected)
                assert _same(loader.batches(epoch, 3), expected[3:])
        after = torch.get_rng_state(), np.random.get_state()[1], random.getstate()
        assert torch.equal(before[0], after[0])
        assert np.array_equal(before[1], after[1])
        assert before[2] == after[2]
        for loader in loaders:
            loader.close()


def test_a_users_data_set_draws_anew_in_each_epoch() -> None:
    loader = _loader(DatasetSource(Drawing()), steps=(), batch_size=23)
    assert not loader.resident
    first, second = next(loader.batches(0)), next(loader.batches(1))
    assert not (first.inputs["x"] == second.inputs["x"]).any()
    assert first.inputs["index"].dtype == torch.int64


def test_a_pass_that_is_left_early_does_not_disturb_the_next() -> None:
    loader = _loader(DatasetSource(Drawing()), steps=(), batch_size=4, shuffle=True, num_workers=2)
    expected = list(loader.batches(1))
    left = loader.batches(0)
    next(left)
    del left
    assert _same(loader.batches(1), expected)
    stale = loader.batches(0)
    next(stale)
    list(loader.batches(1))
    with pytest.raises(RuntimeError, match="another pass"):
        list(stale)
    loader.close()
    with pytest.raises(RuntimeError, match="closed"):
        list(loader.batches(0))


class Dying(Drawing):
    """Ends its worker, or raises, at one sample."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __getitem__(self, index: int) -> Any:
        if index == 13 and torch.utils.data.get_worker_info() is not None:
            if self.how == "killed":
                import os
                import signal

                os.kill(os.getpid(), signal.SIGKILL)
            raise KeyError("lost")
        return super().__getitem__(index)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a socket to the worker is left open
def test_a_worker_that_dies_is_a_run_error_and_a_users_error_names_the_sample() -> None:
    killed = _loader(DatasetSource(Dying("killed")), steps=(), batch_size=4, num_workers=1)
    with pytest.raises(RunError, match="a data worker died while it read sample 13"):
        list(killed.batches(0))
    raising = _loader(DatasetSource(Dying("raises")), steps=(), batch_size=4, num_workers=1)
    with pytest.raises(RunError, match="sample 13 of Dying cannot be read: KeyError: 'lost' "):
        list(raising.batches(0))


def test_wrong_data_in_a_worker_are_an_input_error_with_its_findings(make_folder: Callable[..., Path]) -> None:
    root = make_folder({"a": 3, "b": 3}, height=64, width=64)
    content = bytearray((root / "b" / "001.png").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (root / "b" / "001.png").write_bytes(bytes(content))
    source = ImageFolder(str(root))
    loader = _loader(source, steps=(), batch_size=2, num_workers=1, resident=False)
    with pytest.raises(InputError) as caught:
        list(loader.batches(0))
    assert [finding.code for finding in caught.value.findings] == ["unreadable-images"]
    with pytest.raises(InputError, match=r"b/001.png"):
        _loader(source, steps=(), batch_size=2)


@pytest.mark.parametrize("steps", [(), ({"name": "Normalize"},)])
@pytest.mark.parametrize("make", [Digits, Iris])
def test_no_batch_shares_memory_with_what_is_kept(make: Callable[[], Source], steps: Any) -> None:
    loader = _loader(make(), steps=steps, batch_size=50)
    for batch in loader.batches(0):
        batch.inputs.fill_(-1)
        batch.target.fill_(0)
    assert _same(loader.batches(0), _loader(make(), steps=steps, batch_size=50).batches(0))


def test_batches_stay_as_they_are_while_others_are_made() -> None:
    loader = _loader(Digits(), augments=AUGMENTS, batch_size=50, shuffle=True)
    held = list(loader.batches(0))
    copies = [Batch(batch.inputs.clone(), batch.target.clone(), batch.ids.copy()) for batch in held]
    list(loader.batches(1))
    assert _same(held, copies)


def test_train_is_read_once_for_measuring_and_keeping(make_folder: Callable[..., Path]) -> None:
    source = ImageFolder(str(make_folder({"a": 5, "b": 5})))
    reads: list[int] = []

    class Counting(InMemory):
        def read(self, indices: np.ndarray, **options: Any) -> Any:
            reads.extend(indices.tolist())
            return super().read(indices, **options)

    images, _ = source.read(np.arange(10), epoch=0)
    counting = Counting(images, source.targets, source.schema)
    loader = _loader(counting, steps=PADDED, batch_size=4)
    list(loader.batches(0))
    assert sorted(reads) == [0, *range(10)]  # one sample first, to know the size


@pytest.mark.parametrize(("free", "kept"), [(10**9, True), (1000, False)])
def test_what_does_not_fit_the_budget_is_read_anew(monkeypatch: pytest.MonkeyPatch, free: int, kept: bool) -> None:
    monkeypatch.setattr(resident, "free_memory", lambda device=None: free)
    assert _loader(Digits(), steps=PADDED, batch_size=32).resident is kept


@pytest.mark.parametrize(
    ("ids", "steps", "copied"),
    [
        (np.arange(3, 900), [{"name": "Normalize"}], False),
        (np.arange(3, 900), PADDED, True),
        (np.arange(900)[::-1].copy(), [{"name": "Normalize"}], True),
        (np.delete(np.arange(900), 5), [{"name": "Normalize"}], True),
    ],
)
def test_images_that_stand_in_order_in_memory_are_kept_there(ids: np.ndarray, steps: Any, copied: bool) -> None:
    source = Digits()
    loader = _loader(source, indices=ids, steps=steps, augments=[{"name": "RandomHorizontalFlip"}], batch_size=64)
    assert loader._kept is not None
    shared = loader._kept.untyped_storage().data_ptr() == source.inputs.untyped_storage().data_ptr()
    assert shared is not copied


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_of_images_that_are_kept_where_they_stand_share_nothing(
    monkeypatch: pytest.MonkeyPatch, shuffle: bool
) -> None:
    monkeypatch.setattr("torchwork.data.loader.FINISHED_BYTES", 0)
    source = Digits()
    before = source.inputs.clone()
    first = [batch.inputs.clone() for batch in _loader(source, batch_size=100, shuffle=shuffle).batches(0)]
    loader = _loader(source, batch_size=100, shuffle=shuffle)
    for batch, wanted in zip(loader.batches(0), first, strict=True):
        assert torch.equal(batch.inputs, wanted)
        batch.inputs.fill_(7)
    assert torch.equal(source.inputs, before)
    assert torch.equal(next(iter(loader.batches(0))).inputs, first[0])


def test_batches_of_whole_numbers_of_eight_bits_share_nothing_either() -> None:
    tokens = torch.arange(60, dtype=torch.uint8).view(20, 3)
    source = InMemory(tokens, np.arange(20) % 2, Schema("array", "class"))
    before = tokens.clone()
    for batch in _loader(source, steps=(), batch_size=8).batches(0):
        assert batch.inputs.dtype == torch.uint8
        batch.inputs.fill_(7)
    assert torch.equal(tokens, before)


def test_the_free_memory_is_known() -> None:
    assert resident.free_memory() > 0


def test_images_stay_uint8_in_memory_where_floats_would_be_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchwork.data.loader.FINISHED_BYTES", 0)
    large = _loader(Digits(), batch_size=100)
    assert large._kept is not None
    assert large._kept.dtype == torch.uint8
    monkeypatch.undo()
    assert _same(large.batches(0), _loader(Digits(), batch_size=100).batches(0))


def test_wide_one_hot_columns_are_not_kept_at_full_width(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = np.array([f"level {place % 50}" for place in range(200)], object)[:, None]
    schema = Schema("table", "class", categories=("c",))
    source = Rows(np.empty((200, 0)), texts, np.arange(200) % 2, schema)
    monkeypatch.setattr("torchwork.data.loader.FINISHED_BYTES", 200 * 50 * 4 - 1)
    narrow = _loader(source, steps=(), batch_size=10)
    assert narrow._kept is not None
    assert narrow._kept.shape == (200, 1)
    assert next(narrow.batches(0)).inputs.shape == (10, 50)


def test_samples_without_targets_have_targets_of_width_0() -> None:
    source = InMemory(torch.zeros(5, 2), None, Schema("array", None))
    for kept in (True, False):
        loader = Loader(
            source, np.arange(5), pipeline=Pipeline([], source.schema), target=None, batch_size=2, resident=kept
        )
        assert [tuple(batch.target.shape) for batch in loader.batches(0)] == [(2, 0), (2, 0), (1, 0)]


def test_a_batch_size_over_the_data_is_refused() -> None:
    with pytest.raises(InputError, match=r"data.batch_size: got 11, .* 10 samples"):
        check_batch_size(11, 10)
    with pytest.raises(InputError, match=r"data.batch_size"):
        _loader(Iris(), batch_size=151, drop_last=True)
    assert len(_loader(Iris(), batch_size=151)) == 1


def test_an_exact_resize_lets_jpegs_be_reduced_only_where_the_source_says_so(make_folder: Callable[..., Path]) -> None:
    root = make_folder({"a": 2, "b": 2}, suffix="jpg", height=64, width=64)
    steps = [{"name": "Resize", "size": [16, 16]}]

    def batches(reduced: bool) -> Iterator[Batch]:
        return _loader(ImageFolder(str(root), reduced=reduced), steps=steps, batch_size=4).batches(0)

    full, reduced = next(batches(False)), next(batches(True))
    assert not torch.equal(full.inputs, reduced.inputs)
    assert (full.inputs - reduced.inputs).abs().mean() < 0.02
