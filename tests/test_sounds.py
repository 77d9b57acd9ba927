"""Runs on sounds from the files to predictions: the same bytes however they are read, stopped and gone on with."""

from __future__ import annotations

import os
import shutil
import signal
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

import torchwork
from torchwork import config as config_files
from torchwork import rundir
from torchwork.assembly import assemble
from torchwork.training.interrupt import Interrupted
from torchwork.types import InputError

EXAMPLE = Path(__file__).parent.parent / "examples" / "spoken_digits.yaml"
RATE = 8000


@pytest.fixture(scope="module")
def tones(tmp_path_factory) -> Path:
    """Sounds of three pitches by two players: 60 files, some of them FLAC."""
    folder = tmp_path_factory.mktemp("tones")
    random = np.random.default_rng(0)
    for take in range(10):
        for pitch in (300, 600, 1200):
            for player in ("ann", "bob"):
                length = int(random.integers(1200, 2400))
                tone = 0.3 * np.sin(2 * np.pi * pitch * (1 + 0.02 * random.normal()) * np.arange(length) / RATE)
                ending = "flac" if take == 9 else "wav"
                soundfile.write(
                    folder / f"{pitch}_{player}_{take}.{ending}", tone + 0.01 * random.normal(size=length), RATE
                )
    return folder


def settings(tones: Path, **data) -> dict:
    source = {"name": "AudioFolder", "root": str(tones), "pattern": r"(?P<label>\d+)_(?P<player>\w+)_\d\.(wav|flac)"}
    layers = [
        {"name": "Flatten", "start_dim": 1, "end_dim": 2},
        {"name": "Conv1d", "out_channels": 8, "kernel_size": 3},
    ]
    return {
        "data": {
            "source": source,
            "transform": [
                "TrimSilence",
                {"name": "LogMelSpectrogram", "n_mels": 16, "remove_band_means": False},
                "Normalize",
            ],
            "augment": [
                {"name": "TimeWarp"},
                {"name": "FrequencyWarp"},
                {"name": "TimeMasking", "time_mask_param": 4},
                {"name": "FrequencyMasking", "freq_mask_param": 3},
            ],
            "batch_size": 8,
            **data,
        },
        "model": {
            "name": "Sequential",
            "layers": [*layers, "ReLU", {"name": "AdaptiveMaxPool1d", "output_size": 1}, "Flatten", "Linear"],
        },
        "optimizer": {"name": "Adam", "lr": 1e-2},
        "train": {"epochs": 5},
    }


def outcome(path: Path) -> tuple[bytes, bytes]:
    return (path / rundir.MODEL).read_bytes(), (path / rundir.FITTED).read_bytes()


@pytest.fixture(scope="module")
def straight(tones, tmp_path_factory):
    return torchwork.train(settings(tones), out=tmp_path_factory.mktemp("run") / "straight")


def test_a_run_learns_pitches_and_predicts_files_of_another_rate_and_format(straight, tones, tmp_path):
    assert straight.metrics["test"]["accuracy"] > 0.8
    tone = 0.3 * np.sin(2 * np.pi * 600 * np.arange(3600) / 16000)
    files = []
    for ending in ("wav", "flac", "ogg"):
        files.append(tmp_path / f"a.{ending}")
        soundfile.write(files[-1], np.stack([tone, tone], 1), 16000)
    rows = torchwork.load(straight.path).predict(files)
    assert [row["name"] for row in rows] == [str(path) for path in files]
    assert [row["prediction"] for row in rows] == ["600"] * 3


def test_augmentation_for_pictures_is_told_before_training_and_that_for_sounds_is_not(tones, tmp_path):
    config = settings(tones, augment=["RandomHorizontalFlip", {"name": "TimeMasking", "time_mask_param": 4}, "MixUp"])
    found = [finding for finding in assemble(config_files.load(config)).findings if finding.code == "picture-augment"]
    assert [(finding.where, finding.severity) for finding in found] == [("data.augment[0]", "warning")]
    assert "RandomHorizontalFlip is made for pictures" in found[0].message
    assert "TimeMasking" in found[0].fix


def test_predictions_are_those_of_the_test_split(straight, tones):
    rows = (straight.path / "predictions-test.csv").read_text().splitlines()[1:]
    order = sorted(tones.iterdir())
    files = [order[int(row.split(",")[0])] for row in rows]
    again = [row["prediction"] for row in straight.predict(files)]
    assert again == [row.split(",")[2] for row in rows]


def test_what_cannot_be_predicted_is_named(straight, tmp_path):
    cut = tmp_path / "cut.wav"
    soundfile.write(cut, np.ones(2000) * 0.1, RATE)
    cut.write_bytes(cut.read_bytes()[:-10])
    (tmp_path / "words.wav").write_text("no sound at all")
    with pytest.raises(InputError, match=r"no file can be read: .*cut.wav .*words.wav"):
        straight.predict([cut, tmp_path / "words.wav"])
    soundfile.write(tmp_path / "good.wav", np.ones(2000) * 0.1, RATE)
    with pytest.raises(InputError) as raised:
        straight.predict([cut, tmp_path / "good.wav", tmp_path / "words.wav"])
    assert [finding.code for finding in raised.value.findings] == ["truncated", "not-a-sound"]
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="this model takes WAV, FLAC or OGG files"):
        straight.predict([tmp_path / "a.png"])
    for array in (np.zeros((2, 1, 4000), np.float32), np.zeros((2, 4000), np.int16)):
        with pytest.raises(InputError, match=r"give floats \[N, n\] at 8,000 samples a second, or WAV, FLAC or OGG"):
            straight.predict(array)


def test_recordings_in_an_array_are_predicted_as_those_in_files(straight, tones):
    files = sorted(tones.glob("*_0.wav"))
    arrays = [soundfile.read(path)[0][None, :1200] for path in files]
    cut = [tones.parent / f"cut-{path.name}" for path in files]
    for path, array in zip(cut, arrays, strict=True):
        soundfile.write(path, array[0], RATE, subtype="DOUBLE")
    assert [{**row, "name": ""} for row in straight.predict(np.concatenate(arrays))] == [
        {**row, "name": ""} for row in straight.predict(cut)
    ]


class StopAt:
    """Asks to stop at a step, as a scheduler would."""

    def __init__(self, index):
        self.index = index

    def start(self, *_): ...
    def epoch(self, row): ...
    def stop(self): ...
    def message(self, text): ...
    def finding(self, found): ...

    def step(self, step, epoch):
        if step.index == self.index:
            signal.raise_signal(signal.SIGTERM)


def test_a_run_that_stopped_ends_as_one_that_did_not(straight, tones, tmp_path):
    with pytest.raises(Interrupted):
        torchwork.train(settings(tones), out=tmp_path / "run", progress=StopAt(9))
    assert outcome(torchwork.resume(tmp_path / "run").path) == outcome(straight.path)


def test_workers_that_read_anew_give_the_same_bytes(straight, tones, tmp_path, monkeypatch):
    monkeypatch.setattr("torchwork.data.resident.SHARE", 0.0)  # nothing is kept in memory
    run = torchwork.train(settings(tones, num_workers=2), out=tmp_path / "run")
    assert outcome(run.path) == outcome(straight.path)


def test_damaged_files_stop_a_run_or_are_set_aside_by_name(tones, tmp_path):
    damaged = tmp_path / "tones"
    shutil.copytree(tones, damaged)
    (damaged / "300_ann_0.wav").write_bytes((damaged / "300_ann_0.wav").read_bytes()[:1000])
    (damaged / "600_bob_9.flac").write_bytes(b"")
    with pytest.raises(InputError, match=r"(?s)300_ann_0.wav .*600_bob_9.flac"):
        torchwork.train(settings(damaged), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    run = torchwork.train(settings(damaged, clean={"unreadable": "drop"}), out=tmp_path / "run")
    rows = (run.path / rundir.SET_ASIDE).read_text().splitlines()[1:]
    assert [row.split(",")[1:3] for row in rows] == [["300_ann_0.wav", "truncated"], ["600_bob_9.flac", "zero-byte"]]
    assert sum(run.data["num_samples"].values()) == 58


def test_a_voice_that_is_left_out_is_in_test_alone(tones, tmp_path):
    split = {"by": "grouped", "group": "player", "test_groups": ["bob"], "val": 0}
    run = torchwork.train(settings(tones, split=split), out=tmp_path / "run")
    assert run.data["num_samples"] == {"train": 30, "test": 30}
    assert run.metrics["test"]["accuracy"] > 0.8


@pytest.mark.skipif("TORCHWORK_TEST_DATA" not in os.environ, reason="TORCHWORK_TEST_DATA is not set")
def test_a_part_of_the_spoken_digits_is_learnt_by_the_example(tmp_path, monkeypatch):
    with tarfile.open(Path(os.environ["TORCHWORK_TEST_DATA"]) / "spoken-digits-3-speakers.tar.gz") as archive:
        members = [member for member in archive.getmembers() if member.name.endswith(("0.wav", "1.wav", "2.wav"))]
        archive.extractall(tmp_path / "data" / "spoken-digits", members, filter="data")
    monkeypatch.chdir(tmp_path)
    config = config_files.load(EXAMPLE).model_dump() | {"seed": 23, "train": {"epochs": 12, "threads": 1}}
    run = torchwork.train(config, out=tmp_path / "run")
    assert sum(run.data["num_samples"].values()) == 450
    assert run.metrics["test"]["accuracy"] >= 0.8
