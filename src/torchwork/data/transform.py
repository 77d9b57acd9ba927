"""From raw inputs to what the model sees: deterministic steps, then floats, fitted on the training split only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork import catalog
from torchwork.data import TRANSFORMS, steps
from torchwork.data.component import call, construct, options_of
from torchwork.data.files import ImageFiles
from torchwork.data.normalize import Moments, Normalize
from torchwork.data.onehot import OneHot
from torchwork.data.resident import chunks, read_all
from torchwork.data.wording import counted
from torchwork.types import Finding, InputError, Schema, Source

# Samples that are already in memory are measured so many at a time.
CHUNK = 1024
IMAGE_STEPS = (steps.Resize, steps.CenterCrop, steps.Grayscale)


class Pipeline:
    """The transforms of a config, in the order of the config.

    Raw inputs go through ``prepare`` on the host (images stay uint8, table rows become numbers and codes) and through
    ``finish`` on the run's device (levels 0 to 255 become floats 0 to 1, then Normalize; codes become one-hot columns).
    Augmentation stands between the two. A step by import path is a class or function on one sample, [C, H, W] for an
    image; if it gives floats, they are not scaled again.

    Args:
        steps: Components: Resize, CenterCrop, Grayscale, Normalize (last), OneHot, or import paths.
        schema: What the samples are.
        where: The place in the config, for findings.

    Raises:
        InputError: unknown names or options, a step that does not fit the data, Normalize not at the end.

    >>> from torchwork.data.builtin import Digits
    >>> source = Digits()
    >>> pipeline = Pipeline([{"name": "Resize", "size": 16}, {"name": "Normalize"}], source.schema)
    >>> pipeline.fit(source, np.arange(100))
    >>> x = pipeline.finish(pipeline.prepare(source.read(np.arange(4), epoch=1)[0]))
    >>> x.shape, x.dtype
    (torch.Size([4, 1, 16, 16]), torch.float32)
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]], schema: Schema, where: str = "data.transform") -> None:
        self.dtype = torch.float32
        self.schema = schema
        self.where = where
        self._normalize: Normalize | None = None
        self._one_hot = OneHot()
        self._steps: list[Callable[[Any], Any]] = []
        self._kept: tuple[Source, np.ndarray, Tensor] | None = None
        findings: list[Finding] = []
        for place, spec in enumerate(steps):
            findings += self._add(spec, f"{where}[{place}]")
        if findings:
            raise InputError(findings)

    def _add(self, spec: Mapping[str, Any], where: str) -> list[Finding]:
        name = spec["name"]
        if name in TRANSFORMS:
            step, findings = construct(spec, TRANSFORMS, "transform", where)
        else:
            step, findings = _own_step(spec, where)
        if findings:
            return findings
        if self._normalize is not None:
            fix = "put Normalize last; it is done on floats, after all steps and the augmentation"
            return [Finding("order", "error", where, f"{name} stands after Normalize", fix)]
        if isinstance(step, Normalize):
            self._normalize = step
        elif isinstance(step, OneHot):
            self._one_hot = step
            if self.schema.inputs != "table":
                return [_misfit(name, "tables", self.schema, where)]
        elif self.schema.inputs == "table" or (isinstance(step, IMAGE_STEPS) and self.schema.inputs != "image"):
            return [_misfit(name, "images", self.schema, where)]
        else:
            self._steps.append(step)
        return []

    @property
    def levels(self) -> dict[str, list[str]]:
        """The levels of each category column, in the order of their one-hot columns."""
        return self._one_hot.levels

    @property
    def size_hint(self) -> tuple[int, int] | None:
        """The size that a decoder need not exceed: that of an exact Resize at the start, else None."""
        first = self._steps[0] if self._steps else None
        return first.exact if isinstance(first, steps.Resize) else None

    def fit(self, source: Source, indices: np.ndarray) -> None:
        """Learn category levels and measure Normalize's mean and std on the samples of ``indices``: the training split.

        Raises:
            InputError: mean and std that were given do not fit the number of channels or columns.
        """
        if self.schema.inputs == "table":
            categories = source.read(indices, epoch=0)[0]["categories"]
            self._one_hot.learn(list(self.schema.categories), categories)
        if self._normalize is None:
            return
        if isinstance(source, ImageFiles):
            self.check_sizes(source.sizes[indices], lambda place: source.name(int(indices[place])))
        if self._normalize.given:
            self._check_given(source, indices)
            return
        moments = Moments()
        image = False
        for batch in self._passes(source, indices):
            if not isinstance(batch, Tensor) or batch.dim() < 2:
                raise InputError(_unmeasurable(self.where))
            image = batch.dtype == torch.uint8
            moments.add(batch[:, : len(self.schema.numbers)] if self.schema.inputs == "table" else batch)
        self._normalize.set(*moments.result(1 / 255 if image else 1.0))

    def read_all(self, source: Source, indices: np.ndarray, budget: float | None = None) -> Tensor | None:
        """Return all samples of ``indices`` prepared, or None where they are not to be kept; see ``resident``.

        What ``fit`` has just read for the same samples is handed over rather than read again.
        """
        if self._kept is not None and self._kept[0] is source and np.array_equal(self._kept[1], indices):
            kept, self._kept = self._kept[2], None
            return kept
        return read_all(source, indices, self.prepare, size=self.size_hint, budget=budget)

    def _passes(self, source: Source, indices: np.ndarray) -> Iterator[Any]:
        everything = self.read_all(source, indices)
        if everything is not None:
            self._kept = (source, indices, everything)
            yield from everything.split(CHUNK)
            return
        for chunk in chunks(indices, self.schema):
            yield self.prepare(source.read(chunk, epoch=0, size=self.size_hint)[0])

    def _check_given(self, source: Source, indices: np.ndarray) -> None:
        assert self._normalize is not None
        assert self._normalize.mean is not None
        assert self._normalize.std is not None
        sample = self.prepare(source.read(indices[:1], epoch=0, size=self.size_hint)[0])
        columns = len(self.schema.numbers) if self.schema.inputs == "table" else sample.shape[1]
        for name, values in (("mean", self._normalize.mean), ("std", self._normalize.std)):
            if len(values) not in (1, columns):
                said = counted(len(values), "number", "numbers")
                wanted = counted(columns, "channel or column", "channels or columns")
                message = f"Normalize has {said} for {name}, the data have {wanted}"
                raise InputError(Finding("wrong-length", "error", self.where, message, f"give {columns}, or one"))

    def prepare(self, inputs: Any) -> Any:
        """Return raw inputs after the deterministic steps, on the host, as one tensor [B, ...].

        Images stay uint8. Table rows become float64 [B, numbers + categories], the categories as codes.

        Raises:
            InputError: images that differ in size, which no step makes equal; a category that train lacks.
        """
        if self.schema.inputs == "table":
            codes = self._one_hot.codes(inputs["categories"])
            return torch.cat([inputs["numbers"].double(), codes], 1)
        for step in self._steps:
            try:
                inputs = step(inputs)
            except ValueError as error:
                if not isinstance(step, IMAGE_STEPS):  # a user's own: its traceback says more
                    raise
                raise InputError(Finding("wrong-size", "error", self.where, str(error))) from error
        if not isinstance(inputs, list):
            return inputs
        shapes = Counter(tuple(image.shape) for image in inputs)
        if len(shapes) > 1:
            raise InputError(_unequal({shape: (count, "") for shape, count in shapes.items()}, self.where))
        return torch.stack(inputs)

    def finish(self, x: Any) -> Any:
        """Return floats of ``dtype`` for the model from what ``prepare`` gave, on the tensor's own device.

        uint8 images become levels from 0 to 1. Whole numbers that are no images stay as they are (they may be tokens).
        """
        if isinstance(x, dict):
            return {name: self._floats(value) for name, value in x.items()}
        if self.schema.inputs == "table":
            width = len(self.schema.numbers)
            numbers, codes = x[:, :width].clone(), x[:, width:]
            if self._normalize is not None:
                numbers = self._normalize.apply(numbers)
            return torch.cat([numbers, self._one_hot.expand(codes)], 1).to(self.dtype)
        if self.schema.inputs == "image" and x.dtype == torch.uint8:
            x = x.to(self.dtype).div_(255)
            return x if self._normalize is None else self._normalize.apply(x)
        if self._normalize is None:
            return self._floats(x)
        exact = x.to(torch.float64 if x.dtype == torch.float64 else self.dtype, copy=True)
        return self._normalize.apply(exact).to(self.dtype)

    def _floats(self, x: Tensor) -> Tensor:
        return x.to(self.dtype) if x.is_floating_point() else x

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
                raise InputError(Finding("wrong-size", "error", self.where, message)) from error
            seen, kept = outcomes.get(size, (0, name(example)))
            outcomes[size] = (seen + count, kept)
        if len(outcomes) > 1:
            raise InputError(_unequal(outcomes, self.where))

    def state(self) -> dict[str, Tensor]:
        """Return what was measured or given, float64: ``normalize.mean`` and ``normalize.std``, where there is one."""
        if self._normalize is None or self._normalize.mean is None or self._normalize.std is None:
            return {}
        return {"normalize.mean": self._normalize.mean, "normalize.std": self._normalize.std}

    def load_state(self, state: Mapping[str, Tensor], levels: Mapping[str, Sequence[str]] | None = None) -> None:
        """Take back what ``state`` and ``levels`` gave, instead of ``fit``."""
        if self._normalize is not None:
            self._normalize.set(state["normalize.mean"], state["normalize.std"])
        if levels is not None:
            self._one_hot.levels = {name: list(texts) for name, texts in levels.items()}

    def describe(self) -> list[str]:
        """Return the steps in the order in which they are done, a line each."""
        lines = [repr(step) for step in self._steps]
        if self.schema.inputs == "image":
            lines.append("to float, levels 0 to 255 become 0 to 1")
        if self._normalize is not None:
            lines.append(repr(self._normalize))
        if self.schema.categories:
            lines.append(repr(self._one_hot))
        return lines


class _EachSample:
    """A user's step, which takes one sample, over a batch."""

    def __init__(self, function: Callable[[Tensor], Tensor], name: str) -> None:
        self._function = function
        self._name = name

    def __call__(self, batch: Any) -> list[Tensor]:
        if isinstance(batch, dict):
            message = f"{self._name} takes one tensor, the samples are dicts of tensors"
            raise InputError(Finding("misfit", "error", "data.transform", message, "transform them in the data set"))
        return [self._function(sample) for sample in batch]

    def __repr__(self) -> str:
        return self._name


def _own_step(spec: Mapping[str, Any], where: str) -> tuple[Any, list[Finding]]:
    try:
        component = catalog.load(spec["name"], TRANSFORMS, "transform", where)
    except InputError as error:
        return None, error.findings
    first = () if isinstance(component, type) else tuple(catalog.parameters(component))[:1]
    step, findings = call(component, options_of(spec), where, supplied=first)
    return (None if findings else _EachSample(step, spec["name"])), findings


def _misfit(name: str, fits: str, schema: Schema, where: str) -> Finding:
    data = {"image": "images", "table": "rows of a table", "array": "arrays"}[schema.inputs]
    return Finding("misfit", "error", where, f"{name} is for {fits}, the samples are {data}", "remove it")


def _unmeasurable(where: str) -> Finding:
    message = "Normalize takes samples that are one tensor with channels or columns; these are not"
    return Finding("misfit", "error", where, message, "remove it, and normalise in the data set")


def _unequal(outcomes: Mapping[Any, tuple[int, str]], where: str) -> Finding:
    """Say which sizes (keys) there are, from how many samples have each and the name of one of them."""
    common = sorted(outcomes.items(), key=lambda item: -item[1][0])[:2]
    said = " and ".join(
        f"{count} of {'×'.join(map(str, shape))}" + (f" (as {example})" if example else "")
        for shape, (count, example) in common
    )
    more = f" and {counted(len(outcomes) - 2, 'size', 'sizes')} more" if len(outcomes) > 2 else ""
    fix = "add {name: Resize, size: [height, width]} to data.transform, or Resize to a number and then CenterCrop"
    return Finding("unequal-sizes", "error", where, f"the samples differ in size and do not stack: {said}{more}", fix)
