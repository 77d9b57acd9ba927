"""Changes to a config from the command line."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchwork import config
from torchwork.types import InputError

LEAST = {"data": {"source": "Digits"}, "model": "LeNet", "optimizer": "Adam"}


def mistakes(source, *overrides) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        config.load(source, overrides)
    return {finding.where: f"{finding.message}; {finding.fix}" for finding in caught.value.findings}


OVERRIDES = {
    "train.epochs=3": lambda c: c.train.epochs == 3,
    "optimizer.lr=1e-3": lambda c: c.optimizer == {"name": "Adam", "lr": 0.001},
    "optimizer=SGD": lambda c: c.optimizer == {"name": "SGD"},
    "optimizer={name: SGD, lr: 1}": lambda c: c.optimizer == {"name": "SGD", "lr": 1},
    "optimizer.name=SGD": lambda c: c.optimizer == {"name": "SGD"},
    "data.transform[0].size=32": lambda c: c.data.transform[0] == {"name": "Resize", "size": 32},
    "data.transform[0].size[1]=32": lambda c: c.data.transform[0]["size"] == [8, 32],
    "data.transform[1].mean=0": lambda c: c.data.transform[1] == {"name": "Normalize", "mean": 0},
    "data.transform[2]=Grayscale": lambda c: len(c.data.transform) == 3,
    "data.augment[0]=RandomCrop": lambda c: c.data.augment == [{"name": "RandomCrop"}],
    "data.transform=[]": lambda c: c.data.transform == [],
    "train.patience=": lambda c: c.train.patience is None,
    "train.monitor=a=b": lambda c: c.train.monitor == "a=b",
    'init."fc.*"=zeros_': lambda c: c.init == {"fc.*": {"name": "zeros_"}},
    "name=no": lambda c: c.name == "no",
    "optimizer.betas=[0.9, 0.99]": lambda c: c.optimizer["betas"] == [0.9, 0.99],
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_an_override_sets_its_place(override):
    content = LEAST | {"data": {"source": "Digits", "transform": [{"name": "Resize", "size": [8, 8]}, "Normalize"]}}
    assert OVERRIDES[override](config.load(content, [override]))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("epochs", "is no override"),
        ("=3", "is no override"),
        ("train..epochs=3", "is no override"),
        ("[0]=3", "is no override"),
        ("train.epochs=[", "flow node"),
        ("train.epochs={a: 1, a: 2}", "twice"),
        ("data.transform[3]=Resize", "has 1 items, [0] to [0]; [1] adds one"),
        ("data.transform.size=3", "data.transform[0].size=value"),
        ("data.batch_size.x=3", "is no mapping but 64"),
        ("data.batch_size[0]=3", "is no list but 64"),
        ("name.x=3", "is no mapping but 'run'"),
    ],
)
def test_a_wrong_override_is_told_with_the_rest(override, said):
    content = LEAST | {"name": "run", "data": {"source": "Digits", "transform": ["Normalize"], "batch_size": 64}}
    found = mistakes(content, override, "seed=-1")
    assert said in found[override]
    assert "seed" in found


def test_later_overrides_win():
    assert config.load(LEAST, ["seed=1", "seed=2"]).seed == 2


@given(st.text())
def test_no_text_breaks_the_overrides(content):
    with contextlib.suppress(InputError):
        config.load(LEAST, [content])
