"""An audit of texts, sounds, arrays and classes, and data that no source would take."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from torchwork.data import clean, missing
from torchwork.data.audio import AudioFolder
from torchwork.data.audit import classes, duplicates, leniently, spread, texts, told
from torchwork.data.audit.quick import quick
from torchwork.data.audit.records import Audit, Seen
from torchwork.data.audit.sounds import clipped
from torchwork.data.audit.whole import audit, samples_of
from torchwork.data.builtin import Diabetes, Iris
from torchwork.data.dataset import DatasetSource
from torchwork.data.memory import InMemory, Rows, Texts
from torchwork.types import InputError, Schema

Make = Callable[..., Path]


def of(found: Audit, code: str) -> Seen:
    (seen,) = [seen for seen in found.seen if seen.finding.code == code]
    return seen


def codes(found: Audit) -> set[str]:
    return {finding.code for finding in found.findings}


# --- groups -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(31, 60)), max_size=40))
@settings(max_examples=100, deadline=None)
def test_connected_groups_are_those_of_a_search_through_the_graph(pairs: list[tuple[int, int]]):
    neighbours: dict[int, set[int]] = {}
    for first, second in pairs:
        neighbours.setdefault(first, set()).add(second)
        neighbours.setdefault(second, set()).add(first)
    expected, left = [], set(neighbours)
    while left:
        group, border = set(), {min(left)}
        while border:
            group |= border
            border = {near for place in border for near in neighbours[place]} - group
        expected.append(tuple(sorted(group)))
        left -= group
    assert duplicates.connected(pairs) == tuple(expected)


@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=50), st.floats(1.5, 10))
@settings(max_examples=100, deadline=None)
def test_what_is_far_is_far_by_both_rules(values: list[float], times: float):
    found = spread.far(np.array(values), times)
    levels = np.log(values)
    distance = np.abs(levels - np.median(levels))
    assert found.tolist() == [d > np.log(times) and d > 5 * 1.4826 * np.median(distance) for d in distance]


# --- classes ----------------------------------------------------------------------------------------------------------


def told_of(train: dict[str, int], **others: dict[str, int]) -> dict[str, str]:
    found = classes.findings({"train": train, **others})
    return {finding.code: f"{finding.severity}: {finding.message}" for finding in found}


def test_classes_that_a_split_lacks_are_an_error_in_train_and_a_warning_elsewhere():
    even = {"a": 20, "b": 20}
    assert told_of(even, test=even) == {}
    assert told_of(even, test={"a": 40, "b": 0})["missing-class"] == "warning: test has no samples of b"
    assert told_of({"a": 20, "b": 0}, test=even)["missing-class"].startswith("error: train has no samples of b")
    assert told_of({"a": 20})["one-class"] == "error: there is one class only (a)"
    assert told_of(even, val={"a": 4, "b": 9})["rare-class"] == "warning: val has fewer than 5 samples of a (4)"


def test_imbalance_says_what_always_guessing_the_largest_class_would_reach():
    assert "imbalance" not in told_of({"a": 99, "b": 10})
    said = told_of({"a": 90, "b": 9, "c": 1})["imbalance"]
    assert said == "warning: a has 90 times the samples of c (90 and 1); to say a always is right in 90.0% of train"


def test_classes_are_counted_under_their_own_names_and_in_their_own_order():
    found = audit(Iris(), {"train": np.arange(100), "test": np.arange(100, 150)})
    assert found.counts == {
        "train": {"setosa": 50, "versicolor": 50, "virginica": 0},
        "test": {"setosa": 0, "versicolor": 0, "virginica": 50},
    }
    assert "missing-class" in codes(found)


def test_targets_that_are_numbers_have_a_histogram_that_counts_every_sample():
    source = Diabetes()
    (histogram,) = audit(source).histograms
    assert sum(histogram.counts) == len(source)
    assert (histogram.low, histogram.high) == (source.targets.min(), source.targets.max())


# --- texts ------------------------------------------------------------------------------------------------------------

WORDS = [
    "Hello you",
    "hello  YOU ",
    "Win now",
    "Win now",
    "",
    "good",
    "good",
    "x" * 5000,
    *(f"text {i}" for i in range(40)),
]


def test_texts_that_stand_twice_in_full_or_but_for_case_and_spaces_are_told():
    labels = np.array(["ham", "ham", "spam", "ham", "ham", "ham", "ham", "ham", *["ham", "spam"] * 20], object)
    source = Texts(WORDS, labels, Schema("text", "class"))
    splits = {"train": np.array([*range(6), *range(7, 48)]), "test": np.array([6])}
    found = audit(source, splits)
    assert of(found, "duplicates").groups == ((2, 3), (5, 6))
    assert of(found, "two-labels").groups == ((2, 3),)
    assert of(found, "duplicates-across-splits").groups == ((5, 6),)
    assert of(found, "near-duplicates").groups == ((0, 1),)
    assert of(found, "outlying-length").groups == ((7,),)
    assert "text 8 (5000 characters)" in of(found, "outlying-length").finding.message


@given(st.lists(st.text(alphabet="aAß \t", max_size=4), max_size=12))
@settings(max_examples=100, deadline=None)
def test_alike_texts_are_those_with_equal_words_and_other_letters(written: list[str]):
    pairs = {
        (first, second)
        for first in range(len(written))
        for second in range(first)
        if written[first].casefold().split() == written[second].casefold().split() != []
    }
    whole = [group for group in duplicates.connected(pairs) if len({written[place] for place in group}) > 1]
    assert sorted(texts.alike(written)) == sorted(whole)


def test_before_training_texts_are_looked_at_as_they_are():
    labels = np.array(["ham", "spam"] * 24, object)
    splits = {"train": np.arange(40), "test": np.arange(40, 48)}
    texts = [*WORDS[:40], "hello you", *WORDS[41:]]
    found = {finding.code for finding in quick(Texts(texts, labels, Schema("text", "class")), splits)}
    assert found == {"rare-class", "two-labels", "near-two-labels", "near-duplicates-across-splits"}


# --- tables ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def holes() -> Rows:
    """Eight columns of numbers; one cell is infinite, one empty, one target is missing, and a row has two targets."""
    numbers = np.random.default_rng(0).normal(size=(40, 8))
    numbers[3, 6], numbers[5, 7] = np.inf, np.nan
    numbers[20] = numbers[21]
    targets = np.array([f"{row % 2}" for row in range(40)], object)
    targets[8] = None
    schema = Schema("table", "class", numbers=tuple("abcdefgh"))
    words = np.empty((40, 0), object)
    return Rows(numbers, words, targets, schema, faults=missing.faults(numbers, words, targets, schema))


def test_each_cell_that_cannot_be_used_is_told_once_with_the_key_that_a_run_advises(holes: Rows):
    errors = [finding for finding in audit(holes).findings if finding.severity == "error"]
    by = {finding.code: finding for finding in errors}
    assert sorted(finding.code for finding in errors) == ["infinite-cells", "missing-cells", "missing-target"]
    assert {by[code].where for code in ("infinite-cells", "missing-cells")} == {"data.clean.missing"}
    assert by["missing-target"].fix.endswith("data.clean.unreadable: drop")
    with pytest.raises(InputError) as refused:
        clean.clean(holes, {"missing": "median", "unreadable": "error"}, filled="abcdefgh")
    assert refused.value.findings[0].where == by["missing-target"].where


def test_rows_with_two_labels_are_told_in_plain_english(holes: Rows):
    (found,) = [finding for finding in audit(holes).findings if finding.code == "two-labels"]
    assert found.message == "the same content has two labels or more in 1 group: row 21 (0) = row 22 (1)"


def test_the_page_shows_the_concerned_cells_of_a_row_first(holes: Rows):
    found = audit(holes)
    shown = {one["code"]: one for one in told.page(found, holes, samples_of(holes, None))["findings"]}
    first = {code: shown[code]["groups"][0]["members"][0]["cells"][0] for code in ("infinite-cells", "missing-cells")}
    assert first == {"infinite-cells": "g: inf", "missing-cells": "h: empty"}


# --- sounds -----------------------------------------------------------------------------------------------------------


def test_sounds_that_are_silent_clipped_long_or_there_twice_are_told(tmp_path: Path):
    soundfile = pytest.importorskip("soundfile")
    rate, random = 8000, np.random.default_rng(0)

    def write(name: str, samples: np.ndarray) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, samples.astype(np.float32), rate, subtype="PCM_16")

    for number in range(12):
        write(f"{'ab'[number % 2]}/{number:02}.wav", random.normal(0, 0.1, 4000 + 10 * number).clip(-0.9, 0.9))
    wave = np.sin(np.arange(4000) / 9)
    write("a/silent.wav", np.zeros(4000))
    write("a/loud.wav", (3 * wave).clip(-1, 1))
    write("b/sine.wav", wave * 0.99)
    write("b/long.wav", random.normal(0, 0.1, 40_000))
    shutil.copy(tmp_path / "a" / "00.wav", tmp_path / "b" / "copy.wav")
    (tmp_path / "b" / "cut.wav").write_bytes((tmp_path / "a" / "02.wav").read_bytes()[:4000])
    source = AudioFolder(str(tmp_path))
    found = audit(source)
    told = {seen.finding.code: {source.name(place) for group in seen.groups for place in group} for seen in found.seen}
    assert told == {
        "truncated": {"b/cut.wav"},
        "silent": {"a/silent.wav"},
        "clipped": {"a/loud.wav"},
        "outlying-length": {"b/long.wav"},
        "duplicates": {"a/00.wav", "b/copy.wav"},
        "two-labels": {"a/00.wav", "b/copy.wav"},
    }
    assert [histogram.name for histogram in found.histograms] == ["a", "b"]


def test_a_wave_is_clipped_where_it_stays_at_its_peak():
    wave = np.sin(np.arange(10_000) / 20)
    assert clipped(wave) == 0
    cut = wave.clip(-0.8, 0.8)
    assert abs(clipped(cut) - (np.abs(wave) >= 0.8).mean()) < 0.01
    assert clipped(np.zeros(0)) == 0


# --- arrays and tables ------------------------------------------------------------------------------------------------


def test_rows_of_arrays_that_stand_twice_are_told():
    inputs = torch.arange(40.0).reshape(20, 2)
    inputs[7] = inputs[3]
    source = InMemory(inputs, np.arange(20) % 2, Schema("array", "class", classes=("a", "b")))
    found = audit(source, {"train": np.arange(5), "test": np.arange(5, 20)})
    assert of(found, "duplicates-across-splits").groups == ((3, 7),)


def test_a_table_is_looked_at_column_by_column():
    found = audit(Iris())
    assert [column.name for column in found.columns][:2] == ["sepal length (cm)", "sepal width (cm)"]
    assert of(found, "duplicate-rows").groups == ((101, 142),)


# --- whatever lies there ----------------------------------------------------------------------------------------------


def test_a_folder_that_a_source_refuses_is_looked_at_all_the_same(make_folder: Make):
    root = make_folder({"cat": 4})
    (root / "empty").mkdir()
    (root / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    shutil.copy(root / "cat" / "000.png", root / "loose.png")
    source, findings = leniently.opened({"name": "ImageFolder", "root": str(root)})
    assert {finding.code for finding in findings} == {"no-class", "empty-class"}
    assert all(finding.where == "data.source.root" for finding in findings)
    assert source is not None
    found = audit(source)
    assert {"one-class", "truncated"} <= codes(found)
    assert {source.name(index) for index in range(len(source))} == {
        *(f"cat/{number:03}.png" for number in range(4)),
        "cat/broken.png",
    }


def test_images_without_classes_are_looked_at_without_them(make_folder: Make):
    root = make_folder({"cat": 3}) / "cat"
    source = leniently.unlabelled(root)
    assert source is not None
    assert source.targets is None
    assert audit(source).counts == {}
    (root.parent / "nothing").mkdir()
    assert leniently.unlabelled(root.parent / "nothing") is None


def test_an_image_under_another_name_that_is_passed_over_is_told(make_folder: Make):
    root = make_folder({"cat": 3, "dog": 3})
    shutil.copy(root / "cat" / "000.png", root / "cat" / "hidden.dat")
    (root / "cat" / "notes.dat").write_text("words")
    _, findings = leniently.opened({"name": "ImageFolder", "root": str(root), "ignore": ["*.dat"]})
    assert [finding.code for finding in findings] == ["mislabelled"]
    assert "1 file holds an image that the name hides: cat/hidden.dat" in findings[0].message


def test_what_is_told_in_full_is_json_with_the_names_of_all_samples(make_folder: Make):
    root = make_folder({"cat": 3, "dog": 3})
    for number in range(15):
        shutil.copy(root / "cat" / "000.png", root / "cat" / f"copy{number:02}.png")
    source, _ = leniently.opened({"name": "ImageFolder", "root": str(root)})
    assert source is not None
    found = audit(source)
    samples = samples_of(source, None)
    whole = json.loads(json.dumps(told.whole(found, samples)))
    (copies,) = [one for one in whole["findings"] if one["code"] == "duplicates"]
    assert len(copies["samples"][0]) == 16
    page = told.page(found, source, samples)
    (shown,) = [one for one in page["findings"] if one["code"] == "duplicates"]
    assert shown["groups"][0]["more"] == 16 - len(shown["groups"][0]["members"])
    assert shown["groups"][0]["members"][0]["image"].startswith("data:image/png;base64,")


def test_a_sample_is_shown_as_what_it_is(tmp_path: Path):
    from torchwork.data.audit.examples import example

    assert example(Texts(["Hello"], None, Schema("text", None)), 0) == {"text": "Hello"}
    assert example(Iris(), 0)["cells"][0] == "sepal length (cm): 5.1"
    images = InMemory(torch.zeros(1, 1, 300, 100, dtype=torch.uint8), None, Schema("image", None))
    assert example(images, 0)["image"].startswith("data:image/jpeg;base64,")
    Image.new("RGB", (5, 5)).save(tmp_path / "a.png")
    source = leniently.unlabelled(tmp_path)
    (tmp_path / "a.png").write_bytes(b"gone")
    assert example(source, 0) == {}


class Fragile(torch.utils.data.Dataset):
    """Images of which one cannot be had."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        if index == 7:
            raise RuntimeError("the disk is gone")
        return np.random.default_rng(index).integers(0, 256, (8, 8, 3), np.uint8), index % 2

    @property
    def targets(self) -> list[int]:
        return [index % 2 for index in range(12)]


def test_a_users_data_set_that_raises_is_told_by_sample():
    found = audit(DatasetSource(Fragile()))
    assert of(found, "unreadable").groups == ((7,),)
    expected = "sample 7 of Fragile cannot be read: RuntimeError: the disk is gone"
    assert expected in of(found, "unreadable").finding.message


def test_composed_sources_are_looked_at_as_one(make_folder: Make):
    whole = {"name": "ImageFolder", "root": str(make_folder({"cat": 5, "dog": 5}))}
    again = {"name": "Subset", "source": whole, "names": "cat/*"}
    source, _ = leniently.opened({"name": "Concatenate", "sources": [whole, again]})
    assert source is not None
    found = audit(source)
    assert len(of(found, "duplicates").groups) == 5
    assert found.counts["all"] == {"cat": 10, "dog": 5}


def test_progress_comes_to_the_number_of_samples(make_folder: Make):
    said: list[tuple[str, int, int]] = []
    source, _ = leniently.opened({"name": "ImageFolder", "root": str(make_folder({"cat": 9, "dog": 9}))})
    assert source is not None
    audit(source, progress=lambda what, done, total: said.append((what, done, total)))
    assert [one for one in said if one[0] == "decoding"] == [("decoding", done, 18) for done in range(1, 19)]
    assert said[-1] == ("comparing", 18, 18)


def test_sounds_of_two_rates_and_names_that_a_pattern_does_not_fit_are_looked_at_all_the_same(tmp_path: Path):
    soundfile = pytest.importorskip("soundfile")
    random = np.random.default_rng(0)
    for number in range(12):
        rate = 8000 if number % 3 else 16000
        soundfile.write(tmp_path / f"{number % 2}_{number}.wav", random.normal(size=rate // 4) * 0.1, rate)
    spec = {"name": "AudioFolder", "root": str(tmp_path), "pattern": r"(?P<label>\d)_\d+\.wav"}
    source, findings = leniently.opened(spec)
    assert [finding.code for finding in findings] == ["several-rates"]
    assert source is not None
    assert audit(source).counts["all"] == {"0": 6, "1": 6}
    soundfile.write(tmp_path / "strange.wav", np.zeros(2000), 8000)
    source, findings = leniently.opened({**spec, "sample_rate": 8000})
    assert [finding.code for finding in findings] == ["no-class"]
    assert source is not None
    assert "silent" in {finding.code for finding in audit(source).findings}
