"""Real runs without what takes most of their time at the end: pictures, and looks into the model."""

from __future__ import annotations

import signal

import pytest

import torchwork
from torchwork import finishing, rundir
from torchwork.report import drawings
from torchwork.training import checkpoint
from torchwork.training.interrupt import Interrupted

STEPS = 7  # an epoch of Iris' 104 training samples in batches of 16


@pytest.fixture
def quick(monkeypatch):
    make_quick(monkeypatch)


def make_quick(monkeypatch):
    monkeypatch.setattr(drawings, "KINDS", dict.fromkeys(drawings.KINDS, ()))
    monkeypatch.setattr(finishing, "_look_into", lambda *whatever: None)
    monkeypatch.setattr(finishing, "_doubt", lambda *_: {})


def config(**changes):
    """Return a config; ``train`` and ``data`` are merged into its own."""
    return {
        "name": "iris",
        "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 16, **changes.pop("data", {})},
        "model": {"name": "MLP", "hidden": [8], "dropout": 0.3},
        "optimizer": {"name": "Adam", "lr": 1e-2},
        **changes,
        "train": {"epochs": 3, "threads": 1, **changes.pop("train", {})},
    }


class Told:
    """Notes what is told; at a step it asks to stop, as a scheduler would."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.said = []

    def start(self, *_): ...
    def epoch(self, row): ...
    def stop(self): ...

    def step(self, step, epoch):
        if step.index == self.stop_at:
            signal.raise_signal(signal.SIGTERM)

    def message(self, text):
        self.said.append(text)

    def finding(self, found):
        self.said.append(f"{found.severity}: {found}")


def stopped(settings, out, step, **options):
    """Train and stop after a step; return the run directory."""
    with pytest.raises(Interrupted):
        torchwork.train(settings, out=out, progress=Told(step), **options)
    return out


def outcome(path):
    """Return all that must be equal, bit for bit, of two runs that are the same."""
    last = checkpoint.latest(path / rundir.CHECKPOINTS)
    files = [path / name for name in (rundir.MODEL, rundir.METRICS, rundir.SPLIT, rundir.predictions("test"))]
    files += [last / checkpoint.MODEL, last / checkpoint.OPTIMIZER]
    rows = [{k: v for k, v in row.items() if k not in ("seconds", "waited")} for row in rundir.read_history(path)]
    return last.name, rows, [file.read_bytes() for file in files]
