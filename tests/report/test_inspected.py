"""What was inspected stands in the report, from the run directory alone; what is gone or broken is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from report import made_run
from torchwork import rundir
from torchwork.report import html
from torchwork.report.drawings import draw
from torchwork.report.facts import read

HOSTILE = "<script>alert(1)</script> \"quoted\" & 'so'"


def sample(number: int, **shown: Any) -> dict[str, Any]:
    told = {"id": number, "name": f"pictures/{number}.png", "target": "cat", "prediction": "dog", "certainty": 0.75}
    return {**told, "loss": 2.5, **shown}


def inspected(run: Path, **parts: Any) -> None:
    rundir.write_json(run / rundir.INSPECTED, {**parts, "left_out": parts.get("left_out", {})})


@pytest.fixture
def run(tmp_path):
    made = made_run.classification(tmp_path / "run", ["cat", "dog"])
    for folder in (rundir.SAMPLES, rundir.ARRAYS):
        (made / folder).mkdir()
    return made


def whole(run: Path) -> None:
    """Write every part, with files as an inspection writes them."""
    numbers = np.random.default_rng(0)
    Image.new("RGB", (8, 8), (200, 30, 30)).save(run / "samples" / "test-1.png")
    Image.new("RGB", (60, 40), (30, 30, 200)).save(run / "samples" / "test-2.jpg")
    Image.new("RGB", (66, 66), (30, 200, 30)).save(run / "samples" / "train-batch.png")
    np.savez(run / "arrays" / "k.npz", layer0=numbers.normal(size=(6, 3, 5, 5)))
    np.savez(run / "arrays" / "f.npz", layer0=numbers.normal(size=(6, 5, 5)), picture=np.zeros((8, 8, 3), np.uint8))
    pictures = np.zeros((2, 8, 8, 3), np.uint8)
    np.savez(run / "arrays" / "m.npz", picture=pictures, gradient=np.ones((2, 8, 8)), cam=np.ones((2, 2, 2)))
    np.savez(run / "arrays" / "e.npz", points=numbers.normal(size=(5, 2)), id=np.arange(5))
    np.savez(run / "arrays" / "a.npz", probabilities=numbers.dirichlet(np.ones(3), (2, 7)))
    shown = [sample(1, picture="samples/test-1.png"), sample(2, picture="samples/test-2.jpg")]
    unsure = [
        sample(3, words="call now"),
        sample(4, columns=[["width", "2"]]),
        sample(5, reason="cannot be read: gone"),
    ]
    layer = {"layer": "conv1", "key": "layer0"}
    inspected(
        run,
        kernels={"file": "arrays/k.npz", "of": 3, "layers": [{**layer, "shape": [6, 3, 5, 5], "shown": [6, 3]}]},
        samples={"split": "test", "n": 40, "is_class": True, "most_wrong": shown, "least_certain": unsure},
        maps={"file": "arrays/m.npz", "split": "test", "n": 40, "score": "it", "layer": "conv1", "samples": shown},
        feature_maps={
            "file": "arrays/f.npz",
            "split": "test",
            "sample": shown[0],
            "layers": [{**layer, "shape": [6, 5, 5]}],
        },
        activations={"split": "test", "n": 9, "layers": [{"layer": "fc", "quantiles": [0, 1, 2, 3, 4], "dead": 0.5}]},
        embedding={
            "file": "arrays/e.npz",
            "split": "test",
            "layer": "fc",
            "features": 8,
            "explained": [0.5, 0.25],
            "n": 5,
            "of": 40,
            "target": ["cat", "dog", "cat", "dog", "cat"],
        },
        importance={"split": "val", "n": 9, "of": 9, "loss": 0.5, "columns": ["a", "b"], "rise": [[0.1], [0.2]]},
        alignments={"file": "arrays/a.npz", "split": "test", "symbols": ["", "a", "b"], "blank": 0, "samples": shown},
    )


DRAWN = {
    *("most_wrong", "least_certain", "maps", "ctc_alignment-1", "ctc_alignment-2", "train_batch"),
    *("embedding", "importance", "kernels-1", "feature_maps", "activations"),
}


def test_every_part_is_drawn_and_saved(run):
    whole(run)
    drawn, failed = draw(read(run))
    assert failed == []
    every = [drawing for drawings in drawn.values() for drawing in drawings]
    assert {drawing.name for drawing in every} >= DRAWN
    for drawing in (drawing for drawing in every if drawing.name in DRAWN):
        assert drawing.document.startswith("<?xml")
        assert drawing.title
        assert drawing.caption.endswith(".")


def test_without_a_wrong_prediction_a_sentence_says_so(run):
    whole(run)
    content = json.loads((run / rundir.INSPECTED).read_text())
    content["samples"].update(wrong=0, most_wrong=[])
    rundir.write_json(run / rundir.INSPECTED, content)
    first = draw(read(run))[0]["samples"][0]
    assert (first.name, first.caption) == (
        "most_wrong",
        "There are none: the prediction of each of the 40 test samples is right.",
    )
    assert first.caption in html.write(run).read_text(encoding="utf-8")


def test_the_page_holds_the_pictures_themselves_with_words_for_those_who_do_not_see_them(run):
    whole(run)
    page = html.write(run).read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') >= 1
    assert page.count('src="data:image/jpeg;base64,') >= 2
    assert 'alt="pictures/1.png: true: cat, predicted: dog (75%)"' in page
    for words in ("call now", "cannot be read: gone", "loss: 2.5", "pictures/1.png (id 1)"):
        assert words in page
    assert "without augmentation" in page
    assert 'src="http' not in page


def test_a_picture_that_is_gone_leaves_a_place_that_says_so(run):
    whole(run)
    (run / "samples" / "test-1.png").unlink()
    (run / "samples" / "train-batch.png").unlink()
    drawn, failed = draw(read(run))
    assert failed == []
    first = drawn["samples"][0]
    assert "Its picture is no longer in the run directory." in first.element
    assert "no longer there" in first.document
    assert "train_batch" not in [drawing.name for drawings in drawn.values() for drawing in drawings]


def test_arrays_that_are_gone_or_damaged_cost_their_plot_alone(run):
    whole(run)
    (run / "arrays" / "k.npz").unlink()
    (run / "arrays" / "e.npz").write_bytes(b"no archive")
    drawn, failed = draw(read(run))
    names = [drawing.name for drawing in drawn["model"]]
    assert names == ["importance", "feature_maps", "activations"]
    assert len(failed) == 2
    assert "kernels of the convolutions" in " ".join(finding.fix for finding in failed)


def test_a_part_that_failed_is_a_finding_and_one_that_does_not_apply_is_none(run):
    left_out = {
        "kernels": {"reason": "the model has no convolution", "failed": False},
        "embedding": {"reason": "ValueError: a batch must have eight samples", "failed": True},
    }
    inspected(run, left_out=left_out)
    _, failed = draw(read(run))
    assert len(failed) == 1
    assert "a batch must have eight samples" in failed[0].message


@pytest.mark.parametrize("content", ["", "[]", "{", '{"samples": 3}', '{"kernels": {"layers": [1]}, "left_out": []}'])
def test_a_broken_file_does_not_break_the_page(run, content):
    (run / rundir.INSPECTED).write_text(content)
    assert html.write(run).is_file()


def test_markup_from_the_data_shows_as_what_it_is(run):
    whole(run)
    content = json.loads((run / rundir.INSPECTED).read_text())
    for part in content["samples"]["most_wrong"] + content["samples"]["least_certain"]:
        part.update(name=HOSTILE, target=HOSTILE, prediction=HOSTILE * 20)
    content["samples"]["least_certain"][0]["words"] = HOSTILE
    content["samples"]["least_certain"][1]["columns"] = [[HOSTILE, HOSTILE]]
    content["kernels"]["layers"][0]["layer"] = HOSTILE
    content["embedding"].update(target=[HOSTILE] * 5, layer=HOSTILE)
    content["importance"]["columns"] = [HOSTILE, "猫"]
    rundir.write_json(run / rundir.INSPECTED, content)
    page = html.write(run).read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "alert(1)" in page
    assert "猫" in page


def test_numbers_that_are_none_do_not_break_the_samples(run):
    whole(run)
    content = json.loads((run / rundir.INSPECTED).read_text())
    content["samples"]["most_wrong"][0].update(certainty=None, loss="NaN")
    content["embedding"]["explained"] = ["NaN", 0.5]
    rundir.write_json(run / rundir.INSPECTED, content)
    drawn, failed = draw(read(run))
    assert failed == []
    assert "loss: nan" in drawn["samples"][0].element
