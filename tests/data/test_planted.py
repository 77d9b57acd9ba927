"""Every planted file meets its fate: read as Pillow reads it, refused in words, or set aside with its reason."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from data.planted import BAD, EACH, READABLE, Planted, plant
from torchwork import config, rundir
from torchwork.config.sections import CleanConfig
from torchwork.data import decode, files
from torchwork.data.clean import clean
from torchwork.data.images import ImageCSV, ImageFolder
from torchwork.run import evaluate, train
from torchwork.types import InputError

DROP = CleanConfig(unreadable="drop").model_dump()
ERROR = CleanConfig().model_dump()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted")


@pytest.fixture(scope="module")
def planted(folder: Path) -> list[Planted]:
    return plant(folder)


def _name(folder: Path, one: Planted) -> str:
    return one.path.relative_to(folder).as_posix()


def _outcome(path: Path) -> str:
    try:
        decode.decode(path)
    except decode.UnreadableError as error:
        return error.code if str(error) else "no reason"
    return READABLE


def _by_content(one: Planted) -> str:
    return READABLE if one.kind == "other ending" else one.fate


def test_the_corpus_is_as_large_as_it_says(planted: list[Planted]) -> None:
    damaged = [one for one in planted if one.fate != READABLE]
    assert len(planted) >= 300
    assert len({one.kind for one in planted} - set(BAD)) >= 40
    assert len({one.kind for one in damaged}) >= 35
    assert {one.fate for one in planted} == {
        *(READABLE, "missing", "zero-byte", "truncated", "bomb", "not-an-image", "unreadable")
    }
    contents = [hashlib.sha256(one.path.read_bytes()).digest() for one in planted if one.path.is_file()]
    empty = sum(one.kind == "empty" for one in planted)
    assert len(set(contents)) == len(contents) - empty + 1


def test_every_file_meets_its_fate_when_it_is_decoded(planted: list[Planted]) -> None:
    wrong = [(one.kind, found) for one in planted if (found := _outcome(one.path)) != _by_content(one)]
    assert wrong == []


def test_a_header_promises_nothing_that_is_known_to_be_false(planted: list[Planted]) -> None:
    """What it finds is the fate; the sizes that it gives are those of the pixels."""
    wrong = []
    for one in planted:
        try:
            found = decode.header(one.path)
        except decode.UnreadableError as error:
            wrong += [(one.kind, error.code)] if error.code != _by_content(one) else []
            continue
        if _by_content(one) == READABLE:
            assert (found.height, found.width) == decode.decode(one.path).shape[1:], one.kind
            for format_, start in (("JPEG", b"\xff\xd8"), ("PNG", b"\x89PNG"), ("GIF", b"GIF8")):
                assert (found.format == format_) == one.path.read_bytes().startswith(start)
    assert wrong == []


def _without_note(content: bytes) -> bytes:
    """Return a PNG without the compressed note at its beginning, for which Pillow would refuse it."""
    if content[37:41] != b"zTXt":
        return content
    return content[:33] + content[45 + int.from_bytes(content[33:37], "big") :]


def _expected(path: Path) -> np.ndarray:
    """Pillow's pixels under the stated rules, [3, H, W]: upright, 16 grey bits divided by 257, alpha over white."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(_without_note(path.read_bytes()))) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I;16"):
                grey = np.rint(np.asarray(image) / 257)
                return np.broadcast_to(grey, (3, *grey.shape))
            if not image.has_transparency_data:
                return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
            levels = np.asarray(image.convert("RGBA")).astype(int)
    alpha = levels[..., 3:]
    return ((2 * (alpha * levels[..., :3] + (255 - alpha) * 255) + 255) // 510).transpose(2, 0, 1)


def test_what_is_odd_but_good_is_read_as_pillow_reads_it(planted: list[Planted]) -> None:
    good = [one for one in planted if one.fate == READABLE]
    for one in good:
        np.testing.assert_array_equal(decode.decode(one.path).numpy(), _expected(one.path), one.kind)
    turned = [one for one in good if one.kind.startswith("turned")]
    assert {decode.decode(one.path).shape[1] for one in turned} == {48, 64}


def test_nothing_hostile_takes_memory(planted: list[Planted]) -> None:
    """In a process of its own, whose memory may not grow by more than a small part of what the headers claim."""
    hostile = [str(one.path) for one in planted if one.fate == "bomb" or "claims" in one.kind or "blows" in one.kind]
    assert len(hostile) >= 50
    code = """
import resource, sys
from pathlib import Path
from torchwork.data import decode
def try_all(paths):
    for path in paths:
        for look in (decode.header, decode.decode):
            try:
                look(Path(path))
            except decode.UnreadableError:
                pass
try_all(sys.argv[1:3])  # what is loaded on the way
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try_all(sys.argv[3:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    plain = [str(one.path) for one in planted if one.kind in ("bmp", "gif")][::EACH]
    done = subprocess.run([sys.executable, "-c", code, *plain, *hostile], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert int(done.stdout) < 32 * 1024  # kilobytes


def test_faults_and_damage_of_a_folder_are_the_fates(folder: Path, planted: list[Planted]) -> None:
    source = ImageFolder(str(folder))
    assert len(source) == len(planted)
    fates = {_name(folder, one): one.fate for one in planted}
    early = {source.name(fault.index): fault.code for fault in source.faults}
    assert early.items() <= fates.items()
    rest = [index for index in range(len(source)) if source.name(index) not in early]
    late = {source.name(fault.index): fault.code for fault in files.damage(source, rest)}
    assert late
    assert early | late == {name: fate for name, fate in fates.items() if fate != READABLE}
    assert (source.sizes[[fault.index for fault in source.faults]] == 0).all()


def test_drop_lists_exactly_the_damaged_files(folder: Path, planted: list[Planted]) -> None:
    source = ImageFolder(str(folder))
    cleaned = clean(source, DROP)
    expected = {_name(folder, one): one.fate for one in planted if one.fate != READABLE}
    assert {one.name: one.code for one in cleaned.set_aside} == expected
    assert [source.name(one.index) for one in cleaned.set_aside] == [one.name for one in cleaned.set_aside]
    assert len(cleaned.kept) == len(planted) - len(expected)
    assert not set(cleaned.kept.tolist()) & {one.index for one in cleaned.set_aside}
    (told,) = cleaned.findings
    assert (told.code, told.severity) == ("set-aside", "warning")
    assert told.message.startswith(f"{len(expected)} of {len(planted)} samples are set aside")


def test_error_names_ten_of_the_damaged_files_and_the_way_to_set_them_aside(
    folder: Path, planted: list[Planted]
) -> None:
    with pytest.raises(InputError) as caught:
        clean(ImageFolder(str(folder)), ERROR)
    (finding,) = caught.value.findings
    damaged = [one for one in planted if one.fate != READABLE]
    assert (finding.code, finding.where) == ("unreadable-images", "data.clean.unreadable")
    assert finding.message.startswith(f"{len(damaged)} of {len(planted)} images cannot be read: ")
    assert finding.message.endswith(f" and {len(damaged) - 10} more")
    assert sum(_name(folder, one) in finding.message for one in damaged) == 10
    assert finding.fix.endswith("torchwork train CONFIG data.clean.unreadable=drop")


def test_a_csv_of_the_corpus_has_the_same_faults(folder: Path, planted: list[Planted], tmp_path: Path) -> None:
    by_content = [one for one in planted if one.kind != "other ending"]
    rows = "".join(f"{_name(folder, one)},{one.path.parent.name}\n" for one in by_content)
    (tmp_path / "labels.csv").write_text(f"file,label\n{rows}lost.png,day\n")
    cleaned = clean(ImageCSV(str(tmp_path / "labels.csv"), str(folder)), DROP)
    expected = {_name(folder, one): one.fate for one in by_content if one.fate != READABLE} | {"lost.png": "missing"}
    assert {one.name: one.code for one in cleaned.set_aside} == expected


def _config(folder: Path, **clean_keys: str) -> config.Config:
    return config.load(
        {
            "data": {
                "source": {"name": "ImageFolder", "root": str(folder)},
                "clean": clean_keys,
                "transform": [{"name": "Resize", "size": [12, 16]}],
                "split": {"val": 0.2, "test": 0.2},
            },
            "model": {"name": "MLP", "hidden": [4]},
            "optimizer": "Adam",
            "train": {"epochs": 1},
        }
    )


def test_error_stops_before_training_and_leaves_no_run(folder: Path, planted: list[Planted], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        train(_config(folder), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_with_drop_trains_and_its_directory_says_what_was_set_aside(
    folder: Path, planted: list[Planted], tmp_path: Path
) -> None:
    run = train(_config(folder, unreadable="drop"), out=tmp_path / "run")
    rows = rundir.read_csv(run.path / rundir.SET_ASIDE)
    damaged = {_name(folder, one): one.fate for one in planted if one.fate != READABLE}
    assert {row["name"]: row["code"] for row in rows} == damaged
    assert all(row["reason"] for row in rows)
    used = {row["name"] for row in rundir.read_csv(run.path / rundir.SPLIT)}
    assert used == {_name(folder, one) for one in planted} - set(damaged)
    assert not used & set(damaged)
    assert evaluate(run.path).keys() == {"val", "test"}  # the same samples are set aside again
    log = (run.path / rundir.LOG).read_text()
    assert f"{len(damaged)} of {len(planted)} samples are set aside" in log
    assert f"{len(damaged)} samples were set aside" in (run.path / rundir.REPORT).read_text(encoding="utf-8")
