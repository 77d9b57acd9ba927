"""Samples are set aside by the policies and by nothing else, and nothing of it is silent."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchwork.config.sections import CleanConfig
from torchwork.data import clean as cleaning
from torchwork.data.builtin import Digits, Iris
from torchwork.data.clean import clean
from torchwork.data.concatenate import Concatenate
from torchwork.data.images import ImageFolder
from torchwork.data.memory import InMemory
from torchwork.types import Finding, InputError, Schema

MakeFolder = Callable[..., Path]


def _spec(**policies: Any) -> dict[str, Any]:
    return CleanConfig(**policies).model_dump()


def _wrong(make: Callable[[], object]) -> list[Finding]:
    with pytest.raises(InputError) as caught:
        make()
    return caught.value.findings


def _damage(path: Path) -> None:
    """Change a byte of a PNG's pixels, which its header does not show."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def test_sound_data_are_kept_whole_and_nothing_is_said() -> None:
    cleaned = clean(Digits(), _spec())
    np.testing.assert_array_equal(cleaned.kept, np.arange(1797))
    assert (cleaned.set_aside, cleaned.findings) == ([], [])


def test_damage_that_a_header_hides_stops_a_small_set_and_is_dropped_from_any(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder({"a": 3, "b": 3}, height=64, width=64)
    _damage(root / "b" / "001.png")
    source = ImageFolder(str(root))
    assert source.faults == ()
    (finding,) = _wrong(lambda: clean(source, _spec()))
    assert "1 of 6 images cannot be read: b/001.png (damaged" in finding.message
    size = sum(path.stat().st_size for path in source.paths)
    monkeypatch.setattr(cleaning, "DECODED", size - 1)
    assert len(clean(source, _spec()).kept) == 6
    assert [one.name for one in clean(source, _spec(unreadable="drop")).set_aside] == ["b/001.png"]
    monkeypatch.setattr(cleaning, "DECODED", size)
    assert _wrong(lambda: clean(source, _spec()))


def test_composed_sources_are_looked_at_as_their_parts_are(make_folder: MakeFolder) -> None:
    one, other = (make_folder({"a": 2, "b": 2}, under=name, height=64, width=64) for name in ("one", "other"))
    _damage(other / "a" / "000.png")
    (one / "b" / "001.png").write_bytes(b"")
    whole = Concatenate([ImageFolder(str(one)), ImageFolder(str(other))])
    found = [(one.name, one.code) for one in clean(whole, _spec(unreadable="drop")).set_aside]
    assert found == [("0/b/001.png", "zero-byte"), ("1/a/000.png", "unreadable")]


def test_where_nothing_is_left_there_is_an_error(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 2, "b": 1})
    for path in root.rglob("*.png"):
        path.write_bytes(b"x")
    (finding,) = _wrong(lambda: clean(ImageFolder(str(root)), _spec(unreadable="drop")))
    assert (finding.code, finding.message) == ("no-samples", "none of 3 samples is left")
    assert "3 not-an-image" in finding.fix


def test_what_given_splits_lose_is_told_with_numbers(make_folder: MakeFolder) -> None:
    root = make_folder({"train/a": 3, "train/b": 3, "val/a": 2, "val/b": 2, "test/a": 4, "test/b": 4})
    for name in ("train/a/000.png", "val/a/001.png", "val/b/000.png"):
        (root / name).write_bytes(b"")
    (finding,) = clean(ImageFolder(str(root)), _spec(unreadable="drop")).findings
    assert finding.severity == "warning"
    assert "3 of 18 samples are set aside (3 zero-byte)" in finding.message
    for said in ("1 of train's 6", "2 of val's 4", "0 of test's 8"):
        assert said in finding.message


@pytest.fixture
def repeated(make_folder: MakeFolder) -> ImageFolder:
    """Two contents twice: one of them under two labels."""
    root = make_folder({"a": 3, "b": 3})
    shutil.copy(root / "a" / "001.png", root / "a" / "copy.png")
    shutil.copy(root / "a" / "002.png", root / "b" / "wrong.png")
    return ImageFolder(str(root))


def test_the_later_of_equal_files_is_set_aside_and_names_the_first(repeated: ImageFolder) -> None:
    cleaned = clean(repeated, _spec(duplicates="keep_first"))
    assert [tuple(one)[1:] for one in cleaned.set_aside] == [
        ("a/copy.png", "duplicate", "the same content as a/001.png"),
        ("b/wrong.png", "duplicate", "the same content as a/002.png"),
    ]
    labels, aside = cleaned.findings
    assert (labels.code, labels.severity) == ("two-labels", "warning")
    assert "1 content has two classes: a/002.png (a) and b/wrong.png (b)" in labels.message
    assert "2 of 8 samples are set aside (2 duplicate)" in aside.message


def test_equal_files_are_an_error_where_that_is_asked_and_else_left_to_the_split(repeated: ImageFolder) -> None:
    (finding,) = _wrong(lambda: clean(repeated, _spec(duplicates="error")))
    assert (finding.code, finding.where) == ("duplicates", "data.clean.duplicates")
    assert "2 samples repeat the content of another: a/001.png = a/copy.png, a/002.png = b/wrong.png" in finding.message
    assert finding.fix.endswith("data.clean.duplicates=keep_first")
    for policy in ("ignore", None):
        assert len(clean(repeated, _spec(duplicates=policy)).kept) == 8


def test_every_kind_of_error_is_told_at_once(repeated: ImageFolder) -> None:
    repeated.paths[0].write_bytes(b"")
    source = ImageFolder(str(repeated.paths[0].parents[1]))
    found = _wrong(lambda: clean(source, _spec(duplicates="error")))
    assert [finding.code for finding in found] == ["unreadable-images", "duplicates"]


def test_of_equal_samples_in_given_splits_the_one_that_is_evaluated_stays(make_folder: MakeFolder) -> None:
    root = make_folder({"train/a": 2, "train/b": 2, "val/a": 1, "val/b": 1, "test/a": 1, "test/b": 1})
    content = (root / "test" / "a" / "000.png").read_bytes()
    for name in ("train/a/000.png", "val/a/000.png", "train/b/000.png"):
        (root / name).write_bytes(content)
    for name in ("train/b/001.png", "val/b/000.png"):
        (root / name).write_bytes((root / "train" / "a" / "001.png").read_bytes())
    (root / "test" / "b" / "000.png").write_bytes(b"\x89PNG")  # not equal to any
    cleaned = clean(ImageFolder(str(root)), _spec(duplicates="keep_first", unreadable="drop"))
    aside = {one.name: one.reason for one in cleaned.set_aside if one.code == "duplicate"}
    assert aside == {
        "train/a/000.png": "the same content as test/a/000.png",
        "train/b/000.png": "the same content as test/a/000.png",
        "val/a/000.png": "the same content as test/a/000.png",
        "train/a/001.png": "the same content as val/b/000.png",
        "train/b/001.png": "the same content as val/b/000.png",
    }


def test_rows_of_a_table_are_compared_too() -> None:
    source = Iris()
    rows = np.asarray(source.read(np.arange(150), epoch=0)[0]["numbers"])
    _, first = np.unique(rows, axis=0, return_index=True)
    np.testing.assert_array_equal(clean(source, _spec(duplicates="keep_first")).kept, np.sort(first))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.lists(st.sampled_from("xy"), min_size=40, max_size=40))
def test_keep_first_keeps_each_content_once_and_says_of_which_one_the_others_are(
    contents: list[int], labels: list[str]
) -> None:
    inputs = torch.tensor(contents, dtype=torch.float32)[:, None]
    targets = np.array(labels[: len(contents)], object)
    source = InMemory(inputs, targets, Schema("array", "class"))
    cleaned = clean(source, _spec(duplicates="keep_first"))
    assert sorted([*cleaned.kept.tolist(), *(one.index for one in cleaned.set_aside)]) == list(range(len(contents)))
    firsts = {content: contents.index(content) for content in contents}
    assert cleaned.kept.tolist() == sorted(firsts.values())
    for one in cleaned.set_aside:
        assert one.reason.endswith(f" {source.name(firsts[contents[one.index]])}")
    of = {content: {label for c, label in zip(contents, labels, strict=False) if c == content} for content in contents}
    assert any(finding.code == "two-labels" for finding in cleaned.findings) == any(
        len(kinds) > 1 for kinds in of.values()
    )
