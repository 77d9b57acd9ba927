"""``torchwork inspect``: what it prints, the page that it writes, and how it ends."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn import datasets

from data.planted import READABLE, plant
from torchwork import config
from torchwork.run_data import open_data


def smooth(seed: int) -> Image.Image:
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8))
    return small.resize((40, 32), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Class folders in train and test, with a class whose name is hostile."""
    number = 0
    for part, count in (("train", 12), ("test", 6)):
        for label in ("cat", "<script>alert(1)<", "dog"):
            (tmp_path / "images" / part / label).mkdir(parents=True)
            for _ in range(count):
                smooth(number).save(tmp_path / "images" / part / label / f"{number}.png")
                number += 1
    return tmp_path / "images"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page(path: Path) -> list[tuple[str, dict[str, str | None]]]:
    """The tags of a page, every one closed, that asks for nothing outside itself."""
    text = path.read_text(encoding="utf-8")
    found = _Tags()
    found.feed(text)
    assert found.open == []
    names = {tag for tag, _ in found.tags}
    assert not names & {"script", "link", "iframe", "object"}
    for _, attributes in found.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/"))
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text
    return found.tags


def test_sound_data_end_with_0_and_a_page(torchwork, folder, tmp_path):
    done = torchwork("inspect", folder)
    assert (done.code, done.err) == (0, "")
    assert done.out == "54 images of 3 classes, train 36, test 18\nnothing is to be said against them\n\ninspect.html\n"
    tags = page(tmp_path / "inspect.html")
    means = [attributes for tag, attributes in tags if tag == "img"]
    assert [mean["alt"] for mean in means] == [f"mean image of {name}" for name in ("<script>alert(1)<", "cat", "dog")]


def test_findings_are_printed_the_worst_first_and_errors_end_with_2(torchwork, folder, tmp_path):
    shutil.copy(folder / "train" / "cat" / "0.png", folder / "test" / "cat" / "leak.png")
    smooth(13).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "train" / "dog" / "turned.jpg", quality=60)
    (folder / "train" / "dog" / "broken.jpg").write_bytes(b"")
    done = torchwork("inspect", folder, "--out", tmp_path / "page.html")
    assert (done.code, done.err) == (2, "")
    severities = re.findall(r"^(error|warning|info): ", done.out, re.MULTILINE)
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert "error: zero-byte: 1 sample cannot be used (zero-byte): train/dog/broken.jpg (the file is empty)" in done.out
    assert "error: duplicates-across-splits: " in done.out
    assert "test/cat/leak.png (test) = train/cat/0.png (train)" in done.out
    assert "train/<script>alert(1)</13.png (<script>alert(1)<) = train/dog/turned.jpg (dog)" in done.out
    shown = {attributes.get("alt") for tag, attributes in page(tmp_path / "page.html") if tag == "img"}
    assert {"train/cat/0.png", "test/cat/leak.png", "train/dog/turned.jpg"} <= shown
    assert not (tmp_path / "inspect.html").exists()


def test_json_holds_all_that_is_printed_and_every_name(torchwork, folder):
    for number in range(14):
        (folder / "train" / "cat" / f"empty{number:02}.png").write_bytes(b"")
    done = torchwork("inspect", folder, "--json")
    found = json.loads(done.out)
    assert done.code == 2
    assert (found["samples"], found["splits"]) == (68, {"train": 50, "test": 18})
    (empty,) = [one for one in found["findings"] if one["code"] == "zero-byte"]
    assert empty["severity"] == "error"
    assert [name for (name,) in empty["samples"]] == [f"train/cat/empty{number:02}.png" for number in range(14)]
    assert "and 4 more" in empty["message"]


def test_a_config_is_looked_at_with_its_own_split(torchwork, folder, tmp_path):
    (tmp_path / "c.yaml").write_text(
        f"data:\n  source: {{name: ImageFolder, root: '{folder / 'train'}'}}\n"
        "  split: {train: 0.5, val: 0.25, test: 0.25}\n"
        "model: LeNet\nloss: CrossEntropyLoss\noptimizer: {name: Adam, lr: 0.001}\ntrain: {epochs: 1}\n"
    )
    shutil.copy(folder / "train" / "cat" / "0.png", folder / "train" / "cat" / "again.png")
    done = torchwork("inspect", "c.yaml")
    assert done.code == 0
    assert done.out.startswith("37 images of 3 classes, train 19, val 9, test 9\n")
    assert "duplicates: 1 group" in done.out
    assert "across-splits" not in done.out  # the split keeps them together
    done = torchwork("inspect", "c.yaml", "data.split={train: 1.0}")
    assert done.out.startswith("37 images of 3 classes, train 37\n")


def test_one_class_and_loose_files_are_findings_not_an_end(torchwork, tmp_path):
    (tmp_path / "images" / "cat").mkdir(parents=True)
    for number in range(6):
        smooth(number).save(tmp_path / "images" / "cat" / f"{number}.png")
    smooth(9).save(tmp_path / "images" / "loose.png")
    done = torchwork("inspect", "images")
    assert done.code == 2
    assert done.out.startswith("6 images of 1 class\n")
    assert "error: no-class: 1 image lies in no class folder" in done.out
    assert "error: one-class: " in done.out
    page(tmp_path / "inspect.html")


def test_images_without_classes_are_looked_at(torchwork, tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(5):
        smooth(number).save(tmp_path / "images" / f"{number}.png")
    (tmp_path / "images" / "bad.jpg").write_text("words")
    done = torchwork("inspect", "images")
    assert done.code == 2
    assert done.out.startswith("6 images\n")
    assert "error: not-an-image: 1 sample cannot be used (not-an-image): bad.jpg" in done.out


def test_nothing_to_look_at_and_overrides_without_a_config_are_refused(torchwork, folder):
    assert torchwork("inspect", "nowhere").code == 2
    done = torchwork("inspect", folder, "train.epochs=3")
    assert (done.code, done.out) == (2, "")
    assert "is no config" in done.err


def test_other_kinds_of_data_have_a_page_of_their_own(torchwork, tmp_path):
    rows = "\n".join(
        f"{number},{number % 7 * 1.5},{'ab'[number % 2]},{'yes' if number % 3 else 'no'}" for number in range(60)
    )
    (tmp_path / "t.csv").write_text(f"id,size,<b>,label\n{rows}\n")
    done = torchwork("inspect", "t.csv")
    assert "60 rows of 2 classes" in done.out
    assert any(tag == "svg" for tag, _ in page(tmp_path / "inspect.html"))
    lines = "".join(f"{'ham' if number % 2 else 'spam'}\tthis is text number {number}\n" for number in range(40))
    (tmp_path / "s.tsv").write_text(f"{lines}ham\tthis is  text number 3\nspam\tTHIS is text number 3\n")
    done = torchwork("inspect", "s.tsv")
    assert "42 texts of 2 classes" in done.out
    assert "warning: near-two-labels: " in done.out
    page(tmp_path / "inspect.html")


def test_the_page_of_many_classes_is_cut_and_says_so(torchwork, tmp_path):
    for label in range(230):
        (tmp_path / "images" / f"class {label:03}").mkdir(parents=True)
        for number in range(2):
            smooth(2 * label + number).save(tmp_path / "images" / f"class {label:03}" / f"{number}.png")
    assert torchwork("inspect", "images").code == 0
    text = (tmp_path / "inspect.html").read_text()
    assert "30 more classes are not shown" in text
    assert text.count('class="mean"') == 200


def test_what_a_config_sets_aside_is_no_error(torchwork, folder, tmp_path):
    (folder / "train" / "dog" / "broken.jpg").write_bytes(b"")
    shutil.copy(folder / "train" / "cat" / "0.png", folder / "test" / "cat" / "leak.png")
    (tmp_path / "c.yaml").write_text(
        f"data:\n  source: {{name: ImageFolder, root: '{folder}'}}\n"
        "model: LeNet\nloss: CrossEntropyLoss\noptimizer: {name: Adam, lr: 0.001}\ntrain: {epochs: 1}\n"
    )
    done = torchwork("inspect", "c.yaml")
    assert done.code == 2
    assert done.out.count("error: ") == 2
    done = torchwork("inspect", "c.yaml", "data.clean={unreadable: drop, duplicates: keep_first}")
    assert done.code == 0
    assert "warning: zero-byte: " in done.out
    assert "warning: duplicates: " in done.out
    assert "across-splits" not in done.out  # the later one is in no split


CONFIG = "model: MLP\nloss: MSELoss\noptimizer: {name: Adam, lr: 0.001}\ntrain: {epochs: 1}\n"


def _patients() -> pd.DataFrame:
    frame = datasets.load_diabetes(as_frame=True).frame[["age", "bmi", "bp", "s5", "target"]]
    return frame.sample(frac=1, random_state=0, ignore_index=True)


def _as_it_is(frame):
    return frame


def _with_holes(frame):
    frame.loc[::9, "bmi"] = np.nan
    return frame


def _with_an_infinite_cell(frame):
    frame.loc[4, "bp"] = np.inf
    return frame


def _without_targets(frame):
    frame.loc[[3, 8], "target"] = np.nan
    return frame


def _with_repeated_rows(frame):
    return pd.concat([frame, frame[:5]], ignore_index=True)


def _with_an_outlier(frame):
    frame.loc[7, "age"] = 40.0
    return frame


def _with_a_constant(frame):
    frame["unit"] = 1.5
    return frame


def _with_a_stray_text(frame):
    frame["age"] = frame["age"].astype(object)
    frame.loc[6, "age"] = "old"
    frame.loc[2, "bp"] = np.nan
    return frame


@pytest.mark.parametrize(
    ("spoil", "clean"),
    [
        (_as_it_is, ""),
        (_with_holes, ""),
        (_with_holes, "missing: median"),
        (_with_holes, "missing: drop"),
        (_with_an_infinite_cell, ""),
        (_with_an_infinite_cell, "missing: mean"),
        (_without_targets, "missing: median"),
        (_without_targets, "missing: median, unreadable: drop"),
        (_with_repeated_rows, "duplicates: error"),
        (_with_repeated_rows, "duplicates: keep_first"),
        (_with_an_outlier, "outliers: error"),
        (_with_an_outlier, "outliers: drop"),
        (_with_a_constant, ""),
        (_with_a_stray_text, "missing: median"),
    ],
)
def test_a_config_is_refused_where_check_refuses_it_and_else_has_the_splits_of_the_run(
    torchwork, tmp_path, spoil, clean
):
    spoil(_patients()).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "c.yaml").write_text(
        "data:\n  source: {name: Table, path: t.csv, target: target, kind: number}\n"
        f"  clean: {{{clean}}}\n  split: {{train: 0.6, val: 0.2, test: 0.2}}\n{CONFIG}"
    )
    checked = torchwork("check", "c.yaml")
    found = torchwork("inspect", "c.yaml", "--json")
    assert found.code == checked.code
    if not found.code:
        data, _ = open_data(config.load(tmp_path / "c.yaml"), torch.device("cpu"))
        assert json.loads(found.out)["splits"] == {part: len(ids) for part, ids in data.splits.items()}


def test_a_given_leak_and_sizes_that_differ_are_refused_as_check_refuses_them(torchwork, folder, tmp_path):
    def config(root: Path) -> str:
        rest = CONFIG.replace("MLP", "LeNet").replace("MSELoss", "CrossEntropyLoss")
        return f"data: {{source: {{name: ImageFolder, root: '{root}'}}, batch_size: 4}}\n{rest}"

    shutil.copytree(folder / "train", tmp_path / "uneven")
    smooth(5).resize((30, 30)).save(tmp_path / "uneven" / "cat" / "0.png")
    (tmp_path / "uneven.yaml").write_text(config(tmp_path / "uneven"))
    (tmp_path / "given.yaml").write_text(config(folder))
    assert torchwork("inspect", "given.yaml").code == torchwork("check", "given.yaml").code == 0
    assert torchwork("inspect", "uneven.yaml").code == torchwork("check", "uneven.yaml").code == 2
    shutil.copy(folder / "train" / "cat" / "0.png", folder / "test" / "cat" / "leak.png")
    done = torchwork("inspect", "given.yaml")
    assert done.code == torchwork("check", "given.yaml").code == 2
    assert re.findall(r"^error: ([\w-]+)", done.out, re.MULTILINE) == ["duplicates-across-splits"]


def _mixed_table(path: Path) -> None:
    """Of 200 rows one has no number in ``age``, a tenth none in ``dose``; ``bp`` has an infinite cell."""
    frame = _patients()[:200].astype({"age": object})
    frame.loc[6, "age"] = "old"
    frame["dose"] = [f"about {row}" if row % 10 == 5 else f"{row * 0.7:.2f}" for row in range(200)]
    frame.loc[2, "bp"] = np.inf
    frame.to_csv(path, index=False)


def test_numbers_with_a_few_texts_among_them_are_told_with_their_rows_and_hide_nothing_else(torchwork, tmp_path):
    _mixed_table(tmp_path / "t.csv")
    by_path = torchwork("inspect", "t.csv")
    (tmp_path / "c.yaml").write_text(
        "data: {source: {name: Table, path: t.csv, target: target, kind: number, columns: [age, bmi, bp, dose]}}\n"
        f"{CONFIG}"
    )
    by_config = torchwork("inspect", "c.yaml")
    assert (by_path.code, by_config.code) == (2, 2)
    for done in (by_path, by_config):
        assert (
            "warning: mixed-types: column 'age' holds numbers (199 of 200 cells) and texts: 'old' in row 7" in done.out
        )
        assert "mixed-types: column 'dose' holds numbers (180 of 200 cells) and texts: 'about 5' in row 6" in done.out
        assert "error: infinite-cells: 1 cell is infinite: column 'bp' (1): row 3" in done.out
    assert "error: stray-texts: column 'age' holds numbers, but 'old' in row 7" in by_config.out
    assert "error: " in torchwork("check", "c.yaml").err


def test_every_planted_file_is_found_from_the_command(torchwork, tmp_path):
    planted = plant(tmp_path / "corpus")
    done = torchwork("inspect", "corpus", "--json")
    assert (done.code, done.err) == (2, "")
    found = json.loads(done.out)
    told = {one["code"]: {name for group in one["samples"] for name in group} for one in found["findings"]}
    for file in planted:
        name = file.path.relative_to(tmp_path / "corpus").as_posix()
        if file.fate != READABLE and file.kind != "other ending":  # init passes these over
            assert name in told[file.fate], file
    assert "image that the name hides" in done.out
    page(tmp_path / "inspect.html")


def test_what_no_source_would_take_is_said_on_a_page_too(torchwork, tmp_path):
    (tmp_path / "one.csv").write_text("size,label\n" + "".join(f"{number % 7 * 0.5},yes\n" for number in range(30)))
    done = torchwork("inspect", "one.csv")
    assert done.code == 2
    assert "error: one-class: " in done.out
    page(tmp_path / "inspect.html")


def test_a_set_of_which_nothing_can_be_read_is_told_by_config_and_by_path(torchwork, folder, tmp_path):
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    (tmp_path / "c.yaml").write_text(
        f"data:\n  source: {{name: ImageFolder, root: '{folder}'}}\n"
        "model: LeNet\nloss: CrossEntropyLoss\noptimizer: {name: Adam, lr: 0.001}\ntrain: {epochs: 1}\n"
    )
    for what in ("c.yaml", folder):
        done = torchwork("inspect", what)
        assert (done.code, done.err) == (2, "")
        assert "error: zero-byte: 54 samples cannot be used" in done.out
        page(tmp_path / "inspect.html")
