"""Sounds: steps on each recording alone, then a log-mel spectrogram of a fixed number of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork.data import threads
from torchwork.data.normalize import Normalize, learn_normalize
from torchwork.data.pipelines.stack import stacked
from torchwork.data.pipelines.way import EachSample, floats, misfit
from torchwork.data.resident import chunks
from torchwork.data.sound.spectrogram import LogMelSpectrogram
from torchwork.data.sound.trim import TrimSilence
from torchwork.types import Finding, InputError, Schema, Source

# The number of frames is chosen so that this share of the training recordings is not cut.
WHOLE = 0.95


class Sounds:
    """Recordings float32 [n]; prepared they are float32 [B, 1, bands, frames].

    Where the config names neither LogMelSpectrogram nor a step of the user's own, LogMelSpectrogram stands at the end.
    """

    def __init__(self, schema: Schema, where: str) -> None:
        self._schema = schema
        self._where = where
        self._steps: list[Callable[..., Any]] = []
        self._spectrogram: LogMelSpectrogram | None = None
        self._normalize: Normalize | None = None
        self._rate = schema.sample_rate
        self._shortened: tuple[int, int] | None = None  # how many training recordings are cut, of how many

    def add(self, step: Any, name: str, where: str) -> list[Finding]:
        if isinstance(step, Normalize):
            self._normalize = step
            return []
        if isinstance(step, LogMelSpectrogram):
            if self._spectrogram is not None:
                return [Finding("order", "error", where, "there are two spectrograms", "remove one")]
            self._spectrogram = step
        elif isinstance(step, TrimSilence) and self._spectrogram is not None:
            fix = "put it before LogMelSpectrogram"
            return [Finding("order", "error", where, f"{name} takes recordings, no spectrograms", fix)]
        elif not isinstance(step, TrimSilence | EachSample):
            return [misfit(name, "other samples", self._schema, where)]
        self._steps.append(step)
        return []

    def learn(self, source: Source, indices: np.ndarray, passes: Callable[[], Iterator[Any]]) -> None:
        self._settle()
        if self._spectrogram is not None:
            self._check_bands(self._spectrogram)
            if self._spectrogram.frames is None:
                self._choose_frames(self._spectrogram, source, indices)
        if self._normalize is not None:
            learn_normalize(self._normalize, passes, self._where)

    def _settle(self) -> None:
        """Make the default step where it is wanted."""
        if self._spectrogram is None and not any(isinstance(step, EachSample) for step in self._steps):
            self._spectrogram = LogMelSpectrogram()
            self._steps.append(self._spectrogram)

    def _check_bands(self, spectrogram: LogMelSpectrogram) -> None:
        assert self._rate is not None
        try:
            spectrogram.filters(self._rate)
        except ValueError as error:
            raise InputError(Finding("wrong-bands", "error", self._where, str(error))) from error

    def _choose_frames(self, spectrogram: LogMelSpectrogram, source: Source, indices: np.ndarray) -> None:
        """Take the least number of frames that leaves ``WHOLE`` of the training recordings uncut."""
        before = self._steps[: self._steps.index(spectrogram)]
        assert self._rate is not None
        lengths = [
            spectrogram.num_frames(len(recording), self._rate)
            for part in chunks(indices, self._schema)
            for recording in self._each(source.read(part, epoch=0)[0], before)
        ]
        ordered = sorted(lengths)
        spectrogram.frames = ordered[int(np.ceil(WHOLE * len(ordered))) - 1]
        self._shortened = sum(length > spectrogram.frames for length in lengths), len(lengths)

    def _each(self, recordings: Any, wanted: list[Callable[..., Any]]) -> list[Tensor]:
        """Return each recording after the steps; nothing depends on which others are read with it."""

        def done(sample: Tensor) -> Tensor:
            for step in wanted:
                sample = step([sample])[0] if isinstance(step, EachSample) else step(sample, self._rate)
            return sample

        return threads.over(done, list(recordings))

    def prepare(self, raw: Any) -> Any:
        return stacked(self._each(raw, self._steps), self._where)

    def finish(self, x: Any, dtype: torch.dtype) -> Any:
        return floats(x, dtype) if self._normalize is None else self._normalize.copied(x, dtype)

    def state(self) -> dict[str, Tensor]:
        return {} if self._normalize is None else self._normalize.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        if self._normalize is not None:
            self._normalize.load_state(state)

    def facts(self) -> dict[str, Any]:
        frames = None if self._spectrogram is None else self._spectrogram.frames
        return {"sample_rate": self._rate, "frames": frames}

    def load_facts(self, facts: Mapping[str, Any]) -> None:
        self._settle()
        self._rate = facts["sample_rate"]
        if self._spectrogram is not None:
            self._spectrogram.frames = facts["frames"]

    def describe(self) -> list[str]:
        lines = [repr(step) for step in self._steps]
        if self._shortened is not None:
            cut, total = self._shortened
            place = self._steps.index(self._spectrogram) if self._spectrogram is not None else 0
            lines[place] += f", {cut} of {total} training recordings are cut to it"
        return lines if self._normalize is None else [*lines, repr(self._normalize)]
