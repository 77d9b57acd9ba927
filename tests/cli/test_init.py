"""``torchwork init``: the config that it prints trains as it is, and says what it guessed."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn import datasets

from data.official_files import CIFAR10_FILES, as_archive, cifar_records, place
from torchwork import config

RNG = np.random.default_rng(0)


def image(path: Path, size: tuple[int, int] = (20, 20), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    Image.fromarray(RNG.integers(0, 255, shape, np.uint8), mode).save(path)


def class_folders(here: Path) -> Path:
    for name in "ab":
        for number in range(20):
            image(here / "set" / name / f"{number}.png", mode="L")
        (here / "set" / name / "notes.txt").write_text("a")
    return here / "set"


def split_folders(here: Path) -> Path:
    for part in ("train", "test"):
        for name in "ab":
            for number in range(20):
                image(here / "set" / part / name / f"{number}.jpg", (50 + number, 40))
    return here / "set"


def annotated_images(here: Path) -> Path:
    rows = []
    for number in range(30):
        image(here / "set" / "pictures" / f"{number}.png", (8, 8))
        rows.append((number, f"{number}.png", "xy"[number % 2]))
    pd.DataFrame(rows, columns=["index", "file", "label"]).to_csv(here / "set" / "list.csv", index=False)
    return here / "set"


def annotated_without_header(here: Path) -> Path:
    lines = []
    for number in range(30):
        image(here / "set" / f"{number}.png")
        lines.append(f"{number}.png,{number * 0.5}\n")
    (here / "set" / "list.csv").write_text("".join(lines))
    return here / "set" / "list.csv"


def class_table(here: Path) -> Path:
    frame = datasets.load_wine(as_frame=True).frame.rename(columns={"target": "Class"})
    frame.insert(0, "id", range(1, len(frame) + 1))
    frame["colour"] = np.where(frame["hue"] > 1, "red", "blue")
    frame["note"] = [f"note {row}" for row in range(len(frame))]
    frame.loc[3, "ash"] = np.nan
    frame.to_csv(here / "wine.csv", index=False)
    return here / "wine.csv"


def table_with_holes(here: Path) -> Path:
    frame = datasets.load_wine(as_frame=True).frame
    frame["colour"] = np.where(frame["hue"] > 1, "red", "blue")
    frame["notes"] = np.where(frame.index < 3, "sweet", None)
    frame = frame.astype({"target": object})
    frame.loc[[1, 2], "ash"] = np.nan
    frame.loc[3, "hue"] = np.inf
    frame.loc[4, "colour"] = None
    frame.loc[[5, 6], "target"] = None
    frame.to_csv(here / "wine.csv", index=False)
    return here / "wine.csv"


def number_table(here: Path) -> Path:
    frame = datasets.load_diabetes(as_frame=True, scaled=False).frame
    frame["cost"] = (frame.pop("target") * 1000).astype(int)
    (here / "folder").mkdir()
    frame.to_csv(here / "folder" / "costs.csv", index=False)
    return here / "folder"


def table_with_splits(here: Path) -> Path:
    frame = datasets.load_iris(as_frame=True).frame
    frame["split"] = np.tile(["train", "train", "val"], 50)
    frame.to_csv(here / "iris.csv", index=False)
    return here / "iris.csv"


def arrays(here: Path) -> Path:
    digits = datasets.load_digits()
    np.savez(here / "digits.npz", images=digits.images[:300].astype(np.uint8), label=digits.target[:300])
    return here / "digits.npz"


def float_arrays(here: Path) -> Path:
    x = RNG.normal(size=(80, 2, 5)).astype(np.float32)
    y = x.sum((1, 2))
    np.savez(here / "signals.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    return here / "signals.npz"


def idx_files(here: Path) -> Path:
    (here / "mnist").mkdir()
    for part, count in (("train", 60), ("t10k", 20)):
        images = RNG.integers(0, 255, (count, 28, 28), np.uint8)
        header = struct.pack(">HBBIII", 0, 8, 3, *images.shape)
        (here / "mnist" / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + images.tobytes()))
        labels = (np.arange(count) % 3).astype(np.uint8)
        header = struct.pack(">HBBI", 0, 8, 1, count)
        (here / "mnist" / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    return here / "mnist"


def cifar_archive(here: Path) -> Path:
    place(here / "c", {"cifar-10-binary.tar.gz": as_archive(cifar_records(CIFAR10_FILES, (10,), 40), "cifar")})
    return here / "c"


def labelled_lines(here: Path) -> Path:
    said = {"ham": 'ok "see you" then at %d', "spam": "call 0%d now & win £100"}
    lines = [f"{label}\t{text % number}" for number in range(60) for label, text in said.items()]
    (here / "messages.tsv").write_text("\n".join(lines), encoding="utf-8")
    return here / "messages.tsv"


def texts_with_ratings(here: Path) -> Path:
    words = ["good", "bad", "fine", "dull", "long", "new"]
    rows = [(n, f"the {words[n % 6]} film, number {n}", 10 + n % 6 * 20.5) for n in range(90)]
    (here / "films").mkdir()
    pd.DataFrame(rows, columns=["id", "review", "score"]).to_csv(here / "films" / "reviews.csv", index=False)
    return here / "films"


def one_image_a_class(here: Path) -> Path:
    for name in "abcdefgh":
        image(here / "set" / name / "1.png")
    return here / "set"


# What must stand in the config for each, and what must be said in its comments.
SETS = {
    class_folders: (
        {"name": "ImageFolder", "mode": "L", "ignore": ["*.txt"]},
        {"train": 0.7, "val": 0.15, "test": 0.15, "by": "stratified"},
        ["40 images of 20 × 20, 2 classes: a, b", "2 *.txt"],
    ),
    split_folders: ({"name": "ImageFolder"}, {"val": 0.15, "by": "given"}, ["of different sizes", "size: [32, 32]"]),
    annotated_images: (
        {"name": "ImageCSV", "file_column": "file", "target_column": "label"},
        {"by": "stratified"},
        ["by its name", "the other columns: index"],
    ),
    annotated_without_header: ({"name": "ImageCSV", "header": False}, {"by": "random"}, ["the first line"]),
    class_table: (
        {"name": "Table", "target": "Class"},
        {"by": "stratified"},
        [
            "left out: id (counts the rows)",
            "left out: note (178 different texts)",
            "median  # of the training split: 1 row",
        ],
    ),
    table_with_holes: (
        {"name": "Table", "target": "target"},
        {"by": "stratified"},
        [
            "178 rows, 3 classes: 0, 1, 2",
            "missing: median  # of the training split: 4 rows have cells to fill in",
            "unreadable: drop  # 2 rows have no target",
            "left out: notes (175 of 178 cells are empty)",
        ],
    ),
    number_table: ({"name": "Table", "target": "cost", "kind": "number"}, {"by": "random"}, ["taken as numbers"]),
    table_with_splits: ({"target": "target", "split_column": "split"}, {"test": 0.15, "by": "given"}, ["cut from"]),
    arrays: ({"name": "Arrays", "inputs": "images", "target": "label"}, {"by": "stratified"}, ["300 images"]),
    float_arrays: ({"name": "Arrays"}, {"val": 0.15, "by": "given"}, ["to predict y"]),
    idx_files: ({"name": "Arrays"}, {"val": 0.15, "by": "given"}, ["80 images of 28 × 28, 3 classes: 0, 1, 2"]),
    cifar_archive: ({"name": "CIFAR10"}, {"val": 0.15, "by": "given"}, ["240 images of 32 × 32, 10 classes: airplane"]),
    labelled_lines: (
        {"name": "TextCSV", "text_column": "1", "target_column": "0", "header": False},
        {"by": "stratified"},
        ["120 texts, 2 classes: ham, spam", "the first line is a sample", "name: Tokenize"],
    ),
    texts_with_ratings: (
        {"name": "TextCSV", "text_column": "review", "target_column": "score"},
        {"by": "random"},
        ["90 texts, to predict score", "fc.bias"],
    ),
    one_image_a_class: ({"name": "ImageFolder"}, {"train": 1.0, "val": 0.0, "test": 0.0}, ["too few samples"]),
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


def test_patience_is_written_only_where_it_could_end_the_run(torchwork, tmp_path):
    for make in SETS:
        (tmp_path / make.__name__).mkdir()
        train = config.load(torchwork("init", make(tmp_path / make.__name__)).out).train
        assert train.patience is None or train.patience < train.epochs


def test_numbers_far_from_one_are_learnt(torchwork, tmp_path):
    (tmp_path / "c.yaml").write_text(torchwork("init", number_table(tmp_path)).out)
    done = torchwork("train", "c.yaml", "--out", "run", "train.threads=1", "train.epochs=20")
    assert done.code == 0, done.err
    assert "warning" not in done.out + done.err, "what init writes is nothing to warn of"
    r2 = next(line.split() for line in done.out.splitlines() if line.startswith("r2 "))
    assert float(r2[1]) > 0.3


def test_a_class_folder_without_files_is_told_in_the_config(torchwork, tmp_path):
    folder = split_folders(tmp_path)
    (folder / "train" / "c").mkdir()
    done = torchwork("init", folder)
    assert (done.code, done.err) == (0, "")
    (said,) = [line for line in done.out.splitlines() if line.startswith("# as the data are, train stops: ")]
    assert said.endswith(": c; add images or remove the folders")
    (tmp_path / "c.yaml").write_text(done.out)
    assert "c; " not in torchwork("check", "c.yaml").out
    assert torchwork("check", "c.yaml").code == 2
    (folder / "train" / "c").rmdir()
    assert torchwork("check", "c.yaml").code == 0


def test_files_that_cannot_be_read_are_counted_and_the_way_to_set_them_aside_is_shown(torchwork, tmp_path):
    folder = class_folders(tmp_path)
    (folder / "a" / "0.png").write_bytes(b"")
    done = torchwork("init", folder)
    (line,) = [line for line in done.out.splitlines() if "unreadable" in line]
    assert "1 file cannot be read" in line
    assert config.load(done.out).data.clean.unreadable == "error"
    assert config.load(done.out.replace(line, line.replace("# ", "", 1))).data.clean.unreadable == "drop"


def nothing_there(here: Path) -> Path:
    return here / "nothing"


def empty_folder(here: Path) -> Path:
    (here / "empty").mkdir()
    return here / "empty"


def loose_images(here: Path) -> Path:
    for number in range(3):
        image(here / "set" / f"{number}.png")
    return here / "set"


def one_image(here: Path) -> Path:
    image(here / "a.png")
    return here / "a.png"


def other_files(here: Path) -> Path:
    (here / "set").mkdir()
    (here / "set" / "a.docx").write_text("")
    return here / "set"


def two_tables(here: Path) -> Path:
    (here / "set").mkdir()
    for name in ("a", "b"):
        (here / "set" / f"{name}.csv").write_text("x,y\n1,2\n")
    return here / "set"


def one_column(here: Path) -> Path:
    (here / "t.csv").write_text("x\n1\n2\n")
    return here / "t.csv"


def broken_table(here: Path) -> Path:
    (here / "t.csv").write_bytes(b"x,y\n\xff\xfe,1\n")
    return here / "t.csv"


def one_class_only(here: Path) -> Path:
    for number in range(3):
        image(here / "set" / "a" / f"{number}.png")
    return here / "set"


def only_empty_columns(here: Path) -> Path:
    (here / "t.csv").write_text("a,y\n,x\n,w\n1,z\n")
    return here / "t.csv"


REFUSED = {
    nothing_there: "is not there",
    empty_folder: "is empty",
    loose_images: "holds 3 images and nothing that says what they show",
    one_image: "is no data set; give the folder of the class folders",
    other_files: "holds 1 entries, none of which is a data set",
    two_tables: "holds several data sets: a.csv, b.csv",
    one_column: "expected inputs and a target column",
    broken_table: "cannot be read",
    one_class_only: "has one class only (a)",
    only_empty_columns: "no column can be used (a: 2 of 3 cells are empty)",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_what_is_no_data_set_is_refused_with_what_is_missing(torchwork, tmp_path, make):
    done = torchwork("init", make(tmp_path))
    assert done.code == 2, done.out
    assert REFUSED[make] in done.err, done.err
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.skipif("TORCHWORK_TEST_DATA" not in os.environ, reason="TORCHWORK_TEST_DATA is not set")
def test_a_folder_of_jpegs_trains_through_init(torchwork, tmp_path):
    import tarfile

    with tarfile.open(Path(os.environ["TORCHWORK_TEST_DATA"]) / "cifar10-12k.tar.gz") as archive:
        members = [m for m in archive.getmembers() if m.name.endswith("0.jpg")]
        archive.extractall(tmp_path, members, filter="data")
    done = torchwork("init", "cifar10")
    assert done.code == 0, done.err
    (tmp_path / "c.yaml").write_text(done.out)
    trained = torchwork("train", "c.yaml", "train.epochs=1", "--out", "run")
    assert trained.code == 0, trained.err
    assert "airplane" in trained.out
    predicted = torchwork("predict", "run", *sorted((tmp_path / "cifar10" / "test" / "cat").glob("*.jpg"))[:3])
    assert predicted.code == 0, predicted.err
    assert "3 predictions" in predicted.err
