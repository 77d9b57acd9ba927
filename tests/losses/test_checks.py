"""Options out of range and swapped calls are refused; torch's own defaults never are."""

import pytest
import torch
from torch import nn

from losses.cases import CASES
from torchwork import catalog
from torchwork.losses import LOSSES
from torchwork.losses.checks import RANGES
from torchwork.losses.criterion import Criterion, build
from torchwork.types import InputError

LIMITS = [(name, option, limit) for name, options in RANGES.items() for option, limit in options.items()]


@pytest.mark.parametrize(("name", "option", "limit"), LIMITS, ids=lambda value: value if isinstance(value, str) else "")
def test_an_option_below_or_above_its_range_is_refused(name, option, limit):
    assert option in catalog.parameters(getattr(nn, name))
    below = limit.low if limit.open else limit.low - 1
    for value in [below] + [limit.high + 1] * (limit.high < 1e9):
        with pytest.raises(InputError, match=rf"loss.{option}: got|margin to be greater than 0"):
            build({"name": name, option: type(getattr(build({"name": name}).module, option))(value)})


@pytest.mark.parametrize("name", LOSSES)
def test_torchs_defaults_are_in_range(name):
    assert build({"name": name}).name == name


SWAPPED = {name: arguments for name, _, arguments in CASES if name != "TripletMarginLoss"}


@pytest.mark.parametrize("name", SWAPPED)
@pytest.mark.parametrize("call", ["mean", "share", "terms"])
def test_a_target_that_needs_a_gradient_is_a_swapped_call(name, call):
    criterion = build({"name": name}).to(torch.device("cpu"), torch.float64)
    arguments = list(SWAPPED[name](torch.Generator().manual_seed(0), 4))
    place = 2 if len(arguments) == 3 and name != "GaussianNLLLoss" else 1
    output = torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    arguments[place] = output
    options = {"weight": 4.0} if call == "share" else {}
    with pytest.raises(InputError, match=f"{name} got a target that needs a gradient; output and target are swapped"):
        getattr(criterion, call)(*arguments, **options)


def test_whole_numbers_for_an_output_are_a_swapped_call():
    with pytest.raises(InputError, match="an output of whole numbers; output and target are swapped"):
        Criterion(nn.CrossEntropyLoss()).mean(torch.tensor([1, 0]), torch.zeros(2, 2))


def test_a_loss_by_import_path_is_known_by_its_name():
    assert build({"name": "torch.nn:CrossEntropyLoss"}).name == "CrossEntropyLoss"
