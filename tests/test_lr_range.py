"""The learning-rate range test: the losses of a hand-written loop, a stated rule, and nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import torchwork
from torchwork import assembly, config, lr_range
from torchwork.training import device
from torchwork.types import InputError

IRIS = {
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 16},
    "model": {"name": "MLP", "hidden": [8]},
    "optimizer": {"name": "SGD", "lr": 0.5, "groups": [{"match": "hidden.*", "lr": 0.05}]},
    "schedule": "CosineAnnealingLR",
    "train": {"epochs": 2, "threads": 1},
}


def test_losses_are_those_of_a_hand_written_loop_over_several_epochs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = torchwork.find_lr(IRIS, low=1e-4, high=1.0, steps=30)
    rates = np.geomspace(1e-4, 1.0, 30)
    assert found.rates == pytest.approx(rates.tolist())
    with device.using_threads(1):
        parts = assembly.assemble(config.load(IRIS))
    groups = parts.state.optimizer.param_groups
    whole, tenth = ({"params": g["params"], "lr": g["lr"]} for g in groups)
    assert (whole["lr"], tenth["lr"]) == (0.5, 0.05) or (whole["lr"], tenth["lr"]) == (0.05, 0.5)
    optimizer = torch.optim.SGD([whole, tenth])
    ratios = [1.0, tenth["lr"] / whole["lr"]]
    batches = [batch for epoch in range(5) for batch in parts.data.loaders["train"].batches(epoch)]
    losses = []
    for rate, batch in zip(rates, batches, strict=False):
        for group, ratio in zip(optimizer.param_groups, ratios, strict=True):
            group["lr"] = rate * ratio
        optimizer.zero_grad()
        loss = F.cross_entropy(parts.model(batch.inputs), batch.target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert found.losses == losses
    assert list(tmp_path.iterdir()) == []


def test_neither_val_nor_test_are_read(monkeypatch):
    def refuse(self, epoch, start=0):
        assert self is train, "another split was read"
        return batches(self, epoch, start)

    from torchwork.data.loader import Loader

    batches, train, assemble = Loader.batches, None, assembly.assemble

    def assembled(settings):
        nonlocal train
        parts = assemble(settings)
        train = parts.data.loaders["train"]
        monkeypatch.setattr(Loader, "batches", refuse)
        return parts

    monkeypatch.setattr(lr_range.assembly, "assemble", assembled)
    assert torchwork.find_lr(IRIS, steps=20).losses


def test_the_steepest_fall_is_suggested_and_noise_is_not():
    rates = np.geomspace(1e-7, 10, 100)
    noise = np.random.default_rng(0).normal(0, 0.03, 100)
    losses = 2.3 - 1.5 / (1 + (3e-3 / rates) ** 2) + 4 * (rates > 0.5) * np.log1p(rates) + noise
    suggestion, why = lr_range.suggested(rates.tolist(), losses.tolist())
    assert 1e-3 < suggestion < 6e-3
    assert "falls fastest" in why
    flat, why = lr_range.suggested(rates.tolist(), (2.3 + noise).tolist())
    assert (flat, "fell by less than 5%" in why) == (None, True)


def test_it_ends_where_the_loss_runs_away_or_is_not_finite():
    found = torchwork.find_lr({**IRIS, "optimizer": "SGD"}, low=1e-2, high=1e12, steps=60)
    assert len(found.rates) == len(found.losses) < 60
    assert np.isfinite(found.losses).all()


def test_a_suggested_rate_trains_better_than_rates_far_from_it(tmp_path):
    found = torchwork.find_lr({**IRIS, "optimizer": "Adam", "schedule": None})
    reached = []
    for number, factor in enumerate((1, 1e-3, 1e3)):
        changes = {"optimizer": {"name": "Adam", "lr": found.suggestion * factor}, "schedule": None}
        run = torchwork.train({**IRIS, **changes}, out=tmp_path / str(number), report=False)
        reached.append(min(row["val_loss"] for row in run.history))
    assert reached[0] == min(reached)


@pytest.mark.parametrize("options", [{"low": 0.0}, {"low": 1.0, "high": 0.1}, {"steps": 5}, {"high": float("inf")}])
def test_rates_that_are_no_range_are_refused(options):
    with pytest.raises(InputError):
        torchwork.find_lr(IRIS, **options)


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<?xml"), ("a.png", b"\x89PNG")])
def test_the_plot_is_an_svg_or_a_png(tmp_path, name, start):
    found = lr_range.LrRange([1e-3, 1e-2, 1e-1], [2.0, 1.0, 3.0], [2.0, 1.5, 2.2], 1e-2, "")
    lr_range.draw(found, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    lr_range.draw(lr_range.LrRange([], [], [], None, ""), tmp_path / name)
    for wrong in (tmp_path / "a.pdf", tmp_path / "none" / "a.svg"):
        with pytest.raises(InputError):
            lr_range.draw(found, wrong)


def test_the_command_prints_what_it_suggests_and_where_the_plot_is(tmp_path, monkeypatch, capsys):
    from torchwork.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(config.dump(config.load(IRIS)))
    with pytest.raises(SystemExit) as end:
        main(["lr-find", "c.yaml", "--steps", "40", "--out", "plot.png"])
    assert not end.value.code
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["tried", "suggests", "plot"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.yaml", "plot.png"]
