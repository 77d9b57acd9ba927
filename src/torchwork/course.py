"""The course of a run: training, with all that is written and shown on the way."""

from __future__ import annotations

import math
import shlex
import time
from dataclasses import replace

from torchwork import config, faults, finishing, live, rundir
from torchwork.assembly import Parts
from torchwork.data.workers import deaths_told
from torchwork.logs.logger import Job
from torchwork.logs.opened import Logs, logging
from torchwork.progress.outlook import Outlook
from torchwork.runlog import RunLog
from torchwork.training import checkpoint
from torchwork.training import device as devices
from torchwork.training.interrupt import Interrupted, StopRequest, listening, stopping_at_once
from torchwork.training.layer_watch import LayerRow, layer_watcher
from torchwork.training.loop import run_epochs
from torchwork.training.nonfinite import NonFiniteError, check_weights
from torchwork.training.saving import Saver
from torchwork.types import RunError, Step, Watcher


def run_through(parts: Parts, log: RunLog, command: str) -> None:
    """Train until the end, evaluate and report; leave a checkpoint wherever it stops.

    Raises:
        RunError: training could not go on; the checkpoints that were there stay.
        Interrupted: asked to stop; the current step was finished and saved.
    """
    directory, progress = log.directory, parts.state.progress
    as_kept = config.load(directory / rundir.CONFIG).model_dump()
    job = Job(directory, parts.config.name, as_kept, progress.index)
    steps = -(-len(parts.data.loaders["train"]) // parts.options.accumulate)
    over = f"stopped when training was over, which is saved; go on with: torchwork resume {shlex.quote(str(directory))}"
    with live.telling(parts, directory) as watched, logging(parts.config.log, job, steps, log.tell) as logs:
        _train(parts, log, watched, logs)
        with stopping_at_once(over):
            watched.tell("finishing")
            finishing.finish(parts, directory, command)
            logs.end(rundir.read_metrics(directory))


def _train(parts: Parts, log: RunLog, watched: live.Live, logs: Logs) -> None:
    state, directory = parts.state, log.directory
    _write_history(log, parts)
    with devices.keeping_generators(parts.device), deaths_told(), listening() as request:
        if log.progress is not None:
            log.progress.start(directory, _outlook(parts))
        try:
            done = _run_epochs(parts, log, watched, logs, request)
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


def _run_epochs(parts: Parts, log: RunLog, watched: live.Live, logs: Logs, request: StopRequest) -> bool:
    told, options = faults.Faults(parts, log), parts.options
    with _saver(parts, log) as saver:
        if options.nonfinite == "rollback" and not parts.state.progress.index:
            saver.save(parts.state)  # so that there is something to go back to

        def save(is_best: bool) -> None:
            saver.save(parts.state)

        def should_stop() -> bool:
            saver.check()
            return request()

        while True:
            try:
                return run_epochs(
                    parts.state,
                    parts.task,
                    watched,
                    parts.data.loaders.get("val"),
                    options,
                    save=save,
                    on_evaluation=watched.evaluation,
                    on_epoch=lambda row: _tell_epoch(row, parts, log, logs),
                    on_fault=told.not_finite,
                    on_cut=told.cut,
                    watchers=_watchers(parts, log, [watched.step, logs.step], saver),
                    should_stop=should_stop,
                )
            except NonFiniteError as error:
                if options.nonfinite != "rollback" or error.index <= options.careful:
                    raise
                faults.go_back(parts, saver, log, error)
                options = replace(options, careful=error.index)
                _write_history(log, parts)


def _saver(parts: Parts, log: RunLog) -> Saver:
    options = parts.config.train
    return Saver(
        log.directory / rundir.CHECKPOINTS,
        monitor=parts.options.monitor,
        keep_best=options.keep_best,
        patience=options.checkpoint_patience,
        told=log.tell,
    )


def _watchers(parts: Parts, log: RunLog, others: list[Watcher], saver: Saver) -> list[Watcher]:
    progress = log.progress
    watchers = [_layers_watched(parts, log), *others]
    if progress is not None:
        watchers.append(lambda step: progress.step(step, parts.state.progress.epoch + 1))
    every_steps, every_minutes = parts.config.train.checkpoint_every_steps, parts.config.train.checkpoint_every_minutes
    if every_steps or every_minutes:
        watchers.append(_between(parts, saver, every_steps, every_minutes))
    return watchers


def _between(parts: Parts, saver: Saver, every_steps: int | None, every_minutes: float | None) -> Watcher:
    """Return the watcher that saves between the ends of epochs. The clock decides what is saved, never what it is."""
    state, batches = parts.state, len(parts.data.loaders["train"])
    saved = time.monotonic()

    def watch(step: Step) -> None:
        nonlocal saved
        now = time.monotonic()
        due = (every_steps and step.index % every_steps == 0) or (every_minutes and now - saved >= 60 * every_minutes)
        if due and state.progress.position < batches:  # else the end of the epoch is saved right away
            check_weights(state)
            saver.save(state, needed=False)
            saved = now

    return watch


def _outlook(parts: Parts) -> Outlook:
    options, train, progress = parts.options, parts.data.loaders["train"], parts.state.progress
    steps = -(-len(train) // options.accumulate)
    return Outlook(options.epochs, steps, train.num_samples, options.monitor, progress, tuple(progress.history))


def _layers_watched(parts: Parts, log: RunLog) -> Watcher:
    """Return the watcher that writes layers.csv, in which rows of steps that are taken again are written again."""
    path, state = log.directory / rundir.LAYERS, parts.state
    if path.is_file():
        rundir.write_csv(path, LayerRow._fields, rundir.read_layers(log.directory, state.progress.index))
    num_batches = len(parts.data.loaders["train"])
    return layer_watcher(
        state,
        num_batches=num_batches,
        accumulate=parts.options.accumulate,
        on_rows=lambda rows: log.trying(rundir.LAYERS, lambda: rundir.append_csv(path, LayerRow._fields, rows)),
    )


def _raise_interrupted(log: RunLog, index: int, request: StopRequest) -> None:
    message = f"stopped after step {index}, which is saved; go on with: "
    message += f"torchwork resume {shlex.quote(str(log.directory))}"
    log.note(message)
    raise Interrupted(message, request.signal or 2)


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
