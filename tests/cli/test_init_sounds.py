"""``torchwork init`` on sounds: class folders, a CSV file that names them, and names that say what each is."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from torchwork import config


def tone(path: Path, pitch: float, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.01 * np.random.default_rng(zlib.crc32(path.name.encode())).normal(size=rate // 10)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * np.arange(rate // 10) / rate) + noise, rate)


def class_folders(here: Path) -> Path:
    for number in range(12):
        tone(here / "set" / "low" / f"{number}.wav", 300)
        tone(here / "set" / "high" / f"{number}.flac", 900, rate=16000)
    (here / "set" / "low" / "notes.txt").write_text("a")
    return here / "set"


def named(here: Path) -> Path:
    for number in range(10):
        for digit in range(3):
            for speaker in ("ann", "bob"):
                tone(here / "set" / f"{digit}_{speaker}_{number}.wav", 300 * (1 + digit))
    return here / "set"


def annotated(here: Path) -> Path:
    lines = ["clip,mood,split"]
    for number in range(24):
        tone(here / "set" / "clips" / f"{number}.ogg", 300 if number % 2 else 900)
        lines.append(f"{number}.ogg,{'calm' if number % 2 else 'wild'},{'test' if number > 17 else 'train'}")
    (here / "set" / "list.csv").write_text("\n".join(lines))
    return here / "set"


SETS = {
    class_folders: (
        {"name": "AudioFolder", "sample_rate": 8000, "ignore": ["*.txt"]},
        {"by": "stratified"},
        ["24 sounds of 0.1 to 0.1 seconds at 8,000 Hz, 2 classes: high, low", "brought to the lowest", "1 *.txt"],
    ),
    named: (
        {"name": "AudioFolder", "pattern": r"(?P<label>[^_-]+)_(?P<part2>[^_-]+)_(?P<part3>[^_-]+)\.wav"},
        {"by": "stratified"},
        ["part 1 of the files' names (3 different)", "{by: grouped, group: part2}"],
    ),
    annotated: (
        {"name": "AudioFolder", "file_column": "clip", "target_column": "mood", "split_column": "split"},
        {"by": "given"},
        ["cut from their train: val"],
    ),
}


@pytest.mark.parametrize("make", SETS, ids=lambda make: make.__name__)
def test_the_config_says_what_is_there_and_trains_as_it_is(torchwork, tmp_path, make):
    source, split, comments = SETS[make]
    done = torchwork("init", make(tmp_path))
    assert done.code == 0, done.err
    loaded = config.load(done.out)
    assert loaded.data.source.items() >= source.items()
    assert loaded.data.split.model_dump().items() >= split.items()
    for comment in comments:
        assert comment in done.out, done.out
    (tmp_path / "c.yaml").write_text(done.out)
    trained = torchwork("train", "c.yaml", "train.epochs=1", "--out", "run", "-q")
    assert trained.code == 0, trained.err
    assert (tmp_path / "run" / "report.html").is_file()
    sound = next(path for path in sorted((tmp_path / "set").rglob("*")) if path.suffix in (".wav", ".flac", ".ogg"))
    predicted = torchwork("predict", "run", sound)
    assert predicted.code == 0, predicted.err
    assert "1 prediction in" in predicted.err


def test_names_that_say_nothing_are_refused_with_what_is_missing(torchwork, tmp_path):
    for number in range(5):
        tone(tmp_path / "set" / f"recording{number}.wav", 300)
    done = torchwork("init", tmp_path / "set")
    assert done.code == 2
    assert "holds 5 sounds and nothing that says what they show" in done.err


def test_one_sound_is_no_data_set(torchwork, tmp_path):
    tone(tmp_path / "a.wav", 300)
    done = torchwork("init", tmp_path / "a.wav")
    assert done.code == 2
    assert "give the folder that it lies in" in done.err
