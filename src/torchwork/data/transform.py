"""From raw inputs to what the model sees: deterministic steps, then floats, fitted on the training split only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork import catalog
from torchwork.data import TRANSFORMS
from torchwork.data.component import call, construct, options_of
from torchwork.data.decoding import Decoded, FileImages, store_for
from torchwork.data.memory import InMemory
from torchwork.data.normalize import Normalize
from torchwork.data.packed import Cache
from torchwork.data.pipelines.arrays import Arrays
from torchwork.data.pipelines.images import Images
from torchwork.data.pipelines.sounds import Sounds
from torchwork.data.pipelines.stack import stacked
from torchwork.data.pipelines.tables import Tables
from torchwork.data.pipelines.texts import Texts
from torchwork.data.pipelines.way import EachSample, Way
from torchwork.data.resident import chunks, read_all
from torchwork.data.steps import Lambda
from torchwork.data.unneeded import Unneeded, flat, unnecessary
from torchwork.types import Finding, InputError, Schema, Source

# Samples that are already in memory are measured so many at a time.
CHUNK = 1024
WAYS: dict[str, Callable[[Schema, str], Way]] = {
    "array": Arrays,
    "audio": Sounds,
    "image": Images,
    "table": Tables,
    "text": Texts,
}


class Pipeline:
    """The transforms of a config, in the order of the config.

    Raw inputs go through ``prepare`` on the host (images stay uint8, table rows become numbers and codes) and through
    ``finish`` on the run's device (levels 0 to 255 become floats 0 to 1, then Normalize; codes become one-hot columns).
    Augmentation stands between the two. A step by import path is a class or function on one sample, [C, H, W] for an
    image; if it gives floats, they are not scaled again.

    Args:
        steps: Components of the catalog that fit the samples, or import paths; Normalize stands last.
        schema: What the samples are.
        where: The place in the config, for findings.
        first: Components that ``data.clean`` puts before all others.

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

    def __init__(
        self,
        steps: Sequence[Mapping[str, Any]],
        schema: Schema,
        where: str = "data.transform",
        first: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.dtype = torch.float32
        self.schema = schema
        self.where = where
        self.way: Way = WAYS[schema.inputs](schema, where)
        #: Where decoded images may be kept on disk; None: nowhere.
        self.cache: Cache | None = None
        #: Whether an augmentation sets the size of the images of training.
        self.sized_later = False
        self._kept: tuple[Source, np.ndarray, Tensor] | None = None
        self._decoded: dict[tuple[int, bool], Decoded] = {}
        #: What there is to say about steps that are left out.
        self.findings: list[Finding] = []
        findings: list[Finding] = []
        last = False
        placed = [*(("data.clean", spec) for spec in first), *flat(steps, where)]
        for place, spec in placed:
            step, wrong = _step(spec, place)
            if isinstance(step, Unneeded):
                self.findings.append(unnecessary(step, spec["name"], place))
                continue
            if not wrong and last:
                fix = "put Normalize last; it is done on floats, after all steps and the augmentation"
                message = f"{spec['name']} stands after Normalize"
                wrong = [Finding("order", "error", place, message, fix)]
            findings += wrong or self.way.add(step, spec["name"], place)
            last = last or isinstance(step, Normalize)
        if findings:
            raise InputError(findings)

    @property
    def size_hint(self) -> tuple[int, int] | None:
        """The size that a decoder need not exceed: that of an exact Resize at the start, else None."""
        return self.way.size_hint if isinstance(self.way, Images) else None

    def fit(self, source: Source, indices: np.ndarray) -> None:
        """Learn from the samples of ``indices``, the training split: category levels, mean and std, and the like.

        Raises:
            InputError: figures that were given do not fit the data, or samples that cannot be prepared.
        """
        if isinstance(source, FileImages) and not self.sized_later:
            self.check_sizes(source.sizes[indices], lambda place: source.name(int(indices[place])))
        self.way.learn(source, indices, lambda: self._passes(source, indices))

    def read_all(self, source: Source, indices: np.ndarray, budget: float | None = None) -> Tensor | None:
        """Return all samples of ``indices`` prepared, or None where they are not to be kept; see ``resident``.

        What ``fit`` has just read for the same samples is handed over rather than read again. Samples that stand in
        memory one after the other, and that no step changes, are given as they stand there, not copied.
        """
        if self._kept is not None and self._kept[0] is source and np.array_equal(self._kept[1], indices):
            kept, self._kept = self._kept[2], None
            return kept
        standing = source.standing(indices) if isinstance(source, InMemory) else None
        if standing is not None and self._leaves(standing[:1]):
            return standing
        return read_all(source, indices, self.prepared, budget=budget)

    def _leaves(self, inputs: Tensor) -> bool:
        """Tell whether no step changes a sample that stands in memory."""
        prepared = self.prepare(inputs)
        if not isinstance(prepared, Tensor) or prepared.dtype != inputs.dtype:
            return False
        return prepared.shape == inputs.shape and prepared.data_ptr() == inputs.data_ptr()

    def _passes(self, source: Source, indices: np.ndarray) -> Iterator[Any]:
        if self.sized_later and isinstance(source, FileImages):  # as the augmentation gets them
            decoded = self.decoded(source, indices, sized=False)
            for chunk in chunks(indices, self.schema):
                yield from (image[None] for image in decoded.batch(chunk))
            return
        everything = self.read_all(source, indices)
        if everything is not None:
            self._kept = (source, indices, everything)
            yield from everything.split(CHUNK)
            return
        for chunk in chunks(indices, self.schema):
            yield self.prepared(source, chunk)

    def prepared(self, source: Source, indices: np.ndarray, epoch: int = 0) -> Any:
        """Return samples read and prepared: image files each in a thread, from the file to its place in the batch.

        Raises:
            InputError: as ``prepare``, or samples that cannot be read.
        """
        if isinstance(source, FileImages) and isinstance(self.way, Images):
            return stacked(self.decoded(source, indices).batch(indices), self.where)
        return self.prepare(source.read(indices, epoch=epoch, size=self.size_hint)[0])

    def evaluated_shape(self, source: Source, index: int) -> tuple[int, ...] | None:
        """Return the shape of a sample as evaluation prepares it; None where it is no single tensor."""
        if isinstance(source, FileImages) and isinstance(self.way, Images):
            shapes = self.way.shapes(source.sizes[[index]], len(source.mode))
            if shapes is not None:
                height, width, channels = shapes[0].tolist()
                return channels, height, width
        prepared = self.prepared(source, np.array([index]))
        return tuple(prepared.shape[1:]) if isinstance(prepared, Tensor) else None

    def decoded(self, source: FileImages, indices: np.ndarray, *, sized: bool = True) -> Decoded:
        """Return the images of files after the steps, with what keeps them for the split ``indices`` between epochs."""
        assert isinstance(self.way, Images)
        found = self._decoded.get((id(source), sized))
        if found is None:
            store = store_for(source, self.way, indices, sized=sized, cache=self.cache)
            found = self._decoded[id(source), sized] = Decoded(source, self.way, sized=sized, store=store)
        return found

    def prepare(self, inputs: Any) -> Any:
        """Return raw inputs after the deterministic steps, on the host, as one tensor [B, ...].

        Images stay uint8. Table rows become float64 [B, numbers + categories], the categories as codes.

        Raises:
            InputError: images that differ in size, which no step makes equal; a category that train lacks.
        """
        return self.way.prepare(inputs)

    def finish(self, x: Any) -> Any:
        """Return floats of ``dtype`` for the model from what ``prepare`` gave, on the tensor's own device.

        uint8 images become levels from 0 to 1. Whole numbers that are no images stay as they are (they may be tokens).
        """
        return self.way.finish(x, self.dtype)

    def check_sizes(self, sizes: np.ndarray, name: Callable[[int], str]) -> None:
        """Refuse images, by height and width [N, 2], that would not stack after the steps, before any is decoded.

        Raises:
            InputError: names the two commonest outcomes with an example of each, and says what to add.
        """
        if isinstance(self.way, Images):
            self.way.check_sizes(sizes, name)

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that were learnt or given, as ``normalize.mean``."""
        return self.way.state()

    def facts(self) -> dict[str, Any]:
        """Return what was learnt that is no tensor, as JSON can hold it: ``levels`` of categories, ``vocabulary``."""
        return {"levels": {}, **self.way.facts()}

    def load(self, state: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take back what ``state`` and ``facts`` gave, instead of ``fit``."""
        self.way.load_state(state)
        self.way.load_facts(facts)

    def describe(self) -> list[str]:
        """Return the steps in the order in which they are done, a line each."""
        return self.way.describe()


def _step(spec: Mapping[str, Any], where: str) -> tuple[Any, list[Finding]]:
    """Return a step of the catalog, or a user's own over each sample; or what is wrong with it."""
    if spec["name"] in TRANSFORMS:
        step, findings = construct(spec, TRANSFORMS, "transform", where)
        return (EachSample(step.function, repr(step)) if isinstance(step, Lambda) else step), findings
    try:
        component = catalog.load(spec["name"], TRANSFORMS, "transform", where)
    except InputError as error:
        return None, error.findings
    first = () if isinstance(component, type) else tuple(catalog.parameters(component))[:1]
    step, findings = call(component, options_of(spec), where, supplied=first)
    return (None if findings else EachSample(step, spec["name"])), findings
