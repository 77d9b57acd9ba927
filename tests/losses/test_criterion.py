"""Denominators: any cut of a batch adds up to torch's mean of the whole, for every loss and every option."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from losses.cases import CASES, cut
from torchwork import catalog
from torchwork.losses import LOSSES
from torchwork.losses.criterion import HIDDEN, Criterion, build
from torchwork.losses.denominators import KINDS
from torchwork.types import InputError

NAMES = [f"{name}-{index}" for index, (name, _, _) in enumerate(CASES)]


def torchs(name, options):
    """The same loss built by hand, with the reduction that is its mean."""
    options = {k: torch.tensor(v, dtype=torch.float64) if isinstance(v, list) else v for k, v in options.items()}
    return getattr(nn, name)(**options, reduction="batchmean" if name == "KLDivLoss" else "mean")


def built(name, options):
    return build({"name": name, **options}).to(torch.device("cpu"), torch.float64)


def decider(criterion, arguments):
    return arguments[criterion.kind.position]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_shares_of_a_cut_add_up_to_torchs_mean_of_the_whole(case, seed, sizes):
    name, options, draw = case
    criterion = built(name, options)
    arguments = draw(torch.Generator().manual_seed(seed), sum(sizes))
    parts = cut(name, arguments, sizes)
    whole = criterion.weight(decider(criterion, arguments))
    assert sum(criterion.weight(decider(criterion, part)) for part in parts) == pytest.approx(whole, abs=1e-12)
    if whole == 0:
        return
    expected = torchs(name, options)(*arguments).item()
    total = sum(criterion.share(*part, weight=whole).item() for part in parts)
    assert total == pytest.approx(expected, abs=1e-12, rel=1e-12)
    assert criterion.mean(*arguments).item() == expected


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_terms_of_the_samples_give_the_mean_and_its_denominator(case):
    name, options, draw = case
    criterion = built(name, options)
    arguments = draw(torch.Generator().manual_seed(0), 13)
    values, weights = criterion.terms(*arguments)
    assert values.shape == weights.shape == (13,)
    assert weights.sum().item() == pytest.approx(criterion.weight(decider(criterion, arguments)), abs=1e-12)
    expected = torchs(name, options)(*arguments).item()
    assert (values.sum() / weights.sum()).item() == pytest.approx(expected, rel=1e-12)


def test_every_loss_of_the_catalog_has_a_denominator_and_a_case_for_every_option():
    assert {f"torch.nn:{kind.__name__}" for kind in KINDS} == set(LOSSES.values())
    for name in LOSSES:
        tried = {option for loss, options, _ in CASES if loss == name for option in options}
        assert tried == set(catalog.parameters(getattr(nn, name))) - set(HIDDEN), name


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("option", ["reduction", "reduce", "size_average"])
def test_reduction_is_refused_in_a_config(name, option):
    if option in catalog.parameters(getattr(nn, name)):
        with pytest.raises(InputError, match=f"loss.{option}.*takes the mean"):
            build({"name": name, option: "sum"})


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_object_that_does_not_take_the_mean_is_refused(name):
    for reduction in ("sum", "none"):
        with pytest.raises(InputError, match=f"reduction='{reduction}'"):
            Criterion(getattr(nn, name)(reduction=reduction))


def test_kl_div_with_reduction_mean_is_refused_with_the_reason():
    with pytest.raises(InputError, match=r"divides by the elements.*batchmean"):
        Criterion(nn.KLDivLoss())


def test_a_function_of_the_users_counts_rows():
    def fourth_power(output, target):
        return ((output - target) ** 4).sum(1).mean()

    criterion = Criterion(fourth_power)
    output, target = (torch.randn(9, 3, dtype=torch.float64) for _ in range(2))
    shares = [criterion.share(o, t, weight=9) for o, t in zip(output.split(4), target.split(4), strict=True)]
    assert sum(shares).item() == pytest.approx(fourth_power(output, target).item(), abs=1e-12)
    values, weights = criterion.terms(output, target)
    assert (values.sum() / weights.sum()).item() == pytest.approx(fourth_power(output, target).item(), abs=1e-12)


def test_no_row_left_weighs_nothing():
    assert Criterion(nn.CrossEntropyLoss(ignore_index=0)).weight(torch.zeros(5, dtype=torch.long)) == 0


def test_unknown_options_name_the_nearest():
    with pytest.raises(InputError, match="label_smooth'; did you mean 'label_smoothing'"):
        build({"name": "CrossEntropyLoss", "label_smooth": 0.1})
