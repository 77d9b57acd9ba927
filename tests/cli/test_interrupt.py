"""Ctrl-C and SIGTERM: the step is finished, its checkpoint saved, and the run can go on to the same result."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CONFIG = """\
data: {source: Digits, transform: [Normalize], batch_size: 8}
model: {name: MLP, hidden: [16]}
optimizer: {name: Adam, lr: 0.001}
train: {epochs: 20, threads: 1}
"""


def interrupted(folder: Path, number: int) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own, and send it a signal once the first epoch has been written."""
    (folder / "c.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "torchwork", "train", "c.yaml", "--out", "run"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while process.poll() is None and not (folder / "run" / "history.csv").is_file():
            time.sleep(0.005)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_ctrl_c_stops_after_the_step_and_resume_goes_on_to_the_same_result(torchwork, tmp_path):
    done = interrupted(tmp_path, signal.SIGINT)
    assert done.returncode == 130, done.stderr
    assert "which is saved; go on with: torchwork resume run" in done.stderr
    assert "Traceback" not in done.stderr
    assert any((tmp_path / "run" / "checkpoints").iterdir())
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert torchwork("resume", "run", "-q").code == 0
    assert torchwork("train", "c.yaml", "--out", "straight", "-q").code == 0
    for file in ("model.safetensors", "metrics.json", "predictions-test.csv"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "straight" / file).read_bytes(), file


@pytest.mark.slow
def test_sigterm_stops_in_the_same_way(tmp_path):
    done = interrupted(tmp_path, signal.SIGTERM)
    assert done.returncode == 143, done.stderr
    assert "torchwork resume run" in done.stderr
    assert any((tmp_path / "run" / "checkpoints").iterdir())
