"""Denominators: any cut of a batch adds up to torch's mean of the whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchwork.losses.criterion import Criterion, build
from torchwork.types import InputError

K = 4
WEIGHTS = [0.5, 2.0, 0.0, 1.25]


def class_case(generator, rows):
    return torch.randn(rows, K, generator=generator, dtype=torch.float64), torch.randint(
        0, K, (rows,), generator=generator
    )


def soft_case(generator, rows):
    output, _ = class_case(generator, rows)
    return output, torch.randn(rows, K, generator=generator, dtype=torch.float64).softmax(1)


def pixel_case(generator, rows):
    output = torch.randn(rows, K, 3, 2, generator=generator, dtype=torch.float64)
    return output, torch.randint(0, K, (rows, 3, 2), generator=generator)


def number_case(generator, rows):
    return tuple(torch.randn(rows, 3, generator=generator, dtype=torch.float64) for _ in range(2))


CASES = {
    "cross entropy": (nn.CrossEntropyLoss(), class_case),
    "cross entropy, weights": (nn.CrossEntropyLoss(torch.tensor(WEIGHTS, dtype=torch.float64)), class_case),
    "cross entropy, ignored": (nn.CrossEntropyLoss(ignore_index=1), class_case),
    "cross entropy, all three": (
        nn.CrossEntropyLoss(torch.tensor(WEIGHTS, dtype=torch.float64), ignore_index=3, label_smoothing=0.2),
        class_case,
    ),
    "cross entropy, probabilities": (
        nn.CrossEntropyLoss(torch.tensor(WEIGHTS, dtype=torch.float64), label_smoothing=0.1),
        soft_case,
    ),
    "cross entropy, pixels": (nn.CrossEntropyLoss(ignore_index=0), pixel_case),
    "mean squared error": (nn.MSELoss(), number_case),
    "mean absolute error": (nn.L1Loss(), number_case),
    "smooth l1": (nn.SmoothL1Loss(beta=0.3), number_case),
    "a function": (lambda output, target: ((output - target) ** 4).sum(1).mean(), number_case),
}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_shares_of_a_cut_add_up_to_the_mean_of_the_whole(name, seed, cut):
    loss, case = CASES[name]
    criterion = Criterion(loss)
    output, target = case(torch.Generator().manual_seed(seed), sum(cut))
    parts = list(zip(output.split(cut), target.split(cut), strict=True))
    weights = [criterion.weight(t) for _, t in parts]
    whole = criterion.weight(target)
    assert sum(weights) == pytest.approx(whole, abs=1e-12)
    if whole == 0:
        return
    total = sum(criterion.share(o, t, whole).item() for o, t in parts)
    assert total == pytest.approx(loss(output, target).item(), abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_terms_of_the_samples_give_the_mean_and_its_denominator(name):
    loss, case = CASES[name]
    criterion = Criterion(loss)
    output, target = case(torch.Generator().manual_seed(0), 13)
    values, weights = criterion.terms(output, target)
    assert values.shape == weights.shape == (13,)
    assert weights.sum().item() == pytest.approx(criterion.weight(target), abs=1e-12)
    assert (values.sum() / weights.sum()).item() == pytest.approx(loss(output, target).item(), abs=1e-12)


def test_no_row_left_weighs_nothing():
    assert Criterion(nn.CrossEntropyLoss(ignore_index=0)).weight(torch.zeros(5, dtype=torch.long)) == 0


@pytest.mark.parametrize("option", ["reduction", "reduce", "size_average"])
def test_reduction_is_refused_in_a_config(option):
    with pytest.raises(InputError, match=f"loss.{option}.*takes the mean"):
        build({"name": "MSELoss", option: "sum"})


def test_a_loss_object_that_does_not_take_the_mean_is_refused():
    with pytest.raises(InputError, match="reduction='sum'"):
        Criterion(nn.MSELoss(reduction="sum"))


def test_options_are_those_of_torch():
    criterion = build({"name": "CrossEntropyLoss", "weight": [1, 2, 3], "label_smoothing": 0.1})
    assert criterion.module.weight.tolist() == [1, 2, 3]
    assert criterion.module.label_smoothing == 0.1
    with pytest.raises(InputError, match="label_smoothing"):
        build({"name": "CrossEntropyLoss", "label_smooth": 0.1})
