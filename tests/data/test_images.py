"""Class folders and annotation files: layouts, given splits, and every mistake by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from torchwork.data.images import ImageCSV, ImageFolder
from torchwork.data.source import open_source
from torchwork.types import InputError

MakeFolder = Callable[..., Path]


def _names(source: ImageFolder | ImageCSV, ids: np.ndarray) -> list[str]:
    return [source.name(int(index)) for index in ids]


def test_class_folders_give_names_targets_and_pixels(make_folder: MakeFolder) -> None:
    root = make_folder({"dog": 2, "cat": 1})
    source = ImageFolder(str(root))
    assert _names(source, np.arange(3)) == ["cat/000.png", "dog/000.png", "dog/001.png"]
    assert source.targets.tolist() == ["cat", "dog", "dog"]
    assert source.given is None
    images, targets = source.read(np.array([2, 0]), epoch=1)
    assert targets.tolist() == ["dog", "cat"]
    for image, name in zip(images, ("dog/001.png", "cat/000.png"), strict=True):
        with Image.open(root / name) as opened:
            np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), np.asarray(opened))


def test_images_lie_deeper_inside_a_class_too(make_folder: MakeFolder) -> None:
    root = make_folder({"cat/young": 1, "cat/old": 1, "dog": 1})
    assert ImageFolder(str(root)).targets.tolist() == ["cat", "cat", "dog"]


def test_a_link_back_to_its_own_folder_is_not_followed(make_folder: MakeFolder) -> None:
    root = make_folder({"cat": 1, "dog": 1})
    (root / "cat" / "again").symlink_to(root / "cat", target_is_directory=True)
    assert len(ImageFolder(str(root))) == 2


def test_mode_l_gives_one_channel(make_folder: MakeFolder) -> None:
    images, _ = ImageFolder(str(make_folder({"a": 1, "b": 1})), mode="L").read(np.arange(2), epoch=1)
    assert images.shape == (2, 1, 12, 16)


def test_images_of_different_size_are_a_list(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 1})
    make_folder({"b": 1}, height=9)
    images, _ = ImageFolder(str(root)).read(np.arange(2), epoch=1)
    assert [tuple(image.shape) for image in images] == [(3, 12, 16), (3, 9, 16)]


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_folders_named_as_splits_are_given(make_folder: MakeFolder, val: str) -> None:
    root = make_folder({"train/a": 2, "train/b": 1, f"{val}/a": 1, "test/b": 2})
    source = ImageFolder(str(root))
    assert {part: len(ids) for part, ids in source.given.items()} == {"test": 2, "train": 3, "val": 1}
    assert _names(source, source.given["val"]) == [f"{val}/a/000.png"]
    assert source.targets[source.given["test"]].tolist() == ["b", "b"]


def test_a_root_for_each_split(make_folder: MakeFolder) -> None:
    train, test = make_folder({"a": 2, "b": 1}, under="one"), make_folder({"a": 1, "b": 1}, under="two")
    source = ImageFolder({"train": str(train), "test": str(test)})
    assert _names(source, source.given["test"]) == ["test/a/000.png", "test/b/000.png"]
    assert len(source.given["train"]) == 3


def test_a_class_may_be_called_train(make_folder: MakeFolder) -> None:
    source = ImageFolder(str(make_folder({"car": 1, "plane": 1, "train": 1})))
    assert source.given is None
    assert source.targets.tolist() == ["car", "plane", "train"]


def test_what_systems_leave_is_passed_over(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 1, "b": 1, ".git": 1, "__MACOSX": 1})
    for name in ("Thumbs.db", ".DS_Store", "a/desktop.ini", "a/._000.png"):
        (root / name).write_bytes(b"x")
    assert len(ImageFolder(str(root))) == 2


def test_a_pattern_of_ignore_matches_a_name_or_a_path(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 2, "b": 1})
    (root / "notes.txt").write_text("x")
    source = ImageFolder(str(root), ignore=["*.txt", "a/001.*"])
    assert _names(source, np.arange(2)) == ["a/000.png", "b/000.png"]


def _wrong(make: Callable[[], object]) -> list[tuple[str, str, str]]:
    with pytest.raises(InputError) as caught:
        make()
    assert all(finding.severity == "error" and finding.fix for finding in caught.value.findings)
    return [(finding.code, finding.where, finding.message) for finding in caught.value.findings]


def test_missing_paths_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert _wrong(lambda: ImageFolder(str(tmp_path / "no")))[0][:2] == ("missing-path", "root")
    assert "is a file" in _wrong(lambda: ImageFolder(str(tmp_path / "file")))[0][2]
    found = _wrong(lambda: ImageFolder({"train": "no", "test": "neither", "extra": "x"}))
    assert [where for _, where, _ in found] == ["root.train", "root.test", "root.extra"]


def test_an_empty_folder_and_one_class_are_refused(tmp_path: Path, make_folder: MakeFolder) -> None:
    (tmp_path / "empty").mkdir()
    assert _wrong(lambda: ImageFolder(str(tmp_path / "empty")))[0][0] == "no-samples"
    assert _wrong(lambda: ImageFolder(str(make_folder({"cat": 3}))))[0][0] == "one-class"


def test_one_class_in_train_is_refused_though_test_has_two(make_folder: MakeFolder) -> None:
    root = make_folder({"train/a": 2, "test/a": 1, "test/b": 1})
    assert _wrong(lambda: ImageFolder(str(root)))[0][0] == "one-class"


def test_strange_and_loose_files_and_empty_classes_are_named_all_at_once(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 1, "b": 1})
    (root / "c").mkdir()
    (root / "c" / "notes.txt").write_text("x")
    (root / "loose.png").write_bytes((root / "a" / "000.png").read_bytes())
    found = _wrong(lambda: ImageFolder(str(root)))
    assert [code for code, *_ in found] == ["not-an-image", "no-class", "empty-class"]
    assert "c/notes.txt" in found[0][2]
    assert "loose.png" in found[1][2]
    assert found[2][2].endswith(": c")


def test_a_file_of_another_kind_beside_images_is_a_fault(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 2, "b": 2})
    (root / "a" / "000.txt").write_text("x")
    (root / "b" / "README").write_text("x")
    source = ImageFolder(str(root))
    assert [(source.name(fault.index), fault.code) for fault in source.faults] == [
        ("a/000.txt", "not-an-image"),
        ("b/README", "not-an-image"),
    ]
    assert source.sizes[[fault.index for fault in source.faults]].tolist() == [[0, 0], [0, 0]]
    assert len(ImageFolder(str(root), ignore=["*.txt", "README"]).faults) == 0


def test_split_folders_beside_class_folders_are_refused(make_folder: MakeFolder) -> None:
    root = make_folder({"train/a": 1, "train/b": 1, "extra/a": 1})
    assert _wrong(lambda: ImageFolder(str(root)))[0][0] == "mixed-folders"
    twice = make_folder({"train/a": 1, "train/b": 1, "val/a": 1, "valid/a": 1}, under="twice")
    assert _wrong(lambda: ImageFolder(str(twice)))[0][0] == "two-splits"


def test_unreadable_images_are_faults_and_the_others_are_read(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 12, "b": 2})
    for number in range(11):
        (root / "a" / f"{number:03}.png").write_bytes(b"broken")
    (root / "b" / "000.png").write_bytes(b"")
    source = ImageFolder(str(root))
    assert [(fault.index, fault.code) for fault in source.faults] == [
        *((index, "not-an-image") for index in range(11)),
        (12, "zero-byte"),
    ]
    assert source.sizes.tolist() == [[0, 0]] * 11 + [[12, 16], [0, 0], [12, 16]]
    assert source.read(np.array([11, 13]), epoch=1)[0].shape == (2, 3, 12, 16)
    ((code, where, message),) = _wrong(lambda: source.read(np.array([0, 11]), epoch=1))
    assert (code, where) == ("unreadable-images", "data.source")
    assert message.startswith("1 of 14")
    assert "a/000.png (not an image that can be recognised)" in message


def test_a_mode_and_a_background_that_there_are_not_are_refused(make_folder: MakeFolder) -> None:
    root = str(make_folder({"a": 1, "b": 1}))
    found = _wrong_at(lambda: ImageFolder(root, mode="HSV", background="red"))  # type: ignore[arg-type]
    assert found == ["mode", "background"]
    with pytest.raises(InputError) as caught:
        open_source({"name": "ImageFolder", "root": root, "background": [1, 2]})
    assert [finding.where for finding in caught.value.findings] == ["data.source.background"]


def _wrong_at(make: Callable[[], object]) -> list[str]:
    with pytest.raises(InputError) as caught:
        make()
    return [finding.where for finding in caught.value.findings]


def test_the_background_shows_through_in_both_sources(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGBA", (3, 2), (9, 9, 9, 0)).save(tmp_path / name / "0.png")
    (tmp_path / "labels.csv").write_text("file,label\na/0.png,a\nb/0.png,b\n")
    for source in (
        ImageFolder(str(tmp_path), background=[1, 2, 3], ignore=["*.csv"]),
        ImageCSV(str(tmp_path / "labels.csv"), background=[1, 2, 3]),
    ):
        assert source.read(np.array([0]), epoch=1)[0][0, :, 1, 2].tolist() == [1, 2, 3]
    assert ImageFolder(str(tmp_path), ignore=["*.csv"]).read(np.array([1]), epoch=1)[0].unique().tolist() == [255]


def test_images_whose_damage_hides_from_the_header_are_all_named_on_reading(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3}, height=64, width=64)
    for name in ("a/001.png", "b/002.png"):
        content = bytearray((root / name).read_bytes())
        content[len(content) // 2] ^= 0xFF
        (root / name).write_bytes(bytes(content))
    source = ImageFolder(str(root))
    ((_, _, message),) = _wrong(lambda: source.read(np.array([1]), epoch=1))
    assert "a/001.png" in message
    assert "b/002.png" in message


def _annotate(root: Path, text: str) -> str:
    (root / "labels.csv").write_text(text)
    return str(root / "labels.csv")


def test_annotations_take_the_first_two_columns_by_default(make_folder: MakeFolder) -> None:
    root = make_folder({"x": 3})
    path = _annotate(root, "file, label, more\nx/002.png, 1, 5\nx/000.png, 0, 6\n")
    source = ImageCSV(path)
    assert _names(source, np.arange(2)) == ["x/002.png", "x/000.png"]
    assert source.targets.tolist() == [1, 0]
    assert source.schema.target == "class"


def test_annotations_by_column_name_with_another_root_and_splits(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"x": 3})
    text = "part,angle,image\ntrain,0.5,000.png\nvalid,1.5,001.png\ntest,-2.25,002.png\n"
    source = ImageCSV(_annotate(tmp_path, text), str(root / "x"), "image", "angle", "part")
    assert source.schema.target == "number"
    assert source.schema.target_names == ("angle",)
    np.testing.assert_array_equal(source.targets, [[0.5], [1.5], [-2.25]])
    assert {part: ids.tolist() for part, ids in source.given.items()} == {"train": [0], "val": [1], "test": [2]}


def test_annotations_without_a_header(make_folder: MakeFolder) -> None:
    root = make_folder({"x": 2})
    path = _annotate(root, "x/000.png,a\nx/001.png,b\n")
    assert _wrong(lambda: ImageCSV(path))[0][0] == "no-header"
    assert ImageCSV(path, header=False).targets.tolist() == ["a", "b"]


def test_wrong_annotations_are_named(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"x": 2})
    assert _wrong(lambda: ImageCSV(str(tmp_path / "no.csv")))[0][:2] == ("missing-path", "annotations")
    path = _annotate(root, "file,label\nx/000.png,a\nx/001.png,b\n")
    found = _wrong(lambda: ImageCSV(path, "nowhere", "fiel", "labl", "part"))
    assert [where for _, where, _ in found] == ["root", "file_column", "target_column", "split_column"]
    one = _annotate(root, "file,label\nx/000.png,a\nx/001.png,a\n")
    assert _wrong(lambda: ImageCSV(one))[0][:2] == ("one-class", "target_column")
    hole = _annotate(root, "file,label\nx/000.png,a\n,b\n")
    assert "column 'file' (1): row 2" in _wrong(lambda: ImageCSV(hole))[0][2]
    lost = _annotate(root, "file,label\nx/000.png,a\nx/lost.png,b\n")
    assert [(fault.index, fault.code) for fault in ImageCSV(lost).faults] == [(1, "missing")]
    code, where, message = _wrong(lambda: ImageCSV(path, str(root / "x")))[0]
    assert (code, where) == ("missing-path", "root")
    assert f"none of the 2 images of {path} is in {root / 'x'}, as x/000.png" in message
    text = _annotate(root, "file,label\nx/000.png,a\nx/001.png,b\n")
    assert _wrong(lambda: ImageCSV(text, kind="number"))[0][0] == "not-a-number"
    part = _annotate(root, "file,label,part\nx/000.png,a,train\nx/001.png,b,tset\n")
    assert "'tset' in row 2" in _wrong(lambda: ImageCSV(part, split_column="part"))[0][2]


def test_the_order_of_threads_cannot_matter(make_folder: MakeFolder) -> None:
    source = ImageFolder(str(make_folder({"a": 40, "b": 40})))
    together, _ = source.read(np.arange(80), epoch=1)
    apart = torch.stack([source.read(np.array([index]), epoch=1)[0][0] for index in range(80)])
    assert torch.equal(together, apart)
