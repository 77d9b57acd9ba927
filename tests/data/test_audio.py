"""AudioFolder: classes from folders, names and CSV files, faults, rates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from torchwork.data.audio import AudioFolder
from torchwork.data.sound.files import damage
from torchwork.types import InputError

PATTERN = r"(?P<label>\d)_(?P<speaker>\w+)_(\d+)\.wav"


def tone(path: Path, rate: int = 8000, length: int = 800, pitch: float = 440.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * pitch * np.arange(length) / rate), rate)
    return path


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    for digit in range(3):
        for speaker in ("ann", "bob"):
            for take in range(2):
                tone(tmp_path / "spoken" / f"{digit}_{speaker}_{take}.wav", length=400 + 100 * digit)
    return tmp_path / "spoken"


def findings(make: Callable[[], object]) -> dict[str, str]:
    with pytest.raises(InputError) as raised:
        make()
    return {f"{finding.where}:{finding.code}": str(finding) for finding in raised.value.findings}


def test_the_folder_at_the_top_is_the_class(tmp_path: Path) -> None:
    for name in ("dog/1.wav", "dog/deep/2.flac", "cat/1.ogg", "cat/.hidden.wav", "cat/Thumbs.db"):
        tone(tmp_path / name) if not name.endswith("db") else (tmp_path / name).write_text("")
    source = AudioFolder(str(tmp_path))
    assert [source.name(index) for index in range(3)] == ["cat/1.ogg", "dog/1.wav", "dog/deep/2.flac"]
    assert source.targets.tolist() == ["cat", "dog", "dog"]
    assert (source.given, source.annotations, source.faults) == (None, {}, ())
    assert source.schema.sample_rate == 8000


def test_split_folders_are_given_splits(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        for label in "ab":
            tone(tmp_path / part / label / "1.wav")
    source = AudioFolder(str(tmp_path))
    assert {part: ids.tolist() for part, ids in source.given.items()} == {
        "test": [0, 1],
        "train": [2, 3],
        "val": [4, 5],
    }
    roots = {part: str(tmp_path / part) for part in ("train", "test")}
    assert {part: len(ids) for part, ids in AudioFolder(roots).given.items()} == {"train": 2, "test": 2}


def test_a_pattern_on_the_name_gives_the_class_and_further_columns(spoken: Path) -> None:
    source = AudioFolder(str(spoken), pattern=PATTERN)
    assert source.targets.tolist() == [name[0] for name in sorted(path.name for path in spoken.iterdir())]
    assert list(source.annotations) == ["speaker"]
    assert source.annotations["speaker"].tolist() == ["ann", "ann", "bob", "bob"] * 3


def test_a_pattern_with_a_slash_fits_the_path_below_root(tmp_path: Path) -> None:
    for name in ("ann/yes1.wav", "bob/no1.wav", "train/no2.wav"):
        tone(tmp_path / name)
    source = AudioFolder(str(tmp_path), pattern=r"(?P<speaker>\w+)/(?P<label>[a-z]+)\d\.wav")
    assert source.targets.tolist() == ["yes", "no", "no"]
    assert source.annotations["speaker"].tolist() == ["ann", "bob", "train"]


def test_a_pattern_has_to_fit_the_whole_name_of_every_file(spoken: Path) -> None:
    tone(spoken / "10_ann_0.wav")
    found = findings(lambda: AudioFolder(str(spoken), pattern=PATTERN))
    assert "1 sound has a name that pattern does not fit" in found["root:no-class"]
    assert "10_ann_0.wav" in found["root:no-class"]
    assert len(AudioFolder(str(spoken), pattern=PATTERN, ignore=["10_*"])) == 12


def test_loose_files_without_a_pattern_are_refused_with_both_ways_out(spoken: Path) -> None:
    said = findings(lambda: AudioFolder(str(spoken)))["root:no-class"]
    assert "12 sounds lie in no class folder" in said
    assert said.endswith("move each into the folder of its class, or give a pattern that finds the class in the names")


def test_a_csv_file_gives_targets_splits_and_further_columns(tmp_path: Path) -> None:
    lines = ["place,file,loudness,part,who"]
    for number in range(4):
        tone(tmp_path / "sounds" / f"{number}.wav")
        lines.append(f"x,{number}.wav,{number / 2},{'train' if number < 3 else 'test'},{'ann' if number else ''}")
    table = tmp_path / "list.csv"
    table.write_text("\n".join(lines))
    options = {"file_column": "file", "target_column": "loudness", "split_column": "part"}
    source = AudioFolder(str(tmp_path / "sounds"), annotations=str(table), **options)
    assert source.schema.target == "number"
    assert source.targets.tolist() == [[0.0], [0.5], [1.0], [1.5]]
    assert source.given["test"].tolist() == [3]
    assert source.annotations["who"].tolist() == ["", "ann", "ann", "ann"]
    assert source.annotations["place"].tolist() == ["x"] * 4


def test_reading_gives_each_sound_as_long_as_it_is(spoken: Path) -> None:
    source = AudioFolder(str(spoken), pattern=PATTERN)
    sounds, targets = source.read(np.array([11, 0, 4]), epoch=1)
    assert [len(sound) for sound in sounds] == [600, 400, 500]
    assert targets.tolist() == ["2", "0", "1"]
    for sound, index in zip(sounds, (11, 0, 4), strict=True):
        expected, _ = soundfile.read(source.paths[index], dtype="float32")
        np.testing.assert_array_equal(sound.numpy(), expected)
    assert source.seconds[11] == 600 / 8000


def test_files_of_several_rates_need_a_word_on_which(spoken: Path) -> None:
    tone(spoken / "0_ann_9.wav", rate=16000, length=1600)
    found = findings(lambda: AudioFolder(str(spoken), pattern=PATTERN))
    assert "12 files of 8,000 Hz, 1 file of 16,000 Hz" in found["sample_rate:several-rates"]
    assert "sample_rate: 8000" in found["sample_rate:several-rates"]
    source = AudioFolder(str(spoken), pattern=PATTERN, sample_rate=8000)
    assert source.name(2) == "0_ann_9.wav"
    assert len(source.read(np.array([2]), epoch=1)[0][0]) == 800


def test_files_that_cannot_be_used_are_faults_and_the_source_stays_whole(spoken: Path) -> None:
    whole = (spoken / "0_ann_0.wav").read_bytes()
    (spoken / "0_ann_0.wav").write_bytes(whole[:-3])
    (spoken / "1_bob_1.wav").write_bytes(b"")
    (spoken / "2_ann_0.wav").write_bytes(b"words" * 20)
    source = AudioFolder(str(spoken), pattern=PATTERN)
    assert len(source) == 12
    found = [(source.name(fault.index), fault.code) for fault in source.faults]
    assert found == [("0_ann_0.wav", "truncated"), ("1_bob_1.wav", "zero-byte"), ("2_ann_0.wav", "not-a-sound")]
    with pytest.raises(InputError, match=r"2 of 12 sounds cannot be read: 0_ann_0.wav .*1_bob_1.wav"):
        source.read(np.arange(8), epoch=1)
    assert damage(source, range(1, 7)) == []
    assert damage(source, range(12)) == list(source.faults)
    for path in spoken.iterdir():
        path.write_bytes(b"")
    assert ":unreadable-sounds" in findings(lambda: AudioFolder(str(spoken), pattern=PATTERN))


def test_another_file_in_a_class_folder_is_a_fault(tmp_path: Path) -> None:
    for name in ("cat/1.wav", "dog/1.wav"):
        tone(tmp_path / name)
    (tmp_path / "cat" / "notes.txt").write_text("a")
    source = AudioFolder(str(tmp_path))
    assert [(source.name(fault.index), fault.code) for fault in source.faults] == [("cat/notes.txt", "not-a-sound")]
    assert len(AudioFolder(str(tmp_path), ignore=["*.txt"])) == 2


def one_class(folder: Path) -> dict[str, object]:
    tone(folder / "a" / "1.wav")
    return {"root": str(folder)}


def words_among_them(folder: Path) -> dict[str, object]:
    tone(folder / "a" / "1.wav")
    (folder / "a" / "notes.txt").write_text("a")
    tone(folder / "1.wav")
    (folder / "b").mkdir()
    return {"root": str(folder)}


def named(folder: Path) -> str:
    tone(folder / "a.wav")
    (folder / "list.csv").write_text("file,label\na.wav,x\nb.wav,y\n")
    return str(folder / "list.csv")


WRONG: dict[str, tuple[Callable[[Path], dict[str, object]], list[str]]] = {
    "nothing": (lambda folder: {}, ["root:missing-option"]),
    "no folder": (lambda folder: {"root": str(folder / "no")}, ["root:missing-path"]),
    "one class": (one_class, ["root:one-class"]),
    "all at once": (words_among_them, ["root:no-class", "root:empty-class"]),
    "no regular expression": (lambda folder: {"root": str(folder), "pattern": "("}, ["pattern:wrong-pattern"]),
    "no label": (lambda folder: {"root": str(folder), "pattern": r"(\d).wav"}, ["pattern:no-label"]),
    "columns of nothing": (
        lambda folder: {"root": str(folder), "target_column": "x", "kind": "class"},
        ["target_column:no-annotations", "kind:no-annotations"],
    ),
    "two that say the class": (
        lambda folder: {"annotations": named(folder), "pattern": PATTERN, "root": {"train": str(folder)}},
        ["pattern:excludes", "root:excludes"],
    ),
    "no column": (
        lambda folder: {"annotations": named(folder), "target_column": "lable"},
        ["target_column:missing-column"],
    ),
    "a rate of nothing": (lambda folder: {"root": str(folder), "sample_rate": 0}, ["sample_rate:wrong-value"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_told_all_at_once(tmp_path: Path, case: str) -> None:
    make, expected = WRONG[case]
    assert list(findings(lambda: AudioFolder(**make(tmp_path)))) == expected


def test_a_file_that_the_csv_names_and_nobody_finds_is_a_fault(tmp_path: Path) -> None:
    source = AudioFolder(annotations=named(tmp_path))
    assert [(fault.index, fault.code) for fault in source.faults] == [(1, "missing")]
