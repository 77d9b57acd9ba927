"""Runs of tasks other than classes and numbers, from the command line: trained, resumed, evaluated, used."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torchwork import rundir

READER = """\
from torch import nn


class SmallReader(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv = nn.Conv2d(1, num_classes, (16, 4), stride=(1, 2))

    def forward(self, x):
        return self.conv(x).squeeze(2).transpose(1, 2).log_softmax(-1)
"""
STRIPS = "{{name: DigitStrips, num_strips: 60, target: {}}}"
FLAT = "{name: Sequential, layers: [Flatten, {name: Linear, out_features: 12}]}"
LABELS = "{name: Sequential, layers: [Flatten, Linear]}"
SETUPS = {
    "sequence": (STRIPS.format("sequence"), "small_reader:SmallReader", "CTCLoss"),
    "embedding": ("Digits", FLAT, "TripletMarginLoss"),
    "multilabel": (STRIPS.format("labels"), LABELS, "BCEWithLogitsLoss"),
    "regression": (STRIPS.format("count"), LABELS, "PoissonNLLLoss"),
    "ranking": ("Diabetes", "MLP", "MarginRankingLoss"),
}
TOLD = {
    "sequence": "character_error_rate",
    "embedding": "map_at_r",
    "multilabel": "roc_auc",
    "regression": "poisson_deviance",
    "ranking": "kendall_tau",
}


def _write(folder: Path, task: str) -> None:
    (folder / "small_reader.py").write_text(READER)
    source, model, loss = SETUPS[task]
    text = f"data: {{source: {source}, batch_size: 16}}\nmodel: {model}\nloss: {loss}\noptimizer: Adam\n"
    (folder / "c.yaml").write_text(f"{text}train: {{epochs: 2, threads: 1}}\n")


def _samples(folder: Path, task: str) -> Path:
    shape = {"embedding": (8, 8), "ranking": (10,)}.get(task, (16, 64))
    if task == "ranking":
        names = "age,sex,bmi,bp,s1,s2,s3,s4,s5,s6"
        (folder / "new.csv").write_text("\n".join([names, *[",".join(["0.01"] * 10)] * 3]) + "\n")
        return folder / "new.csv"
    np.savez(folder / "new.npz", inputs=np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8))
    return folder / "new.npz"


class _StopAt:
    """Press Ctrl-C after a step."""

    def __init__(self, last: int) -> None:
        self.last = last

    def start(self, *_: object) -> None:
        pass

    message = finding = epoch = stop = start

    def step(self, seen: Any, _: int) -> None:
        if seen.index == self.last:
            signal.raise_signal(signal.SIGINT)


def _figures(printed: str) -> Mapping[str, str]:
    return dict(re.findall(r"^(\w+) +(.*)$", printed.partition("figures\n")[2], re.MULTILINE))


@pytest.mark.parametrize("task", SETUPS)
def test_a_run_of_every_task_is_trained_evaluated_and_used(torchwork, tmp_path, monkeypatch, task):
    monkeypatch.syspath_prepend(str(tmp_path))
    _write(tmp_path, task)
    done = torchwork("train", "c.yaml", "--out", "run")
    assert done.code == 0, done.err
    assert TOLD[task] in _figures(done.out)
    # a table of classes only where each sample has one
    assert (" support\n" in done.out) == (task == "embedding")
    assert ("the class of the nearest other one" in done.out) == (task == "embedding")
    again = torchwork("evaluate", "run")
    assert again.code == 0, again.err
    assert _figures(again.out)[TOLD[task]] == _figures(done.out)[TOLD[task]]
    used = torchwork("predict", "run", _samples(tmp_path, task))
    assert used.code == 0, used.err
    assert len(rundir.read_csv(tmp_path / "predictions.csv")) == 3
    assert max(map(len, used.out.splitlines())) < 150 + len(str(tmp_path))
    assert ("more columns" in used.out) == (task == "embedding")


@pytest.mark.parametrize("task", ["ranking", "sequence"])
def test_a_stopped_run_of_pairs_or_sequences_is_resumed_to_the_same_weights(torchwork, tmp_path, monkeypatch, task):
    from torchwork import run
    from torchwork.training.interrupt import Interrupted

    monkeypatch.syspath_prepend(str(tmp_path))
    _write(tmp_path, task)
    assert torchwork("train", "c.yaml", "--out", "whole", "-q").code == 0

    with pytest.raises(Interrupted):
        run.train("c.yaml", out="stopped", progress=_StopAt(4))
    assert not Path("stopped", rundir.MODEL).exists()
    done = torchwork("resume", "stopped", "-q")
    assert done.code == 0, done.err
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert weights[0] == weights[1]
