"""Predicting files of which some cannot be used: the others are predicted, and these are named."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from torchwork import rundir
from torchwork import train as train_run

RANDOM = np.random.default_rng(0)


def draw(path: Path, dark: bool) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = RANDOM.integers(0, 100, (16, 16, 3)) + (0 if dark else 150)
    Image.fromarray(levels.astype(np.uint8)).save(path)
    return path


def sing(path: Path, high: bool) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(np.arange(1600) * (1.2 if high else 0.3)) + 0.01 * RANDOM.random(1600), 8000)
    return path


KINDS = {"image": (draw, "ImageFolder", "png"), "sound": (sing, "AudioFolder", "wav")}


@pytest.fixture(scope="module", params=KINDS)
def trained(request, tmp_path_factory):
    """A run, a function that writes a file of its kind, and their ending."""
    make, source, ending = KINDS[request.param]
    root = tmp_path_factory.mktemp("data")
    for place in range(20):
        make(root / "yes" / f"{place}.{ending}", True)
        make(root / "no" / f"{place}.{ending}", False)
    config = {
        "data": {"source": {"name": source, "root": str(root)}, "batch_size": 8},
        "model": {"name": "Sequential", "layers": ["Flatten", "Linear"]},
        "optimizer": "Adam",
        "train": {"epochs": 1, "threads": 1},
    }
    return train_run(config, out=tmp_path_factory.mktemp("run") / "run"), make, ending


def test_damaged_files_are_named_at_the_end_and_all_others_have_the_rows_that_they_have_alone(
    trained, torchwork, tmp_path
):
    run, make, ending = trained
    good = [make(tmp_path / "new" / f"{place}.{ending}", bool(place % 2)) for place in range(5)]
    cut, empty, words = (tmp_path / "new" / f"{name}.{ending}" for name in ("1cut", "2empty", "3words"))
    cut.write_bytes(good[0].read_bytes()[:-300])
    empty.write_bytes(b"")
    words.write_text("none at all " * 20)
    done = torchwork("predict", run.path, "new")
    assert done.code == 1
    assert "5 predictions in predictions.csv" in done.err
    told = done.err[done.err.index("error: 3 files cannot be read and had no prediction") :].splitlines()[1:]
    assert [line.split(": ")[0].strip() for line in told] == [f"new/{path.name}" for path in (cut, empty, words)]
    assert all(line.split(": ", 1)[1] for line in told)
    assert "Traceback" not in done.err
    rows = rundir.read_csv(Path("predictions.csv"))
    assert [row["name"] for row in rows] == [f"new/{path.name}" for path in good]
    assert [row["prediction"] for row in rows] == [row["prediction"] for row in run.predict(good)]


def test_nothing_is_written_where_no_file_can_be_read(trained, torchwork, tmp_path):
    run, _, ending = trained
    (tmp_path / f"a.{ending}").write_bytes(b"")
    done = torchwork("predict", run.path, f"a.{ending}")
    assert done.code == 2
    assert f"a.{ending}" in done.err
    assert not Path("predictions.csv").exists()


def test_a_category_that_the_model_does_not_know_is_told_with_file_and_row(torchwork, tmp_path):
    def write(path: Path, colours: list[str]) -> Path:
        with open(path, "w", newline="") as file:
            rows = [[colour, place, ("yes", "no")[place % 2]] for place, colour in enumerate(colours)]
            csv.writer(file).writerows([["colour", "size", "bought"], *rows])
        return path

    table = write(tmp_path / "train.csv", ["red", "blue", "blue"] * 20)
    config = {
        "data": {"source": {"name": "Table", "path": str(table), "target": "bought"}, "batch_size": 8},
        "model": {"name": "Sequential", "layers": ["Linear"]},
        "optimizer": "Adam",
        "train": {"epochs": 1, "threads": 1},
    }
    run = train_run(config, out=tmp_path / "run")
    write(tmp_path / "a.csv", ["red", "blue"])
    write(tmp_path / "b.csv", ["red", "grey", "blue", "grey", "grey", "green"])
    done = torchwork("predict", run.path, "a.csv", "b.csv")
    assert done.code == 2
    assert "b.csv row 2: column 'colour' holds 'grey', which the model does not know (3 rows); it knows" in done.err
    assert (
        "b.csv row 6: column 'colour' holds 'green', which the model does not know; it knows 'blue', 'red'" in done.err
    )
    assert "data.transform" not in done.err
    assert torchwork("predict", run.path, "a.csv").code == 0
