"""Decode the images of a config into the cache ahead of time, so that runs find them ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from torchwork.building import pipeline_of
from torchwork.config import Config
from torchwork.data.clean import clean
from torchwork.data.decoding import Decoded, FileImages, store_for
from torchwork.data.packed import Cache, default_cache
from torchwork.data.pipelines.images import Images
from torchwork.data.resident import chunks
from torchwork.data.source import open_source
from torchwork.run_data import augment_steps
from torchwork.run_split import share_out
from torchwork.types import Finding, InputError


@dataclass(frozen=True)
class Packing:
    """What was packed: how many images, how many bytes, and below which folder."""

    images: int
    nbytes: int
    folder: Path


def pack(config: Config, progress: Callable[[int, int], None] = lambda done, total: None) -> Packing:
    """Decode every image of a config's splits and do its uint8 steps, once; a run reads the result from then on.

    Where an augmentation sets the size, the images of training are packed as it takes them, at their own size. An image
    that is in the pack already is not decoded again, so an interrupted packing goes on where it was.

    Args:
        config: Says the files, the split and the transform, which together decide the pack.
        progress: Told how many images are done, of how many.

    Raises:
        InputError: something is wrong with the data, they are no image files, or there is no room for them.
    """
    source = open_source(config.data.source, where="data.source")
    pipeline = pipeline_of(config, source.schema)
    cleaned = clean(source, config.data.clean.model_dump(), filled=pipeline.facts().get("filled", ()))
    splits, way = share_out(config, source, cleaned.kept).splits, pipeline.way
    cache = default_cache(config.data.cache_gb)
    if not isinstance(source, FileImages) or not isinstance(way, Images):
        message = "gives no image files: there is nothing to decode"
        raise InputError(Finding("no-images", "error", "data.source", message, "packs are for images in files"))
    if cache is None:
        raise InputError(Finding("no-cache", "error", "data.cache_gb", "is 0, which means no packs", "remove it"))
    sizing = any(augment.sizes for augment in augment_steps(config))
    wanted = {True: [ids for name, ids in splits.items() if not (sizing and name == "train")]}
    if sizing:
        wanted[False] = [splits["train"]]
    total, done, nbytes = sum(map(len, splits.values())), 0, 0
    for sized, parts in wanted.items():
        ids = np.concatenate(parts) if parts else np.empty(0, np.int64)
        store = store_for(source, way, ids, sized=sized, cache=cache, ahead=True)
        if store is None:
            raise InputError(_no_room(way, source, ids, cache, sized=sized))
        decoded = Decoded(source, way, sized=sized, store=store)
        for part in chunks(ids, source.schema):
            decoded.fill(part)
            done += len(part)
            progress(done, total)
        nbytes += store.nbytes
    return Packing(total, nbytes, cache.folder)


def _no_room(way: Images, source: FileImages, ids: np.ndarray, cache: Cache, *, sized: bool) -> Finding:
    shapes = way.shapes(source.sizes, len(source.mode), sized=sized)
    if shapes is None:
        message = "holds a step of your own, whose result cannot be foreseen"
        return Finding("unforeseen", "error", "data.transform", message, "images after such a step are not packed")
    needed = int(shapes.prod(1).sum()) / 1e9
    message = f"{needed:.3g} GB do not fit: the cache at {cache.folder} may take {cache.budget / 1e9:.3g} GB"
    return Finding("no-room", "error", "data.cache_gb", message, "allow more, free some disk, or set TORCHWORK_CACHE")
