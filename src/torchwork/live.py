"""What a run leaves for those who watch it: where it stands, once a second, and pictures, while somebody looks.

Nothing of this changes a bit of the training, and nothing that goes wrong here ends it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from torchwork import assembly, processes, rundir
from torchwork.assembly import Parts
from torchwork.data.audit.examples import example
from torchwork.data.dataset import DatasetSource
from torchwork.inspection.samples import contact_sheet
from torchwork.tasks.supervised import Evaluation
from torchwork.types import Batch, Step

_EVERY = 1.0  # seconds between two times of writing
_PICTURES = 10.0  # seconds between two pictures
_LOOKING = 30.0  # seconds for which one sign of life of a watcher counts
_MOST_PICTURES, _MOST_WORST, _SIDE = 32, 12, 96


@contextmanager
def telling(parts: Parts, directory: Path) -> Iterator[Live]:
    """Keep live.json while inside; afterwards it says how the run ended, or is gone where the run came to its end."""
    live = Live(parts, directory)
    live.tell("training")
    try:
        yield live
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        live.tell("stopped" if stopped else "failed", str(error) or type(error).__name__)
        raise
    with contextlib.suppress(OSError):
        for path in live.files:
            path.unlink(missing_ok=True)


class Live:
    """A watcher of the loop that also stands between it and the batches, to remember the last one.

    Most steps cost a look at the clock. Once a second a small file is written, unsynced. The last batch is held and
    drawn, and the worst samples are looked up, only while somebody watches (see `rundir.WATCHED`).
    """

    def __init__(self, parts: Parts, directory: Path) -> None:
        self._parts, self._directory = parts, directory
        self._process = processes.current()._asdict()
        self._due = self._told = self._ended = -math.inf
        self._evaluation_takes = math.inf if "val" in parts.data.loaders else 0.0
        self._sign: int | None = None
        self._seen = self._drawn = self._listed = -math.inf
        self._batch: Batch | None = None
        self._unlisted: tuple[int, Evaluation] | None = None
        self._loader = parts.data.loaders["train"]
        self._batches = len(self._loader)
        samples = directory / rundir.SAMPLES
        self._last_batch, self._worst = samples / rundir.LAST_BATCH, samples / rundir.WORST
        self.files = (directory / rundir.LIVE, self._last_batch, self._worst)

    def __len__(self) -> int:
        return self._batches

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the training batches; the last one is remembered while somebody watches."""
        for batch in self._loader.batches(epoch, start):
            self._batch = batch if self._watched else None
            yield batch

    def step(self, step: Step) -> None:
        """Look at the clock, and once a second write where the run stands."""
        now = time.monotonic()
        progress = self._parts.state.progress
        evaluates = progress.position == self._batches and self._evaluation_takes > _EVERY
        self._ended = now
        if now < self._due and not evaluates:
            return
        self.tell("evaluating" if evaluates else "training", lr=step.lr)
        self._look(now)
        if self._watched and self._batch is not None and now - self._drawn > _PICTURES:
            self._drawn = now
            self._draw(self._batch)

    def evaluation(self, evaluation: Evaluation) -> None:
        """List the worst samples of an epoch's evaluation, where somebody watches."""
        now = time.monotonic()
        if self._evaluation_takes > _EVERY:
            self._due = now  # so that the next step says that this is over
        self._evaluation_takes = now - self._ended
        self._look(now)
        self._unlisted = (self._parts.state.progress.epoch + 1, evaluation) if self._watched else None
        if now - self._listed > _PICTURES:
            self._listed = now
            self._list()

    def _list(self) -> None:
        """Write the worst samples of the last epoch that was judged, if they are not written yet."""
        if self._unlisted is not None:
            (epoch, evaluation), self._unlisted = self._unlisted, None
            with contextlib.suppress(Exception):
                _replace(self._worst, _json({"epoch": epoch, "samples": worst(self._parts, evaluation)}))

    def tell(self, phase: str, message: str = "", lr: float | None = None) -> None:
        """Write where the run stands; at most once a second from within the loop. After it, the last worst samples."""
        if phase not in ("training", "evaluating"):
            self._list()
        self._told = time.monotonic()
        self._due = self._told + _EVERY
        progress, accumulate = self._parts.state.progress, self._parts.options.accumulate
        seconds = progress.seconds
        a_batch = self._loader.num_samples / max(1, self._batches)
        content = {
            **self._process,
            "stops": threading.current_thread() is threading.main_thread(),
            "at": time.time(),
            "phase": phase,
            "message": message,
            "epoch": min(progress.epoch + 1, self._parts.options.epochs),
            "epochs": self._parts.options.epochs,
            "step": -(-progress.position // accumulate),
            "steps": -(-self._batches // accumulate),
            "train_loss": progress.loss_sum / progress.loss_weight if progress.loss_weight else None,
            "lr": lr,
            "seconds": seconds,
            "waited": progress.waited,
            "samples_per_second": progress.position * a_batch / seconds if seconds and progress.position else None,
        }
        with contextlib.suppress(OSError):
            _replace(self.files[0], _json(content))

    @property
    def _watched(self) -> bool:
        return self._told - self._seen < _LOOKING

    def _look(self, now: float) -> None:
        """Note whether the sign of a watcher has changed since the last look: its own clock does not matter."""
        try:
            sign = (self._directory / rundir.WATCHED).stat().st_mtime_ns
        except OSError:
            sign = None
        if sign is not None and sign != self._sign:
            self._seen = now
        self._sign = sign

    def _draw(self, batch: Batch) -> None:
        with contextlib.suppress(Exception):  # whatever it is, the training goes on
            inputs = assembly.model_inputs(self._parts, batch)
            partial = self._last_batch.with_name(f".partial-{self._last_batch.name}")
            if contact_sheet(_small(inputs), partial, most=_MOST_PICTURES):
                os.replace(partial, self._last_batch)


def _small(inputs: Any) -> Any:
    """Return the first pictures with a longer side of at most 96 pixels, anything else as it is."""
    if not isinstance(inputs, torch.Tensor) or inputs.ndim != 4 or max(inputs.shape[2:]) <= _SIDE:
        return inputs
    size = [max(1, round(side * _SIDE / max(inputs.shape[2:]))) for side in inputs.shape[2:]]
    return torch.nn.functional.interpolate(inputs[:_MOST_PICTURES].float(), size=size, mode="area")


def worst(parts: Parts, evaluation: Evaluation, most: int = _MOST_WORST) -> list[dict[str, Any]]:
    """Return the samples with the greatest losses, the greatest first, each with what is to be seen of it.

    Of pairs and triplets there is no prediction of one sample; a user's data set is not read, as what it keeps itself
    may depend on what was read before.
    """
    counted = torch.nonzero(evaluation.weights > 0).flatten()
    losses = evaluation.losses[counted]
    places = counted[losses.nan_to_num(nan=math.inf, posinf=math.inf).argsort(descending=True, stable=True)[:most]]
    few = replace(evaluation, **{name: column[places] for name, column in vars(evaluation).items()})
    told = _told(parts, few)
    source = parts.data.source
    found = []
    for id_, loss, said in zip(few.ids.tolist(), few.losses.tolist(), told, strict=True):
        seen = {} if isinstance(source, DatasetSource) else example(source, id_)
        found.append({"id": id_, "name": source.name(id_), "loss": loss, **said, **seen})
    return found


def _told(parts: Parts, few: Evaluation) -> list[dict[str, str]]:
    """Return target and prediction of each sample as the run's tables tell them."""
    if parts.data.companions:
        return [{} for _ in few.ids]
    header, rows = parts.task.table(few)
    kinds = {kind: _columns(header, kind) for kind in ("target", "prediction")}
    return [
        {kind: ", ".join(_short(row[place]) for place in places[:8]) for kind, places in kinds.items()} for row in rows
    ]


def _columns(header: list[str], kind: str) -> list[int]:
    """Return the places of the column of this name, or of those of several numbers.

    >>> _columns(["id", "target", "target_a"], "target"), _columns(["target_a", "target_b"], "target")
    ([1], [0, 1])
    """
    return (
        [header.index(kind)] if kind in header else [i for i, name in enumerate(header) if name.startswith(f"{kind}_")]
    )


def _short(value: object) -> str:
    return format(value, ".4g") if isinstance(value, float) else str(value)


def _json(content: Any) -> bytes:
    return json.dumps(rundir.plain(content), ensure_ascii=False, allow_nan=False).encode(errors="backslashreplace")


def _replace(path: Path, content: bytes) -> None:
    """Put a whole file in its place, unsynced: after a crash it says nothing of worth anyhow."""
    partial = path.with_name(f".partial-{path.name}")
    partial.write_bytes(content)
    os.replace(partial, path)
