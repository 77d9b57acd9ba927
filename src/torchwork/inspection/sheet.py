"""A sheet of pictures with labels: each sample's pictures side by side, what it is called below them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from torchwork.inspection.lettering import fitted

SMALLEST, LARGEST = 96, 192  # pixels of a picture's longer side on the sheet
_WIDEST = 1500
_LEAST_CELL = 120  # so that a label has room
_GAP, _TEXT = 10, 14
_INK, _PALE, _PAPER = (20, 20, 20), (120, 120, 120), (255, 255, 255)


def sheet(pictures: Sequence[Tensor], titles: Sequence[str], labels: Sequence[str], caption: str = "") -> bytes:
    """Return a PNG with the samples in rows.

    Args:
        pictures: For each title the pictures of all samples, uint8 [B, 1 or 3, H, W].
        titles: What is written above the pictures of each, as before and after; one for each of ``pictures``.
        labels: What is written below each sample, [B]; shortened where it has no room.
        caption: What is written on top.

    >>> from PIL import Image
    >>> made = sheet([torch.zeros(2, 1, 8, 8, dtype=torch.uint8)], [""], ["cat", "dog"])
    >>> Image.open(io.BytesIO(made)).format
    'PNG'
    """
    tiles = [[_tile(picture) for picture in samples] for samples in pictures]
    width, height = max(t.width for row in tiles for t in row), max(t.height for row in tiles for t in row)
    inner = len(tiles) * width + (len(tiles) - 1) * 2
    cell = max(inner, _LEAST_CELL) + _GAP
    columns = max(1, min(len(labels), (_WIDEST - _GAP) // cell))
    rows = -(-len(labels) // columns)
    line = _TEXT + 6
    head = line * (bool(caption) + any(titles)) + _GAP
    step = height + line + _GAP
    page = Image.new("RGB", (columns * cell + _GAP, head + rows * step), _PAPER)
    draw = ImageDraw.Draw(page)
    if caption:
        _write(draw, caption, (_GAP, 4), page.width - 2 * _GAP, _INK)
    for place, label in enumerate(labels):
        left, top = _GAP + place % columns * cell, head + place // columns * step
        for number, samples in enumerate(tiles):
            at = left + number * (width + 2)
            page.paste(samples[place], (at, top + (height - samples[place].height)))
            if top == head and titles[number]:
                _write(draw, titles[number], (at, head - line), width, _PALE)
        _write(draw, label, (left, top + height + 2), cell - _GAP, _INK)
    content = io.BytesIO()
    page.save(content, "PNG")
    return content.getvalue()


def _write(draw: ImageDraw.ImageDraw, text: str, at: tuple[int, int], width: int, ink: tuple[int, int, int]) -> None:
    left: float = at[0]
    for shown, font in fitted(text, _TEXT, width):
        draw.text((left, at[1] + _TEXT), shown, fill=ink, font=font, anchor="ls")
        left += font.getlength(shown)


def _tile(picture: Tensor) -> Image.Image:
    """Return one picture, small ones enlarged pixel by pixel, large ones made smaller."""
    found = Image.fromarray(picture[0].numpy() if len(picture) == 1 else picture.permute(1, 2, 0).contiguous().numpy())
    longer = max(found.size)
    if longer > LARGEST:
        factor = LARGEST / longer
        size = max(1, round(found.width * factor)), max(1, round(found.height * factor))
        return found.resize(size, Image.Resampling.LANCZOS)
    factor = -(-SMALLEST // longer)
    return found.resize((found.width * factor, found.height * factor), Image.Resampling.NEAREST)


def levels(images: Tensor, *, alike: Sequence[Tensor] = ()) -> Tensor:
    """Return floats [B, C, H, W] as uint8, each sample from its least to its greatest value.

    Args:
        images: What to show.
        alike: Other pictures of the same samples, whose values count for the range as well.

    >>> levels(torch.tensor([[[[-1.0, 0.0, 1.0]]]])).tolist()
    [[[[0, 128, 255]]]]
    """
    every = torch.cat([part.flatten(1) for part in (images, *alike)], 1)
    low, high = every.amin(1).view(-1, 1, 1, 1), every.amax(1).view(-1, 1, 1, 1)
    scaled = (images - low) / (high - low).clamp(min=torch.finfo(torch.float32).tiny)
    return (scaled * 255).round().to(torch.uint8)
