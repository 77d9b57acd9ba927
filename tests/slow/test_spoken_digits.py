"""Spoken digits: voices that training heard, and each of the three that it did not; each row prints its figure.

The settings of the example were chosen with other seeds.
"""

import os
import tarfile
from pathlib import Path

import pytest

import torchwork
from torchwork import config as config_files

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("TORCHWORK_TEST_DATA" not in os.environ, reason="TORCHWORK_TEST_DATA is not set"),
]

EXAMPLE = Path(__file__).parents[2] / "examples" / "spoken_digits.yaml"
SEED = 29  # chose no setting


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("spoken")
    with tarfile.open(Path(os.environ["TORCHWORK_TEST_DATA"]) / "spoken-digits-3-speakers.tar.gz") as archive:
        archive.extractall(place / "data" / "spoken-digits", filter="data")
    return place


def accuracy(place, monkeypatch, capsys, name, required, split=None):
    monkeypatch.chdir(place)
    config = config_files.load(EXAMPLE).model_dump() | {"seed": SEED}
    if split is not None:
        config["data"]["split"] = split
    measured = torchwork.train(config, out=place / f"run-{name}").metrics["test"]["accuracy"]
    with capsys.disabled():
        print(f"\nspoken digits, {name:28s} accuracy {measured:.4f} >= {required}", end="", flush=True)
    assert measured >= required


def test_voices_that_training_heard_are_understood(place, monkeypatch, capsys):
    accuracy(place, monkeypatch, capsys, "seen speakers", 0.95)


@pytest.mark.parametrize("speaker", ["george", "jackson", "theo"])
def test_a_voice_that_training_never_heard_is_understood(speaker, place, monkeypatch, capsys):
    split = {"by": "grouped", "group": "speaker", "test_groups": [speaker], "val": 0}
    accuracy(place, monkeypatch, capsys, f"{speaker} left out", 0.60, split)
