"""A sample as a person can look at it: a small picture, a text, the outline of a sound, the cells of a row."""

from __future__ import annotations

import io
from base64 import b64encode
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from torchwork.data import decode, missing
from torchwork.types import Source

_SIDE = 96
_LETTERS = 240
_COLUMNS = 6
_STEPS = 60
_FAINT = 0.05  # of full scale: what is below is drawn as small as it is


def example(source: Source, index: int, about: str = "") -> dict[str, Any]:
    """Return what is to be seen of a sample: ``image`` (a data URI), ``text``, ``wave`` (loudness) or ``cells``.

    A sample that cannot be read has none of them. Of a row there are a few cells: first those of the columns that the
    message ``about`` names in quotation marks, empty and infinite ones before others.
    """
    try:
        if source.schema.inputs == "table":
            return _row(source, index, about)
        return _SHOWN[source.schema.inputs](source, index)
    except Exception:  # whatever keeps a sample from being read is told by the findings
        return {}


def data_uri(image: np.ndarray) -> str:
    """Return an image uint8 [H, W, 3 or 1] as a data URI: PNG where it is small, else JPEG.

    >>> data_uri(np.zeros((1, 1, 3), np.uint8))[:22]
    'data:image/png;base64,'
    """
    small = max(image.shape[:2]) <= _SIDE // 2
    kind = "PNG" if small else "JPEG"
    file = io.BytesIO()
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    picture.save(file, kind, **({} if small else {"quality": 80}))
    return f"data:image/{kind.lower()};base64,{b64encode(file.getvalue()).decode()}"


def _image(source: Source, index: int) -> dict[str, Any]:
    paths = getattr(source, "paths", None)
    image: Tensor = decode.decode(paths[index]) if paths is not None else source.read(np.array([index]), epoch=0)[0][0]
    longest = max(image.shape[-2:])
    if longest > _SIDE:
        size = [max(1, round(side * _SIDE / longest)) for side in image.shape[-2:]]
        image = F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]
    return {"image": data_uri(image[:3].permute(1, 2, 0).contiguous().numpy())}


def _text(source: Source, index: int) -> dict[str, Any]:
    text = source.read(np.array([index]), epoch=0)[0][0]
    return {"text": text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"}


def _sound(source: Source, index: int) -> dict[str, Any]:
    sound: Tensor = source.read(np.array([index]), epoch=0)[0][0]
    if len(sound) < _STEPS:
        return {}
    steps = torch.stack([part.abs().max() for part in sound.tensor_split(_STEPS)])
    loudest = max(float(steps.max()), _FAINT)
    return {"wave": [round(float(step) / loudest, 3) for step in steps]}


def _row(source: Source, index: int, about: str) -> dict[str, Any]:
    cells = source.read(np.array([index]), epoch=0)[0]
    numbers, texts = np.asarray(cells["numbers"], np.float64), cells["categories"]
    values = [*("empty" if np.isnan(value) else f"{value:.6g}" for value in numbers[0].tolist())]
    values += ["empty" if text is None else str(text) for text in texts[0]]
    names = [*source.schema.numbers, *source.schema.categories]
    wrong = missing.bad(numbers, texts)[0]
    order = sorted(range(len(names)), key=lambda place: (repr(names[place]) not in about, not wrong[place]))
    named = [f"{names[place]}: {values[place]}" for place in order]
    return {"cells": named[:_COLUMNS] + (["…"] if len(named) > _COLUMNS else [])}


def _nothing(source: Source, index: int) -> dict[str, Any]:
    return {}


_SHOWN = {"image": _image, "text": _text, "audio": _sound, "array": _nothing}
