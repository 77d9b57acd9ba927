"""Batches are the same bytes whatever feeds them: workers or threads, memory, a pack on disk or the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from torchwork import rng
from torchwork.data import resident, threads
from torchwork.data.augment.build import build
from torchwork.data.builtin import Digits
from torchwork.data.decoding import store_for
from torchwork.data.images import ImageFolder
from torchwork.data.loader import Loader
from torchwork.data.mixing import Mixing
from torchwork.data.packed import Cache, Kept
from torchwork.data.source import open_source
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.types import InputError, Schema, Source

STEPS = [{"name": "Resize", "size": [10, 10]}, {"name": "Normalize", "mean": 0.5, "std": 0.25}]
CROP = [{"name": "RandomResizedCrop", "size": 10}, {"name": "RandomHorizontalFlip"}]
FLIP = [{"name": "RandomHorizontalFlip"}, {"name": "ColorJitter", "brightness": 0.4}]
MIX = [{"name": "RandomHorizontalFlip"}, {"name": "MixUp", "alpha": 1.0}]
AUGMENTS = {"none": [], "sized by the augmentation": CROP, "by batch": FLIP, "mixed": MIX, "all": [*CROP, MIX[1]]}
FEEDS = ["memory", "pack", "files", "one thread", "workers"]


@pytest.fixture
def folder(tmp_path: Path, smooth: Callable[..., np.ndarray]) -> Path:
    """JPEG and PNG files of many sizes, in two classes."""
    for number in range(22):
        pixels = smooth(number, 12 + number % 5, 11 + number % 3)
        place = tmp_path / "images" / ("cat" if number % 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.{'jpg' if number % 3 else 'png'}")
    return tmp_path / "images"


def _loader(source: Source, augments: list[dict[str, Any]], cache: Cache | None = None, **options: Any) -> Loader:
    ids = np.arange(0, len(source), dtype=np.int64)[1:]
    built = build(augments)
    pipeline = Pipeline(STEPS, source.schema)
    pipeline.cache = cache
    pipeline.sized_later = any(augment.sizes for augment in built)
    pipeline.fit(source, ids)
    assert source.targets is not None
    target = Target.fit(source.schema, source.targets, {"train": ids}, source.name)
    if any(augment.mixes for augment in built):
        target = target.as_one_hot()
    options = {"batch_size": 4, "shuffle": True, "seed": 3} | options
    return Loader(source, ids, pipeline=pipeline, target=target, augments=built, **options)


def _epoch(loader: Loader, epoch: int, start: int = 0) -> list[tuple[bytes, bytes, list[int]]]:
    return [
        (batch.inputs.numpy().tobytes(), batch.target.numpy().tobytes(), batch.ids.tolist())
        for batch in loader.batches(epoch, start)
    ]


def _fed(way: str, folder: Path, augments: list[dict[str, Any]], cache: Path, patch: pytest.MonkeyPatch) -> Loader:
    if way != "memory":
        patch.setattr(resident, "SHARE", 0.0)
    if way == "one thread":
        patch.setattr(threads, "num_cores", lambda: 1)
    wanted = Cache(cache, 1e9) if way == "pack" else None
    return _loader(ImageFolder(str(folder)), augments, wanted, num_workers=2 if way == "workers" else 0)


@pytest.mark.parametrize("augments", AUGMENTS)
def test_every_way_gives_the_same_bytes_in_every_epoch(augments, folder, tmp_path, monkeypatch):
    expected: list[Any] = []
    for way in FEEDS:
        with monkeypatch.context() as patch:
            loader = _fed(way, folder, AUGMENTS[augments], tmp_path / "cache", patch)
            found = [_epoch(loader, epoch) for epoch in (0, 1)] + [_epoch(loader, 1, start=3)]
            again = _epoch(loader, 0)  # by now everything that can be kept is
            loader.close()
        expected = expected or found
        assert found == expected, way
        assert again == expected[0], way
    assert expected[0] != expected[1]
    assert expected[2] == expected[1][3:]


@pytest.mark.parametrize("augments", AUGMENTS)
def test_a_batch_that_was_handed_out_never_changes_and_two_passes_at_a_time_do_not_meet(augments, folder, monkeypatch):
    monkeypatch.setattr(resident, "SHARE", 0.0)
    loader = _loader(ImageFolder(str(folder)), AUGMENTS[augments])
    first, second = _epoch(loader, 0), _epoch(loader, 1)
    held: dict[int, list[Any]] = {0: [], 1: []}
    for both in zip(loader.batches(0), loader.batches(1), strict=True):
        for epoch, batch in enumerate(both):
            held[epoch].append(batch)
    found = [[batch.inputs.numpy().tobytes() for batch in batches] for batches in held.values()]
    assert found == [[inputs for inputs, _, _ in epoch] for epoch in (first, second)]


def test_what_was_packed_by_one_run_serves_the_next_without_the_decoder(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(resident, "SHARE", 0.0)
    cache = Cache(tmp_path / "cache", 1e9)
    expected = _epoch(_loader(ImageFolder(str(folder)), CROP, cache), 0)
    source = ImageFolder(str(folder))
    monkeypatch.setattr(source, "decode", lambda *arguments: pytest.fail("decoded again"))
    assert _epoch(_loader(source, CROP, cache), 0) == expected


def test_what_is_to_be_packed_ahead_is_not_kept_in_memory_instead(folder, tmp_path):
    source, pipeline = ImageFolder(str(folder)), Pipeline(STEPS, Schema("image", "class"))
    ids, no_room = np.arange(len(source)), Cache(tmp_path / "cache", 10)
    assert isinstance(store_for(source, pipeline.way, ids, sized=False, cache=no_room), Kept)
    assert store_for(source, pipeline.way, ids, sized=False, cache=no_room, ahead=True) is None


def test_a_changed_file_gets_a_pack_of_its_own(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(resident, "SHARE", 0.0)
    cache = Cache(tmp_path / "cache", 1e9)
    before = _epoch(_loader(ImageFolder(str(folder)), [], cache), 0)
    path = next(iter(sorted(folder.rglob("*.png"))))
    with Image.open(path) as image:
        flipped = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    flipped.save(path)
    after = _epoch(_loader(ImageFolder(str(folder)), [], cache), 0)
    assert after != before
    assert after == _epoch(_loader(ImageFolder(str(folder)), []), 0)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_another_transform_gets_a_pack_of_its_own(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(resident, "SHARE", 0.0)
    cache = Cache(tmp_path / "cache", 1e9)
    for augments in ([], CROP):
        _epoch(_loader(ImageFolder(str(folder)), augments, cache), 0)
    assert len(list((tmp_path / "cache").iterdir())) == 2


class Pictures(Dataset[Any]):
    """A user's data set of PIL images of many sizes."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(path for path in folder.rglob("*.*"))
        self.targets = [int(path.parent.name == "dog") for path in self.paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        with Image.open(self.paths[index]) as image:
            return image.convert("RGB"), self.targets[index]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_augmentation_sets_the_size_of_a_users_images_too(folder, num_workers):
    expected = _epoch(_loader(open_source(Pictures(folder)), CROP), 1)
    loader = _loader(open_source(Pictures(folder)), CROP, num_workers=num_workers)
    assert _epoch(loader, 1) == expected
    loader.close()


def test_a_crop_of_a_batch_is_the_crop_of_each_file(folder):
    loader = _loader(ImageFolder(str(folder)), CROP, shuffle=False)
    source, crop = ImageFolder(str(folder)), build(CROP)[0]
    batch = next(iter(loader.batches(2)))
    flipped = build(CROP)[1]
    keys, turns = crop.keys(3, 2, batch.ids), flipped.keys(3, 2, batch.ids)
    images = torch.stack([crop.operation.one(source.decode(int(i)), k) for i, k in zip(batch.ids, keys, strict=True)])
    expected = flipped(images, turns).float().mul(1 / (255 * 0.25)).add(-0.5 / 0.25)
    assert torch.equal(batch.inputs, expected)


def test_damage_is_found_before_the_first_batch_where_images_are_kept_in_memory(folder):
    damaged = sorted(folder.rglob("*.jpg"))[3]
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) // 2] + b"\xff\xd9")
    with pytest.raises(InputError, match=damaged.name):
        _loader(ImageFolder(str(folder)), CROP)


def test_partners_come_from_the_whole_split_with_their_targets_in_the_same_shares():
    source = Digits()
    ids = np.arange(5, 400)
    augment = build([{"name": "MixUp", "alpha": 1.0, "p": 1.0}])
    pipeline = Pipeline([], source.schema)
    pipeline.fit(source, ids)
    target = Target.fit(source.schema, source.targets, {"train": ids}, source.name).as_one_hot()
    loader = Loader(source, ids, pipeline=pipeline, target=target, augments=augment, batch_size=50, seed=1)
    plain, _ = source.read(np.arange(len(source)), epoch=0)
    seen = []
    for batch in loader.batches(4):
        partners = ids[Mixing(augment[0], len(ids), 1).partners(4, batch.ids)]
        lam = torch.from_numpy(augment[0].operation.draw(augment[0].keys(1, 4, batch.ids), 8, 8).lam).float()
        share = lam[:, None, None, None]
        own, other = plain[batch.ids].float() / 255, plain[partners].float() / 255
        torch.testing.assert_close(batch.inputs, share * own + (1 - share) * other)
        labels = [torch.from_numpy(source.targets[rows].astype(np.int64)) for rows in (batch.ids, partners)]
        mixed = sum(
            weight[:, None] * torch.nn.functional.one_hot(label, 10)
            for weight, label in zip((lam, 1 - lam), labels, strict=True)
        )
        torch.testing.assert_close(batch.target, mixed)
        seen.append(partners)
    assert set(np.concatenate(seen)) <= set(ids)
    assert len(set(np.concatenate(seen))) > 200


def test_partners_do_not_depend_on_the_batch():
    augment = build([{"name": "CutMix"}])[0]
    mixing, ids = Mixing(augment, 1000, 0), np.arange(64)
    whole = mixing.partners(1, ids)
    assert np.array_equal(mixing.partners(1, ids[10:20]), whole[10:20])
    assert not np.array_equal(mixing.partners(2, ids), whole)
    assert rng.seed(0, "partner") != rng.seed(1, "partner")


def test_a_disk_that_fails_costs_the_pack_and_not_the_epoch(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(resident, "SHARE", 0.0)
    expected = _epoch(_loader(ImageFolder(str(folder)), CROP), 0)

    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    assert _epoch(_loader(ImageFolder(str(folder)), CROP, Cache(tmp_path / "cache", 1e9)), 0) == expected
