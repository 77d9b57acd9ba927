"""Samples drawn by weights: how often, beside torch's WeightedRandomSampler, and the same wherever an epoch goes on."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset, WeightedRandomSampler

import torchwork
from torchwork import assembly
from torchwork.config import load
from torchwork.data import sampling
from torchwork.data.augment import build as augment
from torchwork.data.builtin import Digits
from torchwork.data.dataset import DatasetSource
from torchwork.data.loader import Loader
from torchwork.data.sampling import Sampling
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.types import InputError


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e3)), min_size=1, max_size=60).filter(any),
    st.integers(0, 2**40),
    st.integers(1, 4),
)
def test_each_sample_and_each_class_is_drawn_as_often_as_its_weight_says_but_for_one(weights, seed, num_classes):
    weights, count = np.array(weights), len(weights)
    classes = np.arange(count) % num_classes
    drawn = Sampling(weights, classes).places(seed, 3)
    expected = count * weights / weights.sum()
    times = np.bincount(drawn, minlength=count)
    assert len(drawn) == count
    assert (np.abs(times - expected) < 1 + 1e-6).all()
    assert not times[weights == 0].any()
    by_class = np.bincount(classes, times, num_classes) - np.bincount(classes, expected, num_classes)
    assert (np.abs(by_class) < 1 + 1e-6).all()


def test_over_many_epochs_the_frequencies_are_those_of_torchs_sampler():
    weights = np.array([0.5, 1, 1, 2, 7, 0, 3.5, 1])
    epochs, count = 4000, len(weights)
    ours = Sampling(weights)
    drawn = np.concatenate([ours.places(0, epoch) for epoch in range(epochs)])
    torchs = WeightedRandomSampler(weights.tolist(), count * epochs, generator=torch.Generator().manual_seed(0))
    expected = weights / weights.sum()
    for found in (drawn, np.array(list(torchs))):
        assert np.abs(np.bincount(found, minlength=count) / len(found) - expected).max() < 0.01


def test_which_of_equal_samples_are_drawn_is_chance_anew_in_each_epoch():
    weights = np.r_[np.full(90, 1 / 90), np.full(10, 1 / 10)]
    sampler = Sampling(weights, np.r_[np.zeros(90, int), np.ones(10, int)])
    epochs = [sampler.places(0, epoch) for epoch in range(300)]
    assert all(np.count_nonzero(found < 90) == 50 for found in epochs)
    times = np.bincount(np.concatenate(epochs), minlength=100)
    assert times[:90].min() > 110  # of 167 expected, with a standard deviation of 9
    assert times[:90].max() < 220
    assert (times[90:] == 1500).all()
    together = np.zeros((90, 90))
    for found in epochs:
        once = np.zeros(90)
        once[found[found < 90]] = 1
        together += np.outer(once, once)
    pairs = together[np.triu_indices(90, 1)] / 300
    assert abs(pairs.mean() - 50 * 49 / (90 * 89)) < 0.01
    assert pairs.min() > 0  # no two exclude each other
    assert pairs.max() < 0.6


def loader(**options):
    source = Digits()
    classes = np.array([int(target) for target in source.targets])
    ids = np.sort(np.r_[np.flatnonzero(classes < 3)[:60], np.flatnonzero(classes == 7)[:4]])
    pipeline = Pipeline([], source.schema)
    pipeline.dtype = torch.float32
    target = Target.fit(source.schema, source.targets, {"train": ids}, source.name)
    how = sampling.build("balanced", source, ids, target.encode(source.targets[ids]).numpy())
    steps = augment.build([{"name": "RandomCrop", "size": 8, "padding": 2}])
    options = {"batch_size": 16, "shuffle": True, "augments": steps, "sampling": how, "seed": 5, **options}
    return Loader(source, ids, pipeline=pipeline, target=target, **options)


def whole(found, epoch=1, start=0):
    return [
        torch.cat(parts) if isinstance(parts[0], torch.Tensor) else np.concatenate(parts)
        for parts in zip(*found.batches(epoch, start), strict=True)
    ]


def test_a_balanced_epoch_has_as_many_samples_of_every_class():
    _, target, ids = whole(loader())
    counts = torch.bincount(target)
    assert len(ids) == 64
    assert counts[counts > 0].tolist() == [16, 16, 16, 16]
    assert len(set(ids[(target == 7).numpy()].tolist())) == 4
    assert len({tuple(whole(loader(), epoch)[2].tolist()) for epoch in range(3)}) == 3


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("start", [1, 3])
def test_an_epoch_that_goes_on_in_the_middle_draws_the_same(resident, start):
    straight, later = whole(loader(resident=resident)), whole(loader(resident=resident), start=start)
    for all_of_it, rest in zip(straight, later, strict=True):
        assert np.array_equal(np.asarray(all_of_it)[16 * start :], np.asarray(rest))


def test_a_sample_that_is_drawn_again_is_augmented_anew_and_the_first_time_as_without_sampling():
    inputs, _, ids = whole(loader())
    plain, _, plain_ids = whole(loader(sampling=None))
    again = 0
    for index in set(ids.tolist()):
        seen = inputs[torch.from_numpy(ids == index)]
        assert torch.equal(seen[0], plain[torch.from_numpy(plain_ids == index)][0])
        again += len(seen) - len(torch.unique(seen, dim=0))
    assert len(ids) - len(set(ids.tolist())) > 10
    assert again <= 3  # of 25 places of the crop two may be the same


class Drawing(Dataset):
    """Draws in ``__getitem__``."""

    targets = [0] * 20 + [1] * 4

    def __len__(self):
        return 24

    def __getitem__(self, index):
        return torch.rand(3) + index, self.targets[index]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_data_set_draws_anew_each_time_whatever_the_workers(num_workers):
    source, ids = DatasetSource(Drawing()), np.arange(24)
    pipeline = Pipeline([], source.schema)
    target = Target.fit(source.schema, source.targets, {"train": ids}, source.name)
    how = sampling.build("balanced", source, ids, np.array(Drawing.targets))
    found = Loader(
        source, ids, pipeline=pipeline, target=target, batch_size=5, shuffle=True, num_workers=num_workers, sampling=how
    )
    inputs, classes, drawn = whole(found)
    found.close()
    assert torch.bincount(classes).tolist() == [12, 12]
    assert len(torch.unique(inputs, dim=0)) == 24
    assert np.array_equal(inputs[:, 0].floor().numpy(), drawn)
    if num_workers:
        alone = Loader(source, ids, pipeline=pipeline, target=target, batch_size=5, shuffle=True, sampling=how)
        assert torch.equal(whole(alone)[0], inputs)


def test_the_partners_of_mixup_are_drawn_by_the_weights_too():
    steps = augment.build([{"name": "MixUp"}])
    made = loader(augments=steps)
    assert len(whole(made)[2]) == 64
    source = Digits()
    shares = []
    for epoch in range(8):
        rows = made._rows(epoch)
        found = rows[made._mixing.partners(epoch, made.indices[rows])]
        shares.append(np.mean([source.targets[made.indices[place]] == 7 for place in found]))
    assert np.mean(shares) == pytest.approx(0.25, abs=0.07)  # where 4 of 64 samples are of that class


def table(tmp_path, weights):
    rng = np.random.default_rng(0)
    rows = {"a": rng.normal(size=60), "b": rng.normal(size=60), "kind": ["x"] * 50 + ["y"] * 10, "w": weights}
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    return {
        "data": {
            "source": {"name": "Table", "path": str(tmp_path / "t.csv"), "target": "kind", "ignore": ["w"]},
            "split": {"train": 0.8, "test": 0.2},
            "batch_size": 8,
        },
        "model": {"name": "MLP", "hidden": [4]},
        "optimizer": "SGD",
        "train": {"epochs": 1, "threads": 1},
    }


def test_a_run_says_what_its_epochs_draw(tmp_path):
    config = table(tmp_path, np.ones(60))
    config["data"]["sampling"] = "balanced"
    run = torchwork.train(config, out=tmp_path / "run")
    assert "an epoch draws a sample 0.6 to 3 times; by class, draws of samples: x 24 of 40, y 24 of 8" in (
        (run.path / "log.txt").read_text()
    )
    assert run.config.data.sampling == "balanced"


def test_a_column_of_weights_decides(tmp_path):
    config = table(tmp_path, [2.0] * 10 + [0.0] * 10 + [1.0] * 40)
    config["data"]["sampling"] = "w"
    parts = assembly.assemble(load(config))
    drawn, counts = parts.data.loaders["train"].order(0), np.bincount(parts.data.splits["train"], minlength=60)
    weights = np.r_[np.full(10, 2.0), np.zeros(10), np.ones(40)] * counts
    times = np.bincount(drawn, minlength=60)
    assert len(drawn) == 48
    assert (np.abs(times - 48 * weights / weights.sum()) < 1).all()
    val = parts.data.loaders["test"].order(0)
    assert np.array_equal(np.sort(val), np.sort(parts.data.splits["test"]))  # which is never drawn by weights


@pytest.mark.parametrize(
    ("weights", "how", "said"),
    [
        ([1.0] * 60, "v", "data.sampling: the data have no column 'v'"),
        (["much"] + [1.0] * 59, "w", "1 cell of column 'w' are no weights|no weights: 'much' of"),
        ([-1.0] * 60, "w", "are no weights: -1.0 of .* write numbers of 0 or more"),
        ([0.0] * 60, "w", "column 'w' is 0 in all of the training split"),
    ],
)
def test_weights_that_are_none_are_refused(tmp_path, weights, how, said):
    config = table(tmp_path, weights)
    config["data"]["sampling"] = how
    with pytest.raises(InputError, match=said):
        torchwork.train(config, out=tmp_path / "run")


def test_balanced_needs_classes_and_pairs_have_their_own_rule(tmp_path):
    numbers = {"data": {"source": "Diabetes", "sampling": "balanced"}, "model": "MLP", "optimizer": "SGD"}
    with pytest.raises(InputError, match=r"data\.sampling: balanced draws every class equally often, and the targets"):
        torchwork.train(numbers, out=tmp_path / "run")
    pairs = {"data": {"source": "Iris", "sampling": "balanced"}, "model": "MLP", "optimizer": "SGD"}
    with pytest.raises(InputError, match="takes pairs or triplets"):
        torchwork.train({**pairs, "loss": "TripletMarginLoss"}, out=tmp_path / "run")
