"""Images that are kept: what was put in comes out, and whatever is damaged, half written or full does not count."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchwork.data.packed import Cache, Kept, Packed, default_cache, key

SHAPES = np.array([[2, 3, 3], [4, 1, 3], [0, 0, 3], [5, 5, 3]])


def _image(place: int) -> torch.Tensor:
    height, width, channels = SHAPES[place].tolist()
    generator = torch.Generator().manual_seed(place)
    return torch.randint(0, 256, (channels, height, width), dtype=torch.uint8, generator=generator)


@given(st.lists(st.tuples(*[st.integers(1, 6)] * 2, st.sampled_from([1, 3])), min_size=1, max_size=6), st.data())
def test_what_is_put_in_comes_out_at_its_own_place(shapes, data):
    order = data.draw(st.permutations(range(len(shapes))))
    images = {
        i: torch.from_numpy(np.random.default_rng(i).integers(0, 256, (c, h, w), np.uint8))
        for i, (h, w, c) in enumerate(shapes)
    }
    with tempfile.TemporaryDirectory() as folder:
        for store in (Packed(np.array(shapes), Path(folder)), Kept(np.array(shapes))):
            for number, place in enumerate(order):
                assert store.get(place) is None
                assert store.missing(order) == order[number:]
                store.put(place, images[place])
            assert all(torch.equal(store.get(place), image) for place, image in images.items())


def test_what_was_decoded_into_its_place_in_memory_is_not_copied():
    kept = Kept(SHAPES)
    room = kept.room(3)
    room[...] = _image(3).permute(1, 2, 0).numpy()
    kept.put(3, torch.from_numpy(room).permute(2, 0, 1))
    kept.put(1, _image(1))
    assert torch.equal(kept.get(3), _image(3))
    assert kept.get(3).data_ptr() == room.ctypes.data
    turned = torch.from_numpy(room).permute(2, 1, 0)  # the same memory, but not the same image
    kept.put(3, turned.clone())
    assert torch.equal(kept.get(3), _image(3).transpose(1, 2))
    assert torch.equal(kept.get(1), _image(1))


def test_a_pack_on_disk_is_there_for_the_next_process(tmp_path):
    first = Packed(SHAPES, tmp_path / "pack")
    first.put(1, _image(1))
    other = Packed(SHAPES, tmp_path / "pack")
    assert torch.equal(other.get(1), _image(1))
    assert other.missing([0, 1, 3]) == [0, 3]


def test_an_image_of_another_shape_than_was_said_is_refused(tmp_path):
    for store in (Packed(SHAPES, tmp_path), Kept(SHAPES)):
        with pytest.raises(ValueError, match="image 0 is"):
            store.put(0, torch.zeros(3, 3, 2, dtype=torch.uint8))


def test_a_damaged_image_does_not_count_and_can_be_put_again(tmp_path):
    Packed(SHAPES, tmp_path / "pack").put(3, _image(3))
    pixels = tmp_path / "pack" / "pixels.bin"
    content = bytearray(pixels.read_bytes())
    content[-1] ^= 1
    pixels.write_bytes(content)
    again = Packed(SHAPES, tmp_path / "pack")
    assert again.get(3) is None
    again.put(3, _image(3))
    assert torch.equal(Packed(SHAPES, tmp_path / "pack").get(3), _image(3))


def test_an_image_whose_pixels_never_reached_the_disk_does_not_count(tmp_path):
    """As after a power cut: the sum was written, the pixels were not."""
    packed = Packed(SHAPES, tmp_path / "pack")
    packed.put(0, _image(0))
    pixels = tmp_path / "pack" / "pixels.bin"
    pixels.write_bytes(bytes(pixels.stat().st_size))
    assert Packed(SHAPES, tmp_path / "pack").get(0) is None


def _fill(folder: Path, places: list[int]) -> None:
    packed = Packed(SHAPES, folder)
    for _ in range(200):
        for place in places:
            packed.put(place, _image(place))
            found = packed.get(place)
            assert found is not None
            assert torch.equal(found, _image(place))


def test_two_processes_may_fill_one_pack_at_a_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fill, args=(tmp_path / "pack", order)) for order in ([0, 1, 3], [3, 1, 0])]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    packed = Packed(SHAPES, tmp_path / "pack")
    assert all(torch.equal(packed.get(place), _image(place)) for place in (0, 1, 3))


def test_packs_that_were_used_longest_ago_make_room_and_an_open_one_stays(tmp_path):
    one = int(SHAPES.prod(1).sum()) + 4 * len(SHAPES)
    cache = Cache(tmp_path, 2.5 * one)
    held = cache.pack("held", SHAPES)
    assert cache.pack("old", SHAPES) is not None
    for age, name in ((300, "held"), (200, "old")):
        used = tmp_path / name / "used"
        os.utime(used, (used.stat().st_atime - age, used.stat().st_mtime - age))
    assert cache.pack("new", SHAPES) is not None
    assert {path.name for path in tmp_path.iterdir()} == {"held", "new"}
    assert held is not None


def test_what_does_not_fit_into_the_budget_is_not_packed(tmp_path):
    assert Cache(tmp_path, 10).pack("large", SHAPES) is None
    assert not list(tmp_path.iterdir())


def test_a_full_disk_means_no_pack_and_no_error(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert Cache(tmp_path, 1e9).pack("pack", SHAPES) is None


def test_a_pack_that_is_only_wanted_if_it_is_there_is_not_made(tmp_path):
    cache = Cache(tmp_path, 1e9)
    assert cache.pack("pack", SHAPES, only_if_there=True) is None
    cache.pack("pack", SHAPES)
    assert cache.pack("pack", SHAPES, only_if_there=True) is not None


def test_the_key_depends_on_every_content_its_order_and_all_that_is_said():
    keys = [key(["a", "b"], "RGB"), key(["b", "a"], "RGB"), key(["a"], "RGB"), key(["a", "b"], "L"), key(["ab"], "RGB")]
    assert len(set(keys)) == len(keys)
    assert key(["a", "b"], "RGB") == keys[0]


def test_the_default_budget_is_a_share_of_the_free_disk_and_0_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHWORK_CACHE", str(tmp_path))
    found = default_cache(None)
    assert found is not None
    assert 0 < found.budget <= 0.21 * shutil.disk_usage(tmp_path).total
    assert default_cache(0) is None
    assert default_cache(1.5) == Cache(tmp_path / "packs", 1.5e9)
