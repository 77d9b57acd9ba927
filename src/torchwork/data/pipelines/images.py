"""Images: uint8 steps on the host, then levels 0 to 1 and Normalize on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork.data import steps
from torchwork.data.normalize import Normalize, learn_normalize
from torchwork.data.pipelines.stack import stacked, unequal
from torchwork.data.pipelines.way import EachSample, floats, misfit
from torchwork.types import Finding, InputError, Schema, Source

IMAGE_STEPS = (steps.Resize, steps.CenterCrop, steps.Pad, steps.Grayscale)
# So many values are made floats at a time: two megabytes of them.
IN_CACHE = 2**19
# Steps that an augmentation which sets the size itself stands in for, in training.
SIZING_STEPS = (steps.Resize, steps.CenterCrop)


class Images:
    """Images uint8 [C, H, W], of one size or of many."""

    def __init__(self, schema: Schema, where: str) -> None:
        self._schema = schema
        self._where = where
        self._steps: list[Callable[[Any], Any]] = []
        self._normalize: Normalize | None = None

    def add(self, step: Any, name: str, where: str) -> list[Finding]:
        if isinstance(step, Normalize):
            self._normalize = step
        elif isinstance(step, (*IMAGE_STEPS, EachSample)):
            self._steps.append(step)
        else:
            return [misfit(name, "other samples", self._schema, where)]
        return []

    @property
    def size_hint(self) -> tuple[int, int] | None:
        """The size that a decoder need not exceed: that of an exact Resize at the start, else None."""
        first = self._steps[0] if self._steps else None
        return first.exact if isinstance(first, steps.Resize) else None

    def learn(self, source: Source, indices: np.ndarray, passes: Callable[[], Iterator[Any]]) -> None:
        if self._normalize is not None:
            learn_normalize(self._normalize, passes, self._where)

    def prepare(self, raw: Any) -> Any:
        return stacked(self._done(raw, self._steps), self._where)

    def prepare_one(self, image: Tensor) -> Tensor:
        """Return one image [C, H, W] after the steps."""
        return self._done([image], self._steps)[0]

    def prepare_unsized(self, image: Tensor) -> Tensor:
        """Return one image [C, H, W] after the steps but those that set the size: an augmentation is to set it."""
        return self._done([image], [step for step in self._steps if not isinstance(step, SIZING_STEPS)])[0]

    def said(self, *, sized: bool = True) -> list[str]:
        """Return the steps of ``prepare_one`` or, with ``sized=False``, of ``prepare_unsized`` in words."""
        return [repr(step) for step in self._steps if sized or not isinstance(step, SIZING_STEPS)]

    def shapes(self, sizes: np.ndarray, channels: int, *, sized: bool = True) -> np.ndarray | None:
        """Return height, width and channels of images after the steps, int64 [N, 3], from their heights and widths.

        None where a user's own step makes of them what cannot be foreseen. ``sized=False``: as ``prepare_unsized``.
        """
        wanted = [step for step in self._steps if sized or not isinstance(step, SIZING_STEPS)]
        if not all(isinstance(step, IMAGE_STEPS) for step in wanted):
            return None
        distinct, inverse = np.unique(sizes, axis=0, return_inverse=True)
        outcomes = []
        for size in map(tuple, distinct.tolist()):
            for step in wanted if all(size) else ():
                size = step.output_size(*size)  # type: ignore[attr-defined]
            outcomes.append(size)
        for step in wanted:
            channels = step.num_output_channels if isinstance(step, steps.Grayscale) else channels
        found = np.array(outcomes, np.int64).reshape(-1, 2)[inverse.reshape(-1)]
        return np.concatenate([found, np.full((len(found), 1), channels)], 1)

    def _done(self, inputs: Any, wanted: list[Callable[[Any], Any]]) -> Any:
        for step in wanted:
            try:
                inputs = step(inputs)
            except ValueError as error:
                if not isinstance(step, IMAGE_STEPS):  # a user's own: its traceback says more
                    raise
                raise InputError(Finding("wrong-size", "error", self._where, str(error))) from error
        return inputs

    def finish(self, x: Any, dtype: torch.dtype) -> Any:
        if isinstance(x, dict):
            return {name: floats(value, dtype) for name, value in x.items()}
        if x.dtype == torch.uint8:
            return self._levels(x, dtype) if x.device.type != "cpu" else self._part_by_part(x, dtype)
        return floats(x, dtype) if self._normalize is None else self._normalize.copied(x, dtype)

    def _levels(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        return self._scaled(x.to(dtype))

    def _scaled(self, x: Tensor) -> Tensor:
        """Return floats 0 to 255 as the model takes them, in place."""
        return x.div_(255) if self._normalize is None else self._normalize.apply_to_levels(x)

    def _part_by_part(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the same as ``_levels``, each pass over so little at a time that the processor's cache holds it."""
        length = max(1, IN_CACHE // max(1, x[:1].numel()))
        if len(x) <= length:
            return self._levels(x, dtype)
        finished = torch.empty(x.shape, dtype=dtype)
        for part, place in zip(x.split(length), finished.split(length), strict=True):
            self._scaled(place.copy_(part))
        return finished

    def check_sizes(self, sizes: np.ndarray, name: Callable[[int], str]) -> None:
        """Refuse images, by height and width [N, 2], that would not stack after the steps, before any is decoded.

        Raises:
            InputError: names the two commonest outcomes with an example of each, and says what to add.
        """
        if not all(isinstance(step, IMAGE_STEPS) for step in self._steps):
            return
        distinct, first, counts = np.unique(sizes, axis=0, return_index=True, return_counts=True)
        outcomes: dict[tuple[int, int], tuple[int, str]] = {}
        for (height, width), example, count in zip(distinct.tolist(), first.tolist(), counts.tolist(), strict=True):
            size = (height, width)
            try:
                for step in self._steps:
                    size = step.output_size(*size)  # type: ignore[attr-defined]
            except ValueError as error:
                message = f"{name(example)}: {error}"
                raise InputError(Finding("wrong-size", "error", self._where, message)) from error
            seen, kept = outcomes.get(size, (0, name(example)))
            outcomes[size] = (seen + count, kept)
        if len(outcomes) > 1:
            raise InputError(unequal(outcomes, self._where))

    def state(self) -> dict[str, Tensor]:
        return {} if self._normalize is None else self._normalize.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        if self._normalize is not None:
            self._normalize.load_state(state)

    def facts(self) -> dict[str, Any]:
        return {}

    def load_facts(self, facts: Mapping[str, Any]) -> None:
        pass

    def describe(self) -> list[str]:
        lines = [repr(step) for step in self._steps]
        lines.append("to float, levels 0 to 255 become 0 to 1")
        return lines if self._normalize is None else [*lines, repr(self._normalize)]
