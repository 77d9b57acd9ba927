"""Random blur, keyed by sample."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchwork import rng
from torchwork.data.augment.chunks import as_column, check_levels, in_chunks, to_levels
from torchwork.data.augment.options import add, between, positive, refuse
from torchwork.data.padding import pad
from torchwork.types import Finding

# A tap of less weight moves no level by a thousandth, and is left out.
_LIGHTEST = 1e-7


class GaussianBlur:
    """Blur each image with a Gaussian kernel whose standard deviation is drawn.

    As torchvision's ``GaussianBlur``: weights exp(-x² / 2 sigma²) at whole distances x, normalised to the sum 1, along
    both axes; the border is mirrored.

    Args:
        kernel_size: The number of weights, odd: one for both axes or [along x, along y].
        sigma: [Least, greatest] standard deviation in pixels, or one number.

    >>> GaussianBlur(3)(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(self, kernel_size: int | list[int], sigma: float | tuple[float, float] = (0.1, 2.0)) -> None:
        wrong: list[Finding] = []
        sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
        if len(sizes) != 2 or not all(size > 0 and size % 2 for size in sizes):
            add(wrong, "kernel_size", kernel_size, "an odd whole number from 1, or [along x, along y]")
        self.kernel_size = sizes
        self.sigma = positive((sigma, sigma) if isinstance(sigma, int | float) else sigma, "sigma", wrong)
        refuse(wrong)

    def draw(self, keys: np.ndarray) -> np.ndarray:
        """Return the standard deviations in pixels, float64 [B]."""
        return between(rng.uniform(keys, 1)[:, 0], self.sigma)

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return uint8 [B, C, H, W]; ``keys`` (uint64 [B]) decide how strong the blur is.

        Raises:
            ValueError: the kernel reaches over more than the whole image.
        """
        check_levels(images, "GaussianBlur")
        across, down = (size // 2 for size in self.kernel_size)
        if across >= images.shape[-1] or down >= images.shape[-2]:
            size = "×".join(map(str, images.shape[-2:]))
            raise ValueError(f"a kernel of {self.kernel_size} is too large for images of {size}")
        return in_chunks(self._blurred, images, self.draw(keys))

    def _blurred(self, images: Tensor, sigmas: np.ndarray) -> Tensor:
        across, down = (size // 2 for size in self.kernel_size)
        found = pad(images, (across, down, across, down), mode="reflect").to(torch.float32)
        for axis, reach in ((-1, across), (-2, down)):
            found = _along(found, axis, weights(sigmas, reach))
        return to_levels(found.round_().clamp_(0, 255))

    def __repr__(self) -> str:
        return f"GaussianBlur({self.kernel_size}, sigma={list(self.sigma)})"


def weights(sigmas: np.ndarray, reach: int) -> np.ndarray:
    """Return float64 [B, reach + 1]: the weight at distance 0, 1 ... from the middle."""
    distances = np.arange(reach + 1)
    curve = np.exp(-0.5 * np.square(distances / sigmas[:, None]))
    found = curve / (curve[:, :1] + 2 * curve[:, 1:].sum(1, keepdims=True))
    return np.where(found < _LIGHTEST, 0, found)


def _along(images: Tensor, axis: int, of_distance: np.ndarray) -> Tensor:
    """Return the weighted sums along an axis, which loses ``reach`` places at each end; added in one fixed order."""
    reach = of_distance.shape[1] - 1
    length = images.shape[axis] - 2 * reach
    total = images.narrow(axis, reach, length) * as_column(of_distance[:, 0], images)
    for distance in range(1, reach + 1):
        if not of_distance[:, distance].any():
            break
        pair = images.narrow(axis, reach - distance, length) + images.narrow(axis, reach + distance, length)
        total += pair.mul_(as_column(of_distance[:, distance], images))
    return total
