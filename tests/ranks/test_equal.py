"""Two and three processes train what one does: the same samples, the same losses, weights and metrics."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from ranks import cases

EXACT = 1e-12


def train(options):
    return cases.train(**options)


def assert_equal(found, wanted, tolerance=EXACT):
    """Compare what processes found, by rank, with what one alone did."""
    first = found[0]
    assert first["samples"] == wanted["samples"]
    for name in ("losses", "weight"):
        np.testing.assert_allclose(first[name], wanted[name], rtol=tolerance, atol=tolerance, err_msg=name)
    for row, other in zip(first["history"], wanted["history"], strict=True):
        assert row.keys() == other.keys()
        np.testing.assert_allclose(list(row.values()), list(other.values()), rtol=tolerance, atol=tolerance)
    for one in found:
        assert one["losses"] == first["losses"]
        assert repr(one["history"]) == repr(first["history"])
        for name, values in one["weights"].items():
            np.testing.assert_array_equal(values, first["weights"][name], err_msg=f"{name} on all processes")
            np.testing.assert_allclose(values, wanted["weights"][name], rtol=tolerance, atol=tolerance, err_msg=name)
    for name, column in wanted["evaluation"].items():
        np.testing.assert_allclose(first["evaluation"][name], column, rtol=tolerance, atol=tolerance, err_msg=name)
    np.testing.assert_array_equal(first["evaluation"]["ids"], wanted["evaluation"]["ids"])
    assert first["metrics"].keys() == wanted["metrics"].keys()
    np.testing.assert_allclose(
        list(first["metrics"].values()), list(wanted["metrics"].values()), rtol=tolerance, atol=tolerance
    )


CASES = {
    "ragged": {},
    "clipped": {"clip_norm": 0.05},
    "accumulated": {"accumulate": 2},
    "accumulated and clipped": {"accumulate": 3, "clip_norm": 0.05, "batch_size": 2},
    "drop last": {"drop_last": True},
    "weights of classes": {"loss": {"name": "CrossEntropyLoss", "weight": [1.0, 3.0, 0.2], "label_smoothing": 0.1}},
    "a class that does not count": {"loss": {"name": "CrossEntropyLoss", "ignore_index": 1}, "batch_size": 2},
    "numbers": {"target": "number", "outputs": 2},
    "pairs": {"task": "embedding", "loss": {"name": "CosineEmbeddingLoss"}},
    "triplets": {"task": "embedding", "loss": {"name": "TripletMarginLoss"}},
    "ranking": {"task": "ranking", "target": "score", "outputs": 1},
    "sequences": {"task": "sequence", "target": "sequence", "kind": "steps", "model": "reading"},
    "Adam with warm-up": {
        "optimizer": {"name": "Adam", "lr": 1e-2, "weight_decay": 0.1},
        "rates": {"name": "CosineAnnealingLR", "warmup_steps": 2},
    },
    "a rate that the loss decides": {"rates": {"name": "ReduceLROnPlateau", "patience": 0}, "epochs": 4},
    "LBFGS": {"optimizer": {"name": "LBFGS", "lr": 0.1, "max_iter": 3}, "epochs": 1},
    "a sparse embedding": {
        "kind": "words",
        "model": "sparse",
        "optimizer": [{"name": "SparseAdam", "match": "0.*"}, {"name": "Adam"}],
        "clip_norm": 0.1,
    },
    "auxiliary heads": {"model": "headed"},
    "parameters that are not used": {"model": "branched", "find_unused": True, "batch_size": 1},
    "synchronised batch norm": {"model": "norm", "sync": True},
    "synchronised batch norm of images": {"model": "conv", "kind": "images", "sync": True, "batch_size": 3},
    "augmented images": {
        "model": "conv",
        "kind": "images",
        "sync": True,
        "augments": [{"name": "RandomCrop", "size": 8, "padding": 2}, {"name": "RandomHorizontalFlip"}],
    },
    "MixUp": {"model": "conv", "kind": "images", "sync": True, "augments": [{"name": "MixUp"}]},
    "CutMix": {"model": "conv", "kind": "images", "sync": True, "augments": [{"name": "CutMix"}], "batch_size": 3},
    "a layer that is used twice": {"model": "twice"},
    "a frozen layer": {"model": "frozen"},
    "tied weights": {"model": "tied", "clip_norm": 0.05},
    "computed again": {"recomputes": True, "model": "norm", "sync": True},
    "averaged weights": {"ema": 0.7, "accumulate": 2},
    "averaged weights and synchronised batch norm": {"ema": 0.7, "model": "norm", "sync": True},
    "a scaled loss": {"scale": 2.0**16},
}


@functools.cache
def alone(name):
    return cases.train(**CASES[name])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("strategy", ["auto", "ddp"])
def test_several_processes_train_what_one_does(together, strategy, world, name):
    assert_equal(together(world)(train, {**CASES[name], "strategy": strategy}), alone(name))


# at a rate that lets rounding grow no faster than the loss falls
SLOWLY = {"optimizer": {"name": "SGD", "lr": 0.01, "momentum": 0.9}}
SIZES = (1, 2, 3, 4, 5, 6, 7, 11, 16, 33)


def several(grid):
    return [cases.train(**options) for options in grid]


def grid(sizes):
    return [
        {
            "samples": samples,
            "batch_size": batch_size,
            "accumulate": accumulate,
            "target": "number",
            "outputs": 2,
            **SLOWLY,
        }
        for samples in sizes
        for batch_size in (1, 2, 5)
        for accumulate in (1, 3)
    ]


def assert_grid_equal(together, sizes):
    wanted = several(grid(sizes))
    for world in (2, 3):
        by_rank = together(world)(several, grid(sizes))
        for found, one in zip(zip(*by_rank, strict=True), wanted, strict=True):
            assert_equal(found, one)


def test_no_size_of_data_or_batch_makes_a_difference(together):
    assert_grid_equal(together, SIZES)


@pytest.mark.slow
def test_no_size_of_data_up_to_33_makes_a_difference(together):
    assert_grid_equal(together, range(1, 34))


def test_in_single_precision_the_first_ten_updates_agree_to_a_millionth(together):
    options = {"samples": 20, "batch_size": 4, "epochs": 2, "double": False}
    wanted = cases.train(**options)
    for world in (2, 3):
        for found in together(world)(train, options):
            np.testing.assert_allclose(found["losses"][:10], wanted["losses"][:10], rtol=1e-6)


def test_where_the_scaled_loss_overflows_all_leave_the_same_updates_out(together):
    options = {"target": "large", "outputs": 2, "double": False, "scale": 2.0**120, "batch_size": 4, **SLOWLY}
    first = cases.train(**options)["losses"][:4]  # later the parts may overflow where the whole just does not
    for world in (2, 3):
        found = together(world)(train, options)
        np.testing.assert_allclose(found[0]["losses"][:4], first, rtol=1e-6)
        assert all(1 <= one["overflows"] == found[0]["overflows"] for one in found)
        for one in found:
            assert one["losses"] == found[0]["losses"]
            assert all((one["weights"][name] == values).all() for name, values in found[0]["weights"].items())


def test_of_unsynchronised_batch_norm_the_running_statistics_are_those_of_the_first_process(together):
    options = {"model": "norm", "samples": 12, "batch_size": 6, "epochs": 1}
    first, second = together(2)(train, options)
    for name, values in first["weights"].items():
        np.testing.assert_array_equal(values, second["weights"][name], err_msg=name)
    assert not np.allclose(first["losses"], cases.train(**options)["losses"], rtol=1e-3)


def test_dropout_draws_other_masks_on_each_process_and_the_same_when_repeated(together):
    options = {"model": "dropout", "samples": 12, "batch_size": 6}
    first, again = together(2)(train, options), together(2)(train, options)
    assert first[0]["losses"] == again[0]["losses"]
    assert not np.allclose(first[0]["losses"], cases.train(**options)["losses"], rtol=1e-3)


def diverging(at):
    """Train where the last process changes one of its weights, after so many updates."""
    import torch

    from torchwork import dist
    from torchwork.training import loop

    real = loop.Step

    def step(index, *rest):
        if index == at and dist.rank() == dist.world() - 1:
            with torch.no_grad():
                held[0][0].weight[0, 0] += 1e-9
        return real(index, *rest)

    made = cases.model_of
    held = []
    try:
        loop.Step = step
        cases.model_of = lambda *arguments: held.append(made(*arguments)) or held[0]
        cases.train()
    except Exception as error:
        return type(error).__name__, str(error)
    finally:
        loop.Step, cases.model_of = real, made
    return None


@pytest.mark.parametrize(("world", "said"), [(2, "rank 1 against rank 0"), (3, "rank 2 and the others")])
def test_a_process_whose_weights_are_no_longer_those_of_the_others_is_named(together, world, said):
    for kind, message in together(world)(diverging, 3):
        assert kind == "DivergedError"
        assert "by step 3" in message
        assert "the same weights" in message
        assert said in message
