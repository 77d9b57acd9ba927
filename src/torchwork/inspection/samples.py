"""Pictures of samples as the model sees them, written into the run directory."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor


def contact_sheet(inputs: object, path: Path, *, columns: int = 8, most: int = 64) -> bool:
    """Write images as one PNG, each stretched to its own range; say whether they were images.

    Args:
        inputs: [B, C, H, W] with one or three channels; anything else is no image.
        path: Where to write.
        columns: Images in a row.
        most: The greatest number of images drawn.
    """
    if not isinstance(inputs, Tensor) or inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
        return False
    from PIL import Image

    images = inputs[:most].detach().float().cpu()
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    images = ((images - low) / (high - low).clamp(min=1e-12) * 255).round().to(torch.uint8)
    count, channels, height, width = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = torch.full((channels, rows * (height + 2) - 2, columns * (width + 2) - 2), 255, dtype=torch.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + 2), index % columns * (width + 2)
        sheet[:, top : top + height, left : left + width] = image
    scale = max(1, 64 // max(height, width))  # small images are enlarged, pixel by pixel
    sheet = sheet.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    picture = sheet[0] if channels == 1 else sheet.permute(1, 2, 0)
    Image.fromarray(picture.contiguous().numpy()).save(path)
    return True
