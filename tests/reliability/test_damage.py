"""A checkpoint that is not byte for byte what was written is detected, and the one before it is used."""

import os
import shutil

import pytest
import torch
from torch import nn

from torchwork.training import checkpoint, store
from torchwork.training.state import State


def checkpoints(folder, width):
    """Write two checkpoints into a folder and return the older and the newer."""
    torch.manual_seed(0)
    model = nn.Linear(width, width)
    state = State(model, torch.optim.Adam(model.parameters()))
    places = []
    for epoch in (1, 2):
        model(torch.randn(2, width)).sum().backward()
        state.optimizer.step()
        progress = state.progress
        progress.index, progress.epoch, progress.monitored = 7 * epoch, epoch, float(epoch)
        progress.best, progress.best_epoch = 1.0, 1
        places.append(checkpoint.save(state, folder))
    return places


@pytest.fixture
def width(scale):
    return scale(38, 127)  # a checkpoint of some 20 KB, or of 200 KB


def size(place):
    return sum(path.stat().st_size for path in place.iterdir())


def test_every_truncation_of_every_file_is_detected(width, tmp_path, scale, counted):
    older, newer = checkpoints(tmp_path, width)
    assert size(newer) > scale(18_000, 190_000)
    tried = 0
    for path in sorted(newer.iterdir()):
        whole = path.read_bytes()
        for length in range(len(whole) - 1, -1, -1):
            os.truncate(path, length)
            assert store.fault(newer) is not None, (path.name, length)
            if length % 97 == 0:
                assert checkpoint.latest(tmp_path) == older
            tried += 1
        path.write_bytes(whole)
        assert store.fault(newer) is None
    counted("Truncation at every byte", tried, every=True)


def test_one_flipped_bit_in_any_byte_is_detected(width, tmp_path, counted):
    older, newer = checkpoints(tmp_path, width)
    tried = 0
    for path in sorted(newer.iterdir()):
        whole = path.read_bytes()
        descriptor = os.open(path, os.O_WRONLY)
        for place, byte in enumerate(whole):
            os.pwrite(descriptor, bytes([byte ^ (1 << place % 8)]), place)
            assert store.fault(newer) is not None, (path.name, place)
            if place % 97 == 0:
                assert checkpoint.latest(tmp_path) == older
            os.pwrite(descriptor, bytes([byte]), place)
            tried += 1
        os.close(descriptor)
        assert store.fault(newer) is None
    counted("One bit flipped in every byte", tried, every=True)


def test_every_bit_of_the_manifest_matters(tmp_path, counted):
    _, newer = checkpoints(tmp_path, 2)
    path = newer / store.MANIFEST
    whole = path.read_bytes()
    descriptor = os.open(path, os.O_WRONLY)
    for place, byte in enumerate(whole):
        for bit in range(8):
            os.pwrite(descriptor, bytes([byte ^ (1 << bit)]), place)
            assert store.fault(newer) is not None, (place, bit)
        os.pwrite(descriptor, bytes([byte]), place)
    os.close(descriptor)
    assert checkpoint.latest(tmp_path) == newer
    counted("One bit flipped in every byte", 8 * len(whole), every=True)


FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "manifest.json")


def missing(path, older, outside):
    path.unlink()


def empty(path, older, outside):
    path.write_bytes(b"")


def foreign(path, older, outside):
    path.write_bytes((older / path.name).read_bytes())


def longer(path, older, outside):
    path.write_bytes(path.read_bytes() + b"\n")


def linked(path, older, outside):
    shutil.copy(path, outside)
    path.unlink()
    path.symlink_to(outside)


def linked_inside(path, older, outside):
    path.rename(path.with_name("other"))
    path.symlink_to("other")


def a_directory(path, older, outside):
    path.unlink()
    path.mkdir()


def a_pipe(path, older, outside):
    path.unlink()
    os.mkfifo(path)


def unreadable(path, older, outside):
    path.unlink()
    path.symlink_to(path)  # a circle: reading it fails for root, too


CHANGES = (missing, empty, foreign, longer, linked, linked_inside, a_directory, a_pipe, unreadable)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_file_that_is_not_its_own_is_detected(change, name, tmp_path, counted):
    older, newer = checkpoints(tmp_path / "c", 3)
    change(newer / name, older, tmp_path / "outside")
    assert store.fault(newer) is not None
    assert [place for place, _ in checkpoint.damaged(tmp_path / "c")] == [newer]
    assert checkpoint.latest(tmp_path / "c") == older
    counted("Missing, swapped, extra, zero-length, foreign, symlinked files", 1)


def test_swapped_files_are_detected(tmp_path, counted):
    tried = 0
    for one, other in (FILES[:2], FILES[1:3], FILES[2:], (FILES[0], FILES[3])):
        older, newer = checkpoints(tmp_path / one, 3)
        (newer / one).rename(newer / "x")
        (newer / other).rename(newer / one)
        (newer / "x").rename(newer / other)
        assert store.fault(newer) is not None
        assert checkpoint.latest(tmp_path / one) == older
        tried += 1
    counted("Missing, swapped, extra, zero-length, foreign, symlinked files", tried)


def test_a_checkpoint_that_is_a_link_or_a_file_is_none(tmp_path, counted):
    older, newer = checkpoints(tmp_path / "c", 3)
    newer.rename(tmp_path / "elsewhere")
    newer.symlink_to(tmp_path / "elsewhere")
    assert checkpoint.latest(tmp_path / "c") == older
    newer.unlink()
    newer.write_bytes(b"")
    assert checkpoint.latest(tmp_path / "c") == older
    counted("Missing, swapped, extra, zero-length, foreign, symlinked files", 2)


def test_files_that_the_manifest_does_not_list_do_no_harm_and_stay(tmp_path, counted):
    _, newer = checkpoints(tmp_path, 3)
    (newer / "notes.txt").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "000x").mkdir()
    assert checkpoint.latest(tmp_path) == newer
    assert checkpoint.damaged(tmp_path) == []
    counted("Missing, swapped, extra, zero-length, foreign, symlinked files", 3)
