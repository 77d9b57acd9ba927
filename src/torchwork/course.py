"""The course of a run: training, with all that is written and shown on the way."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torchwork import config, dist, faults, finishing, live, rundir
from torchwork.assembly import Parts
from torchwork.data.workers import deaths_told
from torchwork.logs.logger import Job
from torchwork.logs.opened import Logs, logging
from torchwork.progress.outlook import Outlook
from torchwork.runlog import RunLog
from torchwork.training import checkpoint
from torchwork.training import device as devices
from torchwork.training.compiling import compiled
from torchwork.training.divergence import divergence_watcher
from torchwork.training.interrupt import GIVEN_UP, Interrupted, StopRequest, listening, stopping_at_once
from torchwork.training.layer_watch import LayerRow, layer_watcher
from torchwork.training.loop import TrainOptions, run_epochs
from torchwork.training.nonfinite import NonFiniteError, check_weights
from torchwork.training.ranks import Agreement
from torchwork.training.saving import Saver
from torchwork.types import RunError, Step, Watcher

Judge = Callable[[dict[str, float]], bool]  # gets an epoch's row of history, says whether to go on


def run_through(parts: Parts, log: RunLog, command: str, judge: Judge | None = None, *, report: bool = True) -> None:
    """Train until the end, evaluate and report; leave a checkpoint wherever it stops.

    Raises:
        RunError: training could not go on; the checkpoints that were there stay.
        Interrupted: asked to stop, or given up by the judge; the current step was finished and saved.
    """
    if not dist.is_first():
        _take_part(parts, log.directory)
        return
    directory, progress = log.directory, parts.state.progress
    as_kept = config.load(directory / rundir.CONFIG).model_dump()
    job = Job(directory, parts.config.name, as_kept, progress.index)
    steps = -(-len(parts.data.loaders["train"]) // parts.options.accumulate)
    over = f"stopped when training was over, which is saved; go on with: torchwork resume {shlex.quote(str(directory))}"
    with live.telling(parts, directory) as watched, logging(parts.config.log, job, steps, log.tell) as logs:
        _train(parts, log, watched, logs, judge)
        with stopping_at_once(over):
            watched.tell("finishing")
            finishing.finish(parts, directory, command, report=report)
            logs.end(rundir.read_metrics(directory))


def _take_part(parts: Parts, directory: Path) -> None:
    """Train and evaluate with the first process, which alone writes and shows."""
    state = parts.state
    with devices.keeping_generators(parts.device), deaths_told(), listening() as request:
        asked = _agreed(parts, request, _Clock(None))
        loaders = parts.data.loaders

        def train(options: TrainOptions) -> bool:
            measured = [_measured(parts, lambda rows: None)] if state.ranks and state.ranks.sharded else []
            watchers = [*_compared(parts), *measured, _between(parts, _Clock(None), lambda: None)]
            data = (loaders["train"], loaders.get("val"))
            return run_epochs(state, parts.task, *data, options, watchers=watchers, should_stop=asked)

        if parts.options.nonfinite == "rollback" and not state.progress.index:
            state.gather()
        with compiled(parts.model, parts.config.train.compile):
            done = _with_returns(parts.options, train, lambda error: faults.go_back(parts, directory, error))
        if not done or asked():
            raise Interrupted(f"stopped after step {state.progress.index}", asked.signal or 2)
    with stopping_at_once("stopped when training was over"):
        finishing.take_part(parts)


def _with_returns(
    options: TrainOptions, train: Callable[[TrainOptions], bool], go_back: Callable[[NonFiniteError], None]
) -> bool:
    """Train, and where the policy is to go back from a loss that is not finite, do so and train on from there."""
    while True:
        try:
            return train(options)
        except NonFiniteError as error:
            if options.nonfinite != "rollback" or error.index <= options.careful:
                raise
            go_back(error)
            options = replace(options, careful=error.index)


def _agreed(parts: Parts, request: StopRequest, clock: _Clock) -> StopRequest | Agreement:
    """Return whom to ask whether to stop: of several processes, all of them."""
    ranks = parts.state.ranks
    if ranks is None:
        return request
    ranks.agreement = Agreement(request, clock)
    return ranks.agreement


def _compared(parts: Parts) -> list[Watcher]:
    if parts.state.ranks is None:
        return []
    train, every = parts.data.loaders["train"], parts.config.distributed.check_every_steps
    return [divergence_watcher(parts.state, train.order, len(train), every=every)]


def _train(parts: Parts, log: RunLog, watched: live.Live, logs: Logs, judge: Judge | None) -> None:
    state, directory = parts.state, log.directory
    _write_history(log, parts)
    with devices.keeping_generators(parts.device), deaths_told(), listening() as signals:
        clock = _Clock(parts.config.train.checkpoint_every_minutes)
        request = _agreed(parts, signals, clock)

        def judged(row: dict[str, float]) -> None:
            if judge is not None and not judge(row) and not signals():
                signals.signal = GIVEN_UP

        if log.progress is not None:
            log.progress.start(directory, _outlook(parts))
        try:
            with compiled(parts.model, parts.config.train.compile):
                done = _run_epochs(parts, log, watched, logs, request, clock, judged)
        except RunError as error:
            place = checkpoint.latest(directory / rundir.CHECKPOINTS)
            error.args = (
                f"{error}. {f'The last checkpoint is kept: {place}' if place else 'There is no checkpoint yet'}",
            )
            log.note(f"failed: {error}")
            raise
        finally:
            if log.progress is not None:
                log.progress.stop()
        if not done or request():
            _raise_interrupted(log, state.progress.index, request)


def _run_epochs(
    parts: Parts,
    log: RunLog,
    watched: live.Live,
    logs: Logs,
    request: StopRequest | Agreement,
    clock: _Clock,
    judged: Callable[[dict[str, float]], None],
) -> bool:
    told, options = faults.Faults(parts, log), parts.options
    with _saver(parts, log) as saver:
        if options.nonfinite == "rollback" and not parts.state.progress.index:
            parts.state.gather()
            saver.save(parts.state)  # so that there is something to go back to

        def save(is_best: bool) -> None:
            saver.save(parts.state)

        def should_stop() -> bool:
            saver.check()
            return request()

        def tell_epoch(row: dict[str, float]) -> None:
            _tell_epoch(row, parts, log, logs)
            judged(row)

        def train(options: TrainOptions) -> bool:
            return run_epochs(
                parts.state,
                parts.task,
                watched,
                parts.data.loaders.get("val"),
                options,
                save=save,
                on_evaluation=watched.evaluation,
                on_epoch=tell_epoch,
                on_fault=told.not_finite,
                on_cut=told.cut,
                watchers=_watchers(parts, log, [watched.step, logs.step], saver, clock),
                should_stop=should_stop,
            )

        def go_back(error: NonFiniteError) -> None:
            faults.go_back(parts, log.directory, error, log, saver)
            _write_history(log, parts)

        return _with_returns(options, train, go_back)


def _saver(parts: Parts, log: RunLog) -> Saver:
    options = parts.config.train
    return Saver(
        log.directory / rundir.CHECKPOINTS,
        monitor=parts.options.monitor,
        keep_best=options.keep_best,
        patience=options.checkpoint_patience,
        told=log.tell,
    )


def _watchers(parts: Parts, log: RunLog, others: list[Watcher], saver: Saver, clock: _Clock) -> list[Watcher]:
    progress = log.progress
    watchers = [*_compared(parts), _layers_watched(parts, log), *others]
    if progress is not None:
        watchers.append(lambda step: progress.step(step, parts.state.progress.epoch + 1))
    if parts.config.train.checkpoint_every_steps or parts.config.train.checkpoint_every_minutes:
        watchers.append(_between(parts, clock, lambda: saver.save(parts.state, needed=False)))
    return watchers


class _Clock:
    """Whether it is time to save again, so many minutes after the last time."""

    def __init__(self, minutes: float | None) -> None:
        self._seconds = None if minutes is None else 60 * minutes
        self.saved = time.monotonic()

    def __call__(self) -> bool:
        return self._seconds is not None and time.monotonic() - self.saved >= self._seconds


def _between(parts: Parts, clock: _Clock, save: Callable[[], object]) -> Watcher:
    """Return the watcher that saves between the ends of epochs. The clock decides what is saved, never what it is.

    Of several processes all get the state ready at the same steps, which the first one's clock decides for them.
    """
    state, batches = parts.state, len(parts.data.loaders["train"])
    every_steps = parts.config.train.checkpoint_every_steps

    def watch(step: Step) -> None:
        by_time = clock() if state.ranks is None else state.ranks.agreement.saves
        if ((every_steps and step.index % every_steps == 0) or by_time) and state.progress.position < batches:
            check_weights(state)  # at the end of an epoch it is saved right away
            state.settle()
            state.gather()
            save()
            clock.saved = time.monotonic()

    return watch


def _outlook(parts: Parts) -> Outlook:
    options, train, progress = parts.options, parts.data.loaders["train"], parts.state.progress
    steps = -(-len(train) // options.accumulate)
    return Outlook(options.epochs, steps, train.num_samples, options.monitor, progress, tuple(progress.history))


def _layers_watched(parts: Parts, log: RunLog) -> Watcher:
    """Return the watcher that writes layers.csv, in which rows of steps that are taken again are written again."""
    path, state = log.directory / rundir.LAYERS, parts.state

    def write(rows: list[LayerRow]) -> None:
        log.trying(rundir.LAYERS, lambda: rundir.append_csv(path, LayerRow._fields, rows))

    if path.is_file():
        rundir.write_csv(path, LayerRow._fields, rundir.read_layers(log.directory, state.progress.index))
    return _measured(parts, write)


def _measured(parts: Parts, on_rows: Callable[[list[LayerRow]], None]) -> Watcher:
    how = {"num_batches": len(parts.data.loaders["train"]), "accumulate": parts.options.accumulate}
    return layer_watcher(parts.state, **how, on_rows=on_rows)


def _raise_interrupted(log: RunLog, index: int, request: StopRequest | Agreement) -> None:
    how = "given up" if request.signal == GIVEN_UP else "stopped"
    message = f"{how} after step {index}, which is saved; go on with: "
    message += f"torchwork resume {shlex.quote(str(log.directory))}"
    log.note(message)
    raise Interrupted(message, 2 if request.signal is None else request.signal)


def _tell_epoch(row: dict[str, float], parts: Parts, log: RunLog, logs: Logs) -> None:
    _write_history(log, parts)
    log.note("  ".join(f"{name} {_short(value)}" for name, value in row.items()))
    if log.progress is not None:
        log.progress.epoch(row)
    logs.epoch(row)


def _write_history(log: RunLog, parts: Parts) -> None:
    """Write history.csv whole: it follows from the state, so that one that was lost or is ahead is set right."""
    path, rows = log.directory / rundir.HISTORY, parts.state.progress.history
    if rows:
        header = list(dict.fromkeys(name for row in rows for name in row))
        table = [[row.get(name, math.nan) for name in header] for row in rows]
        log.trying(rundir.HISTORY, lambda: rundir.write_csv(path, header, table))
    else:
        path.unlink(missing_ok=True)


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else format(value, ".4g")
