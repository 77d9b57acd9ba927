"""What every image of a data set is: its size and kind, what it shows coarsely, or why it cannot be read."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from torchwork.data import decode, threads
from torchwork.data.audit import perceptual
from torchwork.data.luminance import luminance
from torchwork.data.remembered import known, remembered
from torchwork.types import Source

KIND = "picture-1"
_AT_A_TIME = 512
_SIDE = perceptual.SIDE

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Pictures:
    """What was found of N images. One that cannot be read stands in ``faults`` and has zeros everywhere else.

    ``sizes`` is int64 [N, 2], height and width as shown; ``formats`` and ``modes`` are those of files, "" for images in
    memory. ``constant`` says of which all pixels are equal. ``thumbs`` are the images reduced to 16×16 pixels,
    uint8 [N, 3, 16, 16].
    """

    sizes: np.ndarray
    formats: np.ndarray
    modes: np.ndarray
    constant: np.ndarray
    thumbs: np.ndarray
    faults: dict[int, tuple[str, str]]

    @property
    def readable(self) -> np.ndarray:
        """The places of those that can be read, int64."""
        return np.flatnonzero(self.sizes[:, 0] > 0)

    def grey(self, places: np.ndarray) -> np.ndarray:
        """Return the thumbnails of some in grey levels, uint8 [n, 16, 16]."""
        runs = torch.from_numpy(places).split(_AT_A_TIME)
        return np.concatenate([luminance(torch.from_numpy(self.thumbs[run.numpy()]))[:, 0].numpy() for run in runs])


def pictures(source: Source, progress: Progress | None = None) -> Pictures:
    """Decode every image of a source once. What is found of a file is remembered until the file changes.

    Args:
        source: One of images. Those of a user's data set are read as in epoch 0.
        progress: Told how many of them are done.
    """
    paths = getattr(source, "paths", None)
    if paths is not None:
        return _gathered(remembered(KIND, paths, measure, progress))
    found: list[Any] = []
    for start in range(0, len(source), _AT_A_TIME):
        found += _measured(source, np.arange(start, min(start + _AT_A_TIME, len(source))))
        if progress is not None:
            progress(len(found))
    return _gathered(found)


def of_files(paths: Sequence[Path], places: Sequence[int], *, decode_them: bool) -> Pictures:
    """Return what some of N files show; of the others, and of those unknown, that they are not looked at.

    Args:
        paths: The files.
        places: Which of them.
        decode_them: Decode those that are not remembered.
    """
    wanted = [paths[place] for place in places]
    found = remembered(KIND, wanted, measure) if decode_them else known(KIND, wanted)
    every = [{"code": "not-looked-at", "reason": ""}] * len(paths)
    for place, one in zip(places, found, strict=True):
        every[place] = one or every[place]
    return _gathered(every)


def measure(path: Path) -> dict[str, Any]:
    """Decode a file and return what it is, as JSON holds it: ``code`` and ``reason`` where it cannot be read."""
    try:
        image = decode.decode(path)
        header = decode.header(path)
    except decode.UnreadableError as error:
        return {"code": error.code, "reason": str(error)}
    return {"format": header.format, "mode": header.mode, **_shown(image)}


def _shown(image: Tensor) -> dict[str, Any]:
    """Return what an image uint8 [C, H, W] shows."""
    thumb = _reduced(image[None])[0].numpy()
    height, width = image.shape[-2:]
    pixels = np.broadcast_to(thumb, (3, _SIDE, _SIDE)).tobytes()
    return {
        "height": height,
        "width": width,
        # the reduction is looked at first: of most images that is enough
        "constant": _is_constant(thumb) and _is_constant(image.numpy()),
        "thumb": b64encode(pixels).decode(),
    }


def _is_constant(image: np.ndarray) -> bool:
    return bool((image == image[:, :1, :1]).all())


def _reduced(images: Tensor) -> Tensor:
    """Return uint8 [B, C, 16, 16]."""
    return F.interpolate(images, size=(_SIDE, _SIDE), mode="bilinear", align_corners=False, antialias=True)


def _measured(source: Source, indices: np.ndarray) -> list[dict[str, Any]]:
    """Return what images in memory, or those of a user's data set, are."""
    try:
        images, _ = source.read(indices, epoch=0)
    except Exception as error:  # a user's data set may raise anything
        if len(indices) == 1:
            return [{"code": "unreadable", "reason": str(error) or type(error).__name__}]
        return [found for index in indices for found in _measured(source, np.array([index]))]
    if not isinstance(images, Tensor):
        return threads.over(_shown, images)
    thumbs = _reduced(images).expand(-1, 3, -1, -1).numpy()
    flat = images.flatten(2)
    constant = (flat == flat[:, :, :1]).flatten(1).all(1)
    size = {"height": images.shape[-2], "width": images.shape[-1]}
    return [{**size, "constant": bool(constant[place]), "thumb": thumbs[place]} for place in range(len(images))]


def _gathered(found: Sequence[dict[str, Any]]) -> Pictures:
    count = len(found)
    sizes, constant = np.zeros((count, 2), np.int64), np.zeros(count, bool)
    thumbs = np.zeros((count, 3, _SIDE, _SIDE), np.uint8)
    faults = {}
    for place, one in enumerate(found):
        if "code" in one:
            faults[place] = (str(one["code"]), str(one["reason"]))
            continue
        sizes[place] = one["height"], one["width"]
        constant[place] = one["constant"]
        thumb = one["thumb"]  # as text where it was remembered
        thumbs[place] = (
            np.frombuffer(b64decode(thumb), np.uint8).reshape(3, _SIDE, _SIDE) if isinstance(thumb, str) else thumb
        )
    formats = np.array([one.get("format", "") for one in found], object)
    modes = np.array([one.get("mode", "") for one in found], object)
    return Pictures(sizes, formats, modes, constant, thumbs, faults)
