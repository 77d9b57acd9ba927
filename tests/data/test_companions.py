"""Batches of pairs and triplets: every sample once an anchor, the same bytes however they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from torchwork.data.augment.build import build
from torchwork.data.builtin import Diabetes, Digits
from torchwork.data.dataset import DatasetSource
from torchwork.data.loader import Loader
from torchwork.data.pairs import companions, read_pairs
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.types import Batch, InputError, Source

AUGMENTS = [{"name": "RandomCrop", "size": 8, "padding": 2}, {"name": "RandomHorizontalFlip"}]
IDS = np.arange(100, 190)


class Pictures(Dataset[Any]):
    """Tensors by name, which draw."""

    targets = tuple(index % 3 for index in range(200))

    def __len__(self) -> int:
        return 200

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], int]:
        return {"x": torch.tensor([index, torch.rand(()).item()]), "id": torch.tensor(index)}, index % 3


def _loader(source: Source, kind: Any, *, drawn: Any = None, augments: Any = (), **options: Any) -> Loader:
    target = Target.fit(source.schema, source.targets, {"train": IDS}, source.name)
    if drawn is None:
        drawn = companions(kind, target.encode(source.targets[IDS]).numpy(), IDS, 5)
    return Loader(
        source,
        IDS,
        pipeline=Pipeline([], source.schema),
        target=target,
        augments=build(augments),
        companions=drawn,
        **{"batch_size": 16, "shuffle": True, "seed": 5} | options,
    )


def _same(some: Any, others: Any) -> bool:
    def same(one: Batch, other: Batch) -> bool:
        left, right = ({"": x} if isinstance(x, Tensor) else x for x in (one.inputs, other.inputs))
        inputs = all(torch.equal(left[name], right[name]) for name in left)
        return inputs and torch.equal(one.target, other.target) and np.array_equal(one.ids, other.ids)

    return all(same(one, other) for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize(("kind", "members"), [("pairs", 2), ("triplets", 3)])
@pytest.mark.parametrize("resident", [True, False])
def test_every_sample_is_an_anchor_once_and_members_stand_with_their_own_targets(
    kind: str, members: int, resident: bool
) -> None:
    source = Digits()
    loader = _loader(source, kind, resident=resident)
    assert (len(loader), loader.num_samples) == (6, 90)
    batches = list(loader.batches(2))
    assert batches[0].inputs.shape == (16, members, 1, 8, 8)
    assert batches[-1].inputs.shape == (10, members, 1, 8, 8)
    anchors = np.concatenate([batch.ids for batch in batches])
    np.testing.assert_array_equal(anchors, loader.order(2))
    assert sorted(anchors.tolist()) == IDS.tolist()
    label_of = {source.inputs[index].numpy().tobytes(): int(source.targets[index]) for index in IDS.tolist()}
    for batch in batches:
        assert torch.equal(batch.inputs[:, 0] * 255, source.inputs[batch.ids].float())
        pixels = (batch.inputs * 255).round().to(torch.uint8)
        labels = [[label_of[image.numpy().tobytes()] for image in row] for row in pixels]
        assert batch.target.tolist() == labels


def test_numbers_keep_their_last_axis() -> None:
    batch = next(_loader(Diabetes(), "ranking").batches(0))
    assert batch.inputs.shape == (16, 2, 10)
    assert batch.target.shape == (16, 2, 1)
    assert (batch.target[:, 0] != batch.target[:, 1]).all()


def test_triplets_are_the_same_kept_and_read_anew_for_any_number_of_workers_and_from_any_start() -> None:
    expected = list(_loader(Digits(), "triplets", augments=AUGMENTS, resident=True).batches(1))
    for num_workers in (0, 1, 3):
        loader = _loader(Digits(), "triplets", augments=AUGMENTS, resident=False, num_workers=num_workers)
        assert _same(loader.batches(1), expected)
        assert _same(loader.batches(1, start=4), expected[4:])
        loader.close()
    assert not _same(_loader(Digits(), "triplets", augments=AUGMENTS).batches(2), expected)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_dicts_of_a_users_data_set_have_their_members_side_by_side(num_workers: int) -> None:
    loader = _loader(DatasetSource(Pictures()), "pairs", num_workers=num_workers)
    batches = list(loader.batches(1))
    loader.close()
    assert _same(batches, _loader(DatasetSource(Pictures()), "pairs").batches(1))
    for batch in batches:
        assert {name: value.shape[1:] for name, value in batch.inputs.items()} == {"x": (2, 2), "id": (2,)}
        np.testing.assert_array_equal(batch.inputs["id"][:, 0].numpy(), batch.ids)
        assert torch.equal(batch.inputs["id"] % 3, batch.target)


def test_a_member_is_augmented_by_its_own_key() -> None:
    alone = _loader(Digits(), "pairs", augments=AUGMENTS)
    alone._companions = None
    by_id = {int(i): x for batch in alone.batches(3) for i, x in zip(batch.ids, batch.inputs, strict=True)}
    drawn = companions("pairs", Digits().targets[IDS], IDS, 5)
    for batch in _loader(Digits(), "pairs", augments=AUGMENTS).batches(3):
        partners = IDS[drawn.draw(3, batch.ids - IDS[0])[:, 0]]
        for row, anchor, partner in zip(batch.inputs, batch.ids, partners, strict=True):
            assert torch.equal(row[0], by_id[int(anchor)])
            assert torch.equal(row[1], by_id[int(partner)])


@pytest.mark.parametrize("resident", [True, False])
def test_the_rows_of_a_file_are_the_epoch_and_their_signs_the_targets(tmp_path: Path, resident: bool) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("100,101,1\n105,100,-1\n100,189,-1\n150,151,1\n160,100,1\n")
    source = Digits()
    drawn = read_pairs(path, "pairs", source, {"train": IDS})["train"]
    loader = _loader(source, "pairs", drawn=drawn, batch_size=2, resident=resident)
    assert (len(loader), loader.num_samples) == (3, 5)
    sign_of = {(100, 101): 1, (105, 100): -1, (100, 189): -1, (150, 151): 1, (160, 100): 1}
    seen = []
    for batch in loader.batches(4):
        assert batch.target.dtype == torch.float32
        for anchor, row, sign in zip(batch.ids.tolist(), batch.inputs, batch.target.tolist(), strict=True):
            (pair,) = [pair for pair in sign_of if torch.equal(row * 255, source.inputs[list(pair)].float())]
            assert (pair[0], sign_of[pair]) == (anchor, sign)
            seen.append(pair)
    assert sorted(seen) == sorted(sign_of)
    dropping = _loader(source, "pairs", drawn=drawn, batch_size=2, drop_last=True)
    assert [len(batch.ids) for batch in dropping.batches(4)] == [2, 2]
    assert dropping.num_samples == 4
    with pytest.raises(InputError, match="got 6"):
        _loader(source, "pairs", drawn=drawn, batch_size=6, drop_last=True)
