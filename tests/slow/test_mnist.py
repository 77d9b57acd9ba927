"""The example on MNIST learns to read real digits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import torchwork
from torchwork import config

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "mnist.yaml"


@pytest.mark.slow
def test_lenet_reads_the_official_test_digits(tmp_path, monkeypatch):
    folder = os.environ.get("TORCHWORK_TEST_DATA")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("TORCHWORK_TEST_DATA names no folder of real data with mnist")
    monkeypatch.chdir(tmp_path)
    run = torchwork.train(config.load(EXAMPLE, [f"data.source.root={folder}/mnist"]))
    assert run.metrics["test"]["accuracy"] >= 0.98
    assert (run.path / "predictions-test.csv").read_text().count("\n") == 10_001
