"""An audit of images: what is wrong with files, what stands there twice, and what is said of the classes."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data.planted import ODD, READABLE, plant
from torchwork.data import clean, decode
from torchwork.data.arrays import Arrays
from torchwork.data.audit import duplicates, perceptual
from torchwork.data.audit.pictures import pictures
from torchwork.data.audit.quick import quick
from torchwork.data.audit.records import Audit, Seen
from torchwork.data.audit.whole import audit
from torchwork.data.images import ImageFolder
from torchwork.data.memory import InMemory
from torchwork.types import Schema

Make = Callable[..., Path]
FATES = ("truncated", "zero-byte", "bomb", "not-an-image", "unreadable", "missing")
MIRRORED = Image.Transpose.FLIP_LEFT_RIGHT


def of(found: Audit, code: str) -> Seen:
    """The one finding of a code."""
    (seen,) = [seen for seen in found.seen if seen.finding.code == code]
    return seen


def codes(found: Audit) -> set[str]:
    return {finding.code for finding in found.findings}


def named(source: ImageFolder, seen: Seen) -> set[str]:
    return {source.name(place) for group in seen.groups for place in group}


# --- the hash ---------------------------------------------------------------------------------------------------------


def shown(seed: int, count: int) -> np.ndarray:
    """Images with coarse shapes, as grey thumbnails."""
    coarse = torch.from_numpy(np.random.default_rng(seed).uniform(0, 255, (count, 1, 4, 4)))
    fine = torch.nn.functional.interpolate(coarse, size=(16, 16), mode="bicubic", align_corners=False)
    return fine[:, 0].clamp(0, 255).round().to(torch.uint8).numpy()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_one_mask_makes_the_hash_of_the_mirrored_image(seed: int):
    images = np.random.default_rng(seed).integers(0, 256, (4, 16, 16), np.uint8)
    np.testing.assert_array_equal(perceptual.hashes(images[:, :, ::-1]), perceptual.hashes(images) ^ perceptual.MIRROR)


def test_the_hash_is_the_signs_of_the_low_frequencies_of_the_cosine_transform():
    from scipy.fft import dctn

    images = shown(3, 20)
    for image, found in zip(images, perceptual.hashes(images), strict=True):
        low = dctn(image.astype(float))[:8, :8].ravel()[1:]
        assert [(int(found) >> place) & 1 for place in range(63)] == (low > 1e-6).astype(int).tolist()


def noisy(images: np.ndarray, seed: int, spread: float) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, spread, images.shape)
    return (images + noise).clip(0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("small", [False, True])
def test_near_pairs_are_those_of_a_loop_over_all_pairs(small: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(perceptual, "_COLUMNS", 96)
    images = shown(0, 90)
    thumbs = np.concatenate(
        [images, noisy(images[:20], 1, 4), noisy(images[20:40, :, ::-1], 2, 1), images[:5] // 4 + 50]
    )
    thumbs[7] = 90  # nothing to be seen
    found = perceptual.near_pairs(thumbs, np.full(len(thumbs), small))
    hashes = [int(one) for one in perceptual.hashes(thumbs)]
    expected = []
    for first in range(len(thumbs)):
        for second in range(first + 1, len(thumbs)):
            for mirrored in (False, True):
                turned = thumbs[second][:, ::-1] if mirrored else thumbs[second]
                pair = [thumbs[first], turned]
                if not small:
                    pair = [one.reshape(8, 2, 8, 2).mean((1, 3)) for one in pair]
                with np.errstate(invalid="ignore"):
                    correlation = np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1]
                bits = (hashes[first] ^ hashes[second] ^ (int(perceptual.MIRROR) if mirrored else 0)).bit_count()
                if bits <= 12 and correlation >= (0.998 if small else 0.96):
                    expected.append((first, second, mirrored))
    assert list(zip(found.first.tolist(), found.second.tolist(), found.mirrored.tolist(), strict=True)) == expected
    assert sum(mirrored for *_, mirrored in expected) >= 20


def test_images_that_all_resemble_each_other_are_no_copies_but_copies_of_them_are_found():
    """As many digits on black do: the coarse shape is the same in all."""
    one = shown(5, 1)
    alike = noisy(np.repeat(one, 400, 0), 1, 12)
    thumbs = np.concatenate([alike, noisy(alike[:10], 2, 0.6)])
    found = perceptual.near_pairs(thumbs)
    assert {(place, 400 + place) for place in range(10)} == set(
        zip(found.first.tolist(), found.second.tolist(), strict=True)
    )


def test_any_number_of_equal_hashes_takes_little_memory():
    thumbs = np.repeat(shown(5, 1), 3000, 0)
    assert len(perceptual.near_pairs(thumbs).first) <= 5 * len(thumbs)


# --- files ------------------------------------------------------------------------------------------------------------


def test_what_is_wrong_with_files_is_told_and_nothing_is_raised(make_folder: Make):
    root = make_folder({"cat": 30, "dog": 30}, suffix="jpg")
    whole = (root / "cat" / "000.jpg").read_bytes()
    (root / "cat" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "cat" / "empty.jpg").write_bytes(b"")
    (root / "dog" / "words.jpg").write_text("no image at all")
    (root / "dog" / "notes.txt").write_text("words")
    bomb = bytearray(Image.new("L", (1, 1)).tobytes("raw"))
    header = b"BM" + bytes(8) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
    header += (100_000).to_bytes(4, "little") * 2 + (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24)
    (root / "dog" / "bomb.bmp").write_bytes(header + bytes(bomb))
    Image.open(root / "cat" / "001.jpg").save(root / "cat" / "named.jpg", "PNG")
    Image.new("RGB", (16, 12), (9, 9, 9)).save(root / "dog" / "blank.jpg")
    Image.open(root / "cat" / "002.jpg").convert("CMYK").save(root / "dog" / "print.jpg")
    Image.open(root / "cat" / "003.jpg").resize((200, 150)).save(root / "dog" / "large.jpg")
    source = ImageFolder(str(root))
    found = audit(source)
    assert named(source, of(found, "truncated")) == {"cat/cut.jpg"}
    assert named(source, of(found, "zero-byte")) == {"cat/empty.jpg"}
    assert named(source, of(found, "bomb")) == {"dog/bomb.bmp"}
    assert named(source, of(found, "not-an-image")) == {"dog/words.jpg", "dog/notes.txt"}
    assert named(source, of(found, "mislabelled")) == {"cat/named.jpg"}
    assert named(source, of(found, "constant")) == {"dog/blank.jpg"}
    assert named(source, of(found, "odd-modes")) == {"dog/print.jpg"}
    assert named(source, of(found, "outlying-size")) == {"dog/large.jpg"}
    refused = {"truncated", "zero-byte", "bomb", "not-an-image"}
    assert {finding.code for finding in found.findings if finding.severity == "error"} == refused
    assert [finding.severity for finding in found.findings] == sorted(
        (finding.severity for finding in found.findings), key=["error", "warning", "info"].index
    )
    assert "1 sample cannot be used (truncated): cat/cut.jpg" in of(found, "truncated").finding.message


def test_every_planted_file_meets_its_fate(tmp_path: Path):
    planted = plant(tmp_path / "corpus")
    source = ImageFolder(str(tmp_path / "corpus"))
    found = audit(source)
    told: dict[Path, set[str]] = {Path(path): set() for path in source.paths}
    for seen in found.seen:
        for place in (place for group in seen.groups for place in group):
            told[Path(source.paths[place])].add(seen.finding.code)
    wrong = {
        f"{file.path.name}: {sorted(told[file.path])}"
        for file in planted
        if (file.fate if file.fate != READABLE else None) not in (told[file.path] & set(FATES) or {None})
    }
    assert not wrong
    named = {file.kind for file in planted if "mislabelled" in told[file.path]}
    assert named == {kind for kind in ODD if " named " in kind} | {"other ending"}
    odd = {file.kind for file in planted if "odd-modes" in told[file.path]}
    assert {"cmyk jpeg", "ycck jpeg", "palette png", "16-bit grey png", "16-bit colour png", "1-bit png"} <= odd
    assert not {"plain jpeg", "plain png", "bmp", "webp", "progressive jpeg"} & odd
    assert not {"duplicates", "near-duplicates"} & codes(found)


def test_the_same_content_is_told_by_group_label_and_split(make_folder: Make):
    root = make_folder({"cat": 8, "dog": 8}, under="set/train")
    make_folder({"cat": 0, "dog": 0}, under="set/test")
    for start, end in (
        ("train/cat/000.png", "train/cat/again.png"),
        ("train/cat/001.png", "train/dog/wrong.png"),
        ("train/dog/000.png", "test/dog/leak.png"),
        ("train/cat/002.png", "test/cat/leak.png"),
    ):
        (root.parent / end).write_bytes((root.parent / start).read_bytes())
    source = ImageFolder(str(root.parent))
    found = audit(source)
    assert len(of(found, "duplicates").groups) == 4
    assert named(source, of(found, "two-labels")) == {"train/cat/001.png", "train/dog/wrong.png"}
    leaks = of(found, "duplicates-across-splits")
    assert leaks.finding.severity == "error"
    assert named(source, leaks) == {"train/dog/000.png", "test/dog/leak.png", "train/cat/002.png", "test/cat/leak.png"}
    assert "train/dog/000.png (train)" in leaks.finding.message
    assert "near-duplicates" not in codes(found)


def test_another_audit_decodes_only_what_has_changed(make_folder: Make, monkeypatch: pytest.MonkeyPatch):
    root = make_folder({"cat": 6, "dog": 6})
    for path in root.rglob("*.png"):
        os.utime(path, (1_000_000, 1_000_000))
    first = audit(ImageFolder(str(root)))
    decoded, real = [], decode.decode
    monkeypatch.setattr(decode, "decode", lambda path, *options: decoded.append(path.name) or real(path, *options))
    assert audit(ImageFolder(str(root))).findings == first.findings
    assert decoded == []
    Image.new("RGB", (16, 12), (1, 2, 3)).save(root / "cat" / "003.png")
    assert "constant" in codes(audit(ImageFolder(str(root))))
    assert decoded == ["003.png"]


def test_before_training_few_images_are_compared_and_of_many_those_that_are_remembered(
    make_folder: Make, monkeypatch: pytest.MonkeyPatch
):
    root = make_folder({"cat": 20, "dog": 20}, height=48, width=64)
    with Image.open(root / "cat" / "000.png") as image:
        image.transpose(MIRRORED).save(root / "cat" / "copy.jpg", quality=60)
    for path in root.rglob("*.*"):
        os.utime(path, (1_000_000, 1_000_000))
    source = ImageFolder(str(root))
    place = {source.name(index): index for index in range(len(source))}
    test = np.array([place["cat/copy.jpg"], place["dog/000.png"], place["dog/001.png"]])
    splits = {"train": np.setdiff1d(np.arange(len(source)), test), "test": test}
    with monkeypatch.context() as many:
        many.setattr(clean, "DECODED", 1000)
        many.setattr(decode, "decode", None)
        assert {finding.code for finding in quick(source, splits)} == {"rare-class"}
    with monkeypatch.context() as many:
        many.setattr("torchwork.data.audit.quick.MOST_IMAGES", len(source) - 1)
        many.setattr(decode, "decode", None)
        assert {finding.code for finding in quick(source, splits)} == {"rare-class"}
    assert "near-duplicates-across-splits" in {finding.code for finding in quick(source, splits)}
    monkeypatch.setattr(clean, "DECODED", 1000)
    monkeypatch.setattr(decode, "decode", None)
    found = {finding.code: finding for finding in quick(source, splits)}
    assert set(found) == {"rare-class", "near-duplicates-across-splits"}
    assert "cat/000.png (train) = cat/copy.jpg (test)" in found["near-duplicates-across-splits"].message


def test_before_training_equal_content_with_two_labels_is_told_of_all_that_is_in_a_split_and_nothing_is_decoded(
    make_folder: Make, monkeypatch: pytest.MonkeyPatch
):
    root = make_folder({"cat": 8, "dog": 8})
    shutil.copy(root / "cat" / "000.png", root / "dog" / "same.png")
    shutil.copy(root / "cat" / "001.png", root / "dog" / "aside.png")
    (root / "cat" / "empty.png").write_bytes(b"")
    (root / "dog" / "empty.png").write_bytes(b"")
    source = ImageFolder(str(root))
    aside = [place for place in range(len(source)) if source.name(place) in ("dog/aside.png", "cat/empty.png")]
    splits = {"train": np.setdiff1d(np.arange(len(source)), aside)}
    monkeypatch.setattr(clean, "DECODED", 0)
    monkeypatch.setattr(decode, "decode", None)
    (found,) = quick(source, splits)
    assert found.message == "the same content has two labels or more in 1 group: cat/000.png (cat) = dog/same.png (dog)"
    given = {place: f"{place % 9}" for place in splits["train"].tolist()}
    assert quick(source, splits, given)[0].message.startswith("the same content has two labels or more in 8 groups")


@pytest.mark.parametrize(("given", "fix"), [(True, "move each group to one split"), (False, "by: grouped")])
def test_how_copies_come_to_one_side_depends_on_where_the_splits_are_from(given: bool, fix: str):
    samples = duplicates.Samples(str, None, np.array(["train", "test"], object), given)
    assert fix in duplicates.near(((0, 1),), samples, "alike")[-1].finding.fix


def test_the_mean_image_of_a_class_is_the_mean_of_its_images(make_folder: Make, smooth: Callable[..., np.ndarray]):
    images = np.stack([smooth(seed, 20, 20) for seed in range(30)])
    targets = np.arange(30) % 3
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    found = audit(InMemory(tensor, targets, Schema("image", "class", classes=("a", "b", "c"))))
    for name in range(3):
        expected = images[targets == name].mean(0)
        assert np.abs(found.means[str(name)] - expected).max() <= 0.5
    root = make_folder({"cat": 5, "dog": 5}, height=16, width=16)
    of_files = audit(ImageFolder(str(root))).means["cat"]
    expected = np.mean([np.asarray(Image.open(path)) for path in sorted((root / "cat").iterdir())], 0)
    assert np.abs(of_files - expected).max() <= 1


def test_images_in_memory_are_looked_at_too(tmp_path: Path, smooth: Callable[..., np.ndarray]):
    images = np.stack([smooth(seed, 40, 40) for seed in range(60)])
    images[10] = images[50]
    images[20] = 7
    images[30] = images[40][:, ::-1]
    np.savez(
        tmp_path / "a.npz", x_train=images[:45], y_train=np.arange(45) % 2, x_test=images[45:], y_test=np.arange(15) % 2
    )
    found = audit(Arrays(str(tmp_path / "a.npz")))
    assert of(found, "duplicates-across-splits").groups == ((10, 50),)
    assert of(found, "constant").groups == ((20,),)
    assert of(found, "near-duplicates").groups == ((30, 40),)


def test_pictures_of_one_size_are_reduced_as_one_by_one(make_folder: Make):
    source = ImageFolder(str(make_folder({"cat": 10, "dog": 10}, height=40, width=30)))
    tensor, targets = source.read(np.arange(20), epoch=0)
    together = pictures(InMemory(tensor, targets, source.schema))
    np.testing.assert_array_equal(together.thumbs, pictures(source).thumbs)
    np.testing.assert_array_equal(together.sizes, pictures(source).sizes)


# --- copies of real images --------------------------------------------------------------------------------------------


def versions(image: Image.Image) -> dict[str, tuple[Image.Image, dict[str, object]]]:
    """An image as it may come back: of another quality, size or format, and mirrored."""
    width, height = image.size
    turned = image.transpose(MIRRORED)

    def sized(image: Image.Image, factor: float) -> Image.Image:
        return image.resize((round(width * factor), round(height * factor)), Image.Resampling.BICUBIC)

    return {
        **{f"quality-{quality}.jpg": (image, {"quality": quality}) for quality in (95, 80, 50, 30)},
        "half.jpg": (sized(image, 0.5), {"quality": 85}),
        "smaller.webp": (sized(image, 0.75), {"quality": 80}),
        "double.jpg": (sized(image, 2), {"quality": 75}),
        "mirrored.jpg": (turned, {"quality": 75}),
        "mirrored-30.jpg": (turned, {"quality": 30}),
        "mirrored-larger.png": (sized(turned, 1.5), {}),
    }


@pytest.mark.parametrize("kind", ["cifar", "photos"])
def test_planted_copies_across_splits_are_all_found_and_no_others(kind: str, real_data: Path, tmp_path: Path):
    archive = {"cifar": "cifar10-12k.tar.gz", "photos": "photos-200.tar"}[kind]
    with tarfile.open(real_data / archive) as files:
        wanted = [member for member in files.getmembers() if member.name.lower().endswith((".jpg", ".jpeg"))]
        files.extractall(tmp_path / "raw", wanted[:: 60 if kind == "cifar" else 4], filter="data")
    expected = set()
    originals = sorted(path for path in (tmp_path / "raw").rglob("*") if path.is_file())
    for part in ("train", "test"):
        (tmp_path / "set" / part / "a").mkdir(parents=True)
        (tmp_path / "set" / part / "b").mkdir()
    for number, path in enumerate(originals):
        target = tmp_path / "set" / "train" / "ab"[number % 2] / f"{number}.jpg"
        target.write_bytes(path.read_bytes())
        if number % 3:  # the others have no copy
            continue
        copies = list(versions(Image.open(path).convert("RGB")).items())
        name, (image, options) = copies[number // 3 % len(copies)]
        image.save(tmp_path / "set" / "test" / "ab"[number % 2] / f"{number}-{name}", **options)
        expected.add((f"train/{'ab'[number % 2]}/{number}.jpg", f"test/{'ab'[number % 2]}/{number}-{name}"))
    exact = tmp_path / "set" / "test" / "a" / "exact.jpg"
    exact.write_bytes(originals[1].read_bytes())
    source = ImageFolder(str(tmp_path / "set"))
    found = audit(source)
    near = of(found, "near-duplicates-across-splits")
    assert {frozenset(source.name(place) for place in group) for group in near.groups} == {*map(frozenset, expected)}
    assert len(expected) >= 15
    assert named(source, of(found, "duplicates-across-splits")) == {"train/b/1.jpg", "test/a/exact.jpg"}


@pytest.mark.slow
def test_no_two_of_twelve_thousand_cifar_files_are_the_same_and_few_look_it(real_data: Path, tmp_path: Path):
    with tarfile.open(real_data / "cifar10-12k.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    found = audit(ImageFolder(str(tmp_path / "cifar10")))
    assert not {"duplicates", "two-labels", "duplicates-across-splits"} & codes(found)
    assert len(of(found, "near-duplicates").groups) <= 40  # seen by eye: true ones, but for one pair
