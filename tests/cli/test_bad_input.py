"""What is wrong with the input is told before anything is written: where, what, no traceback, exit code 2."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from PIL import Image

REST = "model: {name: MLP, hidden: [4]}\noptimizer: Adam\ntrain: {epochs: 1}\n"
TABLE = "data: {source: {name: Table, path: t.csv, target: y}}\n" + REST
IMAGES = "data: {source: {name: ImageFolder, root: photos}}\n" + REST
DIGITS = "data: {source: Digits}\n" + REST

OWN = """\
import torch

class Labels(torch.utils.data.Dataset):
    classes = ["a", "b"]

    def __init__(self, highest: int = 1):
        self.highest = highest

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return torch.randn(3), min(index % 2 + (index == 7) * 5, self.highest)

def three_outputs():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
"""


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    level = zlib.crc32(str(path).encode()) % 2**24  # each one another, as equal ones would stay together
    Image.new("RGB", (8, 8), (level >> 16, level >> 8 & 255, level & 255)).save(path)


def photos(folder: Path, classes: str = "ab", count: int = 6) -> None:
    for name in classes:
        for number in range(count):
            image(folder / name / f"{number}.png")


def empty_folder(here: Path) -> None:
    (here / "photos").mkdir()


def one_class(here: Path) -> None:
    photos(here / "photos", "a")


def unreadable_images(here: Path) -> None:
    photos(here / "photos")
    (here / "photos" / "a" / "bad.png").write_bytes(b"no image")
    (here / "photos" / "b" / "cut.png").write_bytes((here / "photos" / "b" / "0.png").read_bytes()[:40])


def unknown_class(here: Path) -> None:
    photos(here / "photos" / "train", "ab")
    photos(here / "photos" / "val", "abz")


def images_of_two_sizes(here: Path) -> None:
    photos(here / "photos")
    Image.new("RGB", (9, 7)).save(here / "photos" / "a" / "wide.png")


def no_column(here: Path) -> None:
    (here / "t.csv").write_text("a,b,Y\n" + "1,2,x\n3,4,z\n" * 10)


def nan_in_table(here: Path) -> None:
    (here / "t.csv").write_text("a,b,y\n" + "1,2,x\n3,4,z\n" * 10 + "1,,x\nnan,inf,z\n")


def own_code(here: Path) -> None:
    (here / "bad_input_own.py").write_text(OWN)


def nothing(here: Path) -> None:
    pass


def out_below_a_file(here: Path) -> None:
    (here / "file").write_text("")


def other_files(here: Path) -> None:
    photos(here / "photos")


OWN_LABELS = "data: {source: {name: 'bad_input_own:Labels', highest: 6}}\n" + REST
OWN_MODEL = "data: {source: Digits}\nmodel: 'bad_input_own:three_outputs'\noptimizer: Adam\n"

CASES = {
    "a missing path": (nothing, IMAGES, [], ["data.source.root", "photos is not there"]),
    "a missing table": (nothing, TABLE, [], ["data.source.path", "t.csv is not there"]),
    "an empty folder": (empty_folder, IMAGES, [], ["data.source.root", "photos"]),
    "a folder with one class": (one_class, IMAGES, [], ["data.source.root", "one class only (a)"]),
    "a table without the column": (no_column, TABLE, [], ["data.source.target", "'y'", "did you mean 'Y'?"]),
    "unreadable images": (unreadable_images, IMAGES, [], ["unreadable=drop", "2 of 14", "a/bad.png", "b/cut.png"]),
    "NaN in a table": (nan_in_table, TABLE, [], ["data.clean.missing", "3 cells", "'a'", "row 22", "'b'", "row 21"]),
    "a class that train lacks": (unknown_class, IMAGES, ["data.batch_size=2"], ["'z'", "val"]),
    "images of two sizes": (
        images_of_two_sizes,
        IMAGES,
        ["data.batch_size=2"],
        ["data.transform", "add {name: Resize"],
    ),
    "a label out of range": (own_code, OWN_LABELS, [], ["data", "6"]),
    "an epoch count of zero": (nothing, DIGITS, ["train.epochs=0"], ["train.epochs", "at least 1"]),
    "an output that does not fit": (own_code, OWN_MODEL, [], ["model", "3", "10"]),
    "a directory below a file": (out_below_a_file, DIGITS, ["--out", "file/run"], ["--out", "file/run"]),
    "a batch over the data": (
        nothing,
        DIGITS,
        ["data.batch_size=5000", "data.drop_last=true"],
        ["data.batch_size", "5000"],
    ),
    "a metric that nobody computes": (nothing, DIGITS, ["train.monitor=accuracy"], ["train.monitor", "accuracy"]),
    "a metric of another task": (
        nothing,
        DIGITS,
        ["train.monitor=val_r2"],
        ["train.monitor", "'val_r2'", "val_loss, val_accuracy"],
    ),
    "an output directory that is a file": (out_below_a_file, DIGITS, ["--out", "file"], ["--out", "no directory"]),
    "an output directory with other files": (
        other_files,
        DIGITS,
        ["--out", "photos"],
        ["--out", "photos", "not empty"],
    ),
    "an import path without its name": (
        own_code,
        DIGITS,
        ["model=bad_input_own:nobody"],
        ["'nobody'", "known: Labels, three_outputs, torch\n"],
    ),
    "an option where there are none": (nothing, DIGITS, ["data.source={name: Digits, zzz: 1}"], ["'zzz'", "remove it"]),
    "a loss of numbers for classes": (nothing, DIGITS, ["loss=MSELoss"], ["loss", "MSELoss"]),
    "a group that matches nothing": (
        nothing,
        DIGITS,
        ["optimizer.groups=[{match: 'conv*', lr: 1}]"],
        ["optimizer.groups[0].match", "conv*"],
    ),
    "an import path that leads nowhere": (nothing, DIGITS, ["model=nowhere.at_all:Net"], ["model", "nowhere.at_all"]),
    "a seed that is a text": (nothing, DIGITS, ["seed=abc"], ["seed", "'abc'"]),
}


@pytest.mark.parametrize("command", ["train", "check"])
@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_before_training(torchwork, tmp_path, monkeypatch, command, case):
    prepare, content, arguments, said = CASES[case]
    if command == "check" and "--out" in arguments:
        pytest.skip("check has no --out")
    monkeypatch.syspath_prepend(tmp_path)
    prepare(tmp_path)
    (tmp_path / "c.yaml").write_text(content)
    before = sorted(tmp_path.rglob("*"))
    done = torchwork(command, "c.yaml", *arguments)
    assert done.code == 2, done.err
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    for part in said:
        assert part in done.err, done.err
    written = {path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in path.parts} - set(before)
    assert not written
    assert "torchwork resume" not in done.err


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(torchwork, tmp_path):
    (tmp_path / "c.yaml").write_text(DIGITS)
    done = torchwork("train", "c.yaml", "optimizer={name: SGD, lr: 1e30}", "--out", "run", "train.epochs=3")
    assert done.code == 1
    assert "Traceback" not in done.err
    for part in ("step", "epoch", "samples", "This step was not taken", "no checkpoint yet"):
        assert part in done.err, done.err
    assert (tmp_path / "run" / "log.txt").is_file()
