"""Every example runs as it stands, and reaches what it should."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import torchwork
from torchwork import config
from torchwork.report import drawings

EXAMPLES = Path(__file__).parent.parent / "examples"
REACHED = {
    "digits": ("accuracy", 0.97),
    "image_folder": ("accuracy", 0.96),
    "annotated_csv": ("accuracy", 0.96),
    "table_regression": ("r2", 0.3),
    "table_missing": ("r2", 0.3),
}
DRAWN = ("digits", "table_regression")  # one of classes and one of numbers: drawing takes longer than the training


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("examples")
    subprocess.run([sys.executable, EXAMPLES / "make_data.py"], cwd=place, check=True, stdout=subprocess.DEVNULL)
    return place


@pytest.mark.parametrize("name", REACHED)
def test_an_example_reaches_its_figure(name, place, monkeypatch):
    monkeypatch.chdir(place)
    if name not in DRAWN:
        monkeypatch.setattr(drawings, "KINDS", dict.fromkeys(drawings.KINDS, ()))
    run = torchwork.train(EXAMPLES / f"{name}.yaml")
    metric, least = REACHED[name]
    assert run.metrics["test"][metric] >= least


def test_the_script_with_its_own_model_and_data_set_learns(place):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, EXAMPLES / "own_model.py"]
    done = subprocess.run(command, cwd=place, check=True, capture_output=True, text=True, env=environment)
    assert done.stderr == ""
    assert float(re.search(r"the weights of epoch \d+: (\S+)", done.stdout)[1]) > 0.95


@pytest.mark.parametrize("path", sorted((EXAMPLES / "losses").glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_of_a_loss_is_sound_and_trains_two_steps(path, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(EXAMPLES.parent)
    settings = config.load(path)
    if settings.data.target is not None:  # the student's teacher is another example
        monkeypatch.setattr("torchwork.run_data._taught", lambda run, source, ids, target: target)
    plan = torchwork.check(settings)
    assert plan.loss == settings.loss["name"]
    assert [finding for finding in plan.findings if finding.severity == "error"] == []


def test_no_example_is_longer_than_sixty_lines():
    files = [path for end in ("*.yaml", "*.py") for path in EXAMPLES.rglob(end)]
    assert len(files) > 15
    assert [path.name for path in files if len(path.read_text().splitlines()) > 60] == []
