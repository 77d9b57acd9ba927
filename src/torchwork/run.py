"""A run from end to end: train a config into a run directory, go on with one, load one."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch

from torchwork import assembly, config, durable, environment, finishing, live, run_split, rundir
from torchwork.assembly import Parts
from torchwork.data.workers import deaths_told
from torchwork.inspection.samples import contact_sheet
from torchwork.loaded import Run, load
from torchwork.metrics import baseline
from torchwork.logs.logger import Job
from torchwork.logs.opened import Logs, logging
from torchwork.models import summary
from torchwork.progress.choice import chosen
from torchwork.progress.outlook import Outlook, Progress, told
from torchwork.report import html
from torchwork.resolved import written_out
from torchwork.training import checkpoint
from torchwork.training import device as devices
from torchwork.training.interrupt import Interrupted, StopRequest, listening
from torchwork.training.layer_watch import LayerRow, layer_watcher
from torchwork.training.loop import run_epochs
from torchwork.types import Finding, InputError, RunError, Watcher


def train(
    source: str | Path | Mapping[str, Any] | config.Config,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    progress: Progress | bool | None = None,
) -> Run:
    """Train what a config describes: from the data to a run directory with model, numbers and report.

    Args:
        source: A config: the path of a YAML, TOML or JSON file, a dict, or a loaded one.
        overrides: Changes as on the command line: ``["train.epochs=2"]``.
        out: The run directory; by default the next number in ``runs/<name>``.
        progress: True shows bars (in a notebook, on a terminal) or a line an epoch; False nothing; None bars in a
            notebook and nothing in a script. Or who is told of every step and epoch.

    Raises:
        InputError: the config or the data are wrong; nothing was started.
        RunError: training could not go on; what was written stays.
        Interrupted: Ctrl-C or SIGTERM, after the current step was finished and saved.
    """
    settings = source if isinstance(source, config.Config) else config.load(source, overrides)
    progress = chosen(progress)
    with devices.using_threads(settings.train.threads or devices.default_threads()):
        parts = assembly.assemble(settings)
        try:
            directory = rundir.create(Path(out) if out is not None else None, settings.name)
            _write_beginning(parts, directory)
            _log(directory, f"transform: {' → '.join(parts.data.pipeline.describe()) or 'none'}")
            for finding in parts.findings:
                _tell(directory, finding, progress)
            _train_and_finish(parts, directory, progress, "train")
        finally:
            parts.data.close()
    return Run(directory)


def resume(path: str | Path, *, progress: Progress | bool | None = None) -> Run:
    """Go on with a run from its last checkpoint, to the same result as if it had never stopped.

    A run that is already complete is returned as it is.

    Raises:
        InputError: no run, or its data are no longer what they were.
        RunError, Interrupted: as `train`.
    """
    directory = rundir.existing(path)
    progress = chosen(progress)
    if rundir.is_complete(directory):
        if not (directory / rundir.REPORT).is_file():
            html.write(directory)
        if progress is not None:
            progress.message(f"{directory} is complete: nothing is left to do")
        return Run(directory)
    settings = config.load(directory / rundir.CONFIG)
    with devices.using_threads(settings.train.threads or 1):
        place = checkpoint.latest(directory / rundir.CHECKPOINTS)
        parts = assembly.assemble(run_split.as_begun(settings, directory), pretrained=place is None)
        try:
            run_split.check_same(parts.data.source, directory, numbered=True)
            _tell_added(parts, directory, progress)
            if place is not None:
                for finding in checkpoint.load(place, parts.state):
                    _tell(directory, finding, progress)
            for lost, wrong in checkpoint.damaged(directory / rundir.CHECKPOINTS):
                _log(directory, f"warning: {lost} is damaged and cannot be used: {wrong}", progress)
            _log(directory, f"resumed from {place or 'the beginning'}", progress)
            _train_and_finish(parts, directory, progress, "resume")
        finally:
            parts.data.close()
    return Run(directory)


def evaluate(
    path: str | Path, splits: Sequence[str] | None = None, *, progress: Progress | bool | None = None
) -> dict[str, dict[str, float]]:
    """Evaluate a run's model on its own data again; write predictions, metrics and report anew.

    Samples that were added to the data since are in no split.

    Args:
        path: The run directory.
        splits: Which splits; by default val and test where they are.
        progress: Told of samples that were added.

    Returns:
        ``{split: {metric: number}}``.

    Raises:
        InputError: no run, no such split, or data that changed since.
    """
    run = load(path)
    progress = chosen(progress)
    model = run.model
    with devices.using_threads(run.config.train.threads or 1):
        unlogged = run.config.model_copy(update={"log": []})
        parts = assembly.assemble(run_split.as_begun(unlogged, run.path), pretrained=False)
        try:
            then = run_split.check_same(parts.data.source, run.path, numbered=bool(parts.data.companions))
            _tell_added(parts, run.path, progress)
            wanted = list(splits) if splits else [name for name in ("val", "test") if name in parts.data.splits]
            missing = [name for name in wanted if name not in parts.data.splits]
            if missing:
                message = f"there is no split {missing[0]!r}"
                fix = f"this run has {', '.join(parts.data.splits)}"
                raise InputError(Finding("no-split", "error", "split", message, fix))
            parts.model.load_state_dict(model.state_dict())
            return finishing.evaluate_splits(parts, run.path, wanted, "evaluate", then)
        finally:
            parts.data.close()


def _tell_added(parts: Parts, directory: Path, progress: Progress | None) -> None:
    for finding in parts.data.shared.findings:
        if finding.code == "added-samples":
            _tell(directory, finding, progress)


def _write_beginning(parts: Parts, directory: Path) -> None:
    rundir.write_json(
        directory / rundir.ENVIRONMENT, environment.describe(parts.device, parts.config.train.threads or 1)
    )
    task, loss = type(parts.task).__name__.lower(), parts.task.criterion.name
    of_train = baseline.of_train(task, loss, parts.data.train_targets(), parts.data.target.classes)
    meaning = {"task": task, "loss": loss, "train_targets": of_train}
    rundir.write_json(directory / rundir.DATA, {**parts.data.facts(), **meaning})
    (directory / rundir.FITTED).write_bytes(safetensors.torch.save(parts.data.pipeline.state()))
    rundir.write_csv(directory / rundir.SPLIT, *parts.data.shared.rows(parts.data.source, parts.data.splits))
    if parts.data.cleaned.set_aside:
        rundir.write_csv(directory / rundir.SET_ASIDE, ["id", "name", "code", "reason", "split"], _aside_rows(parts))
    rundir.write_json(directory / rundir.FINDINGS, [asdict(finding) for finding in dict.fromkeys(parts.findings)])
    first = next(iter(parts.data.loaders["train"].batches(0)))
    inputs = assembly.model_inputs(parts, first)
    layers = summary.summarise(parts.model, inputs)._asdict()
    rundir.write_json(directory / rundir.MODEL_SUMMARY, {"model": parts.config.model["name"], **layers})
    contact_sheet(inputs, directory / rundir.SAMPLES / "train-batch.png")
    # the last, as it makes the directory a run: what it finds there, resume may rely on
    durable.write_file(directory / rundir.CONFIG, config.dump(written_out(parts)))


def _aside_rows(parts: Parts) -> list[list[Any]]:
    """Return each sample that was set aside, with the split that it came with, where the data come with splits."""
    given = parts.data.source.given or {}
    part_of = {int(index): part for part, ids in given.items() for index in ids}
    return [[*entry, part_of.get(entry.index, "")] for entry in parts.data.cleaned.set_aside]


def _train_and_finish(parts: Parts, directory: Path, progress: Progress | None, command: str) -> None:
    with live.telling(parts, directory) as watched, _logged(parts, directory, progress) as logs:
        _train(parts, directory, progress, watched, logs)
        watched.tell("finishing")
        finishing.finish(parts, directory, command)
        logs.end(rundir.read_json(directory / rundir.METRICS))


def _logged(parts: Parts, directory: Path, progress: Progress | None) -> AbstractContextManager[Logs]:
    """Open what ``log`` names, to go on from the step that the run has come to."""
    as_kept = config.load(directory / rundir.CONFIG).model_dump()
    job = Job(directory, parts.config.name, as_kept, parts.state.progress.index)
    steps = -(-len(parts.data.loaders["train"]) // parts.options.accumulate)
    return logging(parts.config.log, job, steps, lambda text: _log(directory, text, progress))


def _train(parts: Parts, directory: Path, progress: Progress | None, watched: live.Live, logs: Logs) -> None:
    state, loaders = parts.state, parts.data.loaders
    rows = [row for row in rundir.read_history(directory) if row["epoch"] <= state.progress.epoch]

    def on_epoch(row: dict[str, float]) -> None:
        rows.append(row)
        _write_history(directory, rows)
        _log(directory, "  ".join(f"{name} {_short(value)}" for name, value in row.items()))
        if progress is not None:
            progress.epoch(row)
        logs.epoch(row)

    def save(is_best: bool) -> None:
        checkpoint.save(state, directory / rundir.CHECKPOINTS, monitor=parts.options.monitor)

    watchers = [_layers_watched(parts, directory), watched.step, logs.step]
    if progress is not None:
        watchers.append(lambda step: progress.step(step, state.progress.epoch + 1))
    with devices.keeping_generators(parts.device), deaths_told(), listening() as request:
        if progress is not None:
            progress.start(directory, _outlook(parts, rows))
        try:
            done = run_epochs(
                state,
                parts.task,
                watched,
                loaders.get("val"),
                parts.options,
                save=save,
                on_evaluation=watched.evaluation,
                on_epoch=on_epoch,
                watchers=watchers,
                should_stop=request,
            )
        except RunError as error:
            place = checkpoint.latest(directory / rundir.CHECKPOINTS)
            error.args = (
                f"{error}. {f'The last checkpoint is kept: {place}' if place else 'There is no checkpoint yet'}",
            )
            _log(directory, f"failed: {error}")
            raise
        finally:
            if progress is not None:
                progress.stop()
        if not done:
            _raise_interrupted(directory, state.progress.index, request)


def _outlook(parts: Parts, rows: Sequence[dict[str, float]]) -> Outlook:
    options, train = parts.options, parts.data.loaders["train"]
    steps = -(-len(train) // options.accumulate)
    return Outlook(options.epochs, steps, train.num_samples, options.monitor, parts.state.progress, tuple(rows))


def _layers_watched(parts: Parts, directory: Path) -> Watcher:
    """Return the watcher that writes layers.csv, in which rows of steps that are taken again are written again."""
    path, state = directory / rundir.LAYERS, parts.state
    if path.is_file():
        rundir.write_csv(path, LayerRow._fields, rundir.read_layers(directory, state.progress.index))
    num_batches = len(parts.data.loaders["train"])
    return layer_watcher(
        state,
        num_batches=num_batches,
        accumulate=parts.options.accumulate,
        on_rows=lambda rows: rundir.append_csv(path, LayerRow._fields, rows),
    )


def _raise_interrupted(directory: Path, index: int, request: StopRequest) -> None:
    message = f"stopped after step {index}, which is saved; go on with: torchwork resume {shlex.quote(str(directory))}"
    _log(directory, message)
    raise Interrupted(message, request.signal or 2)


def _write_history(directory: Path, rows: list[dict[str, float]]) -> None:
    rundir.write_csv(directory / rundir.HISTORY, list(rows[0]), [list(row.values()) for row in rows])


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else format(value, ".4g")


def _tell(directory: Path, finding: Finding, progress: Progress | None) -> None:
    _log(directory, told(finding))
    if progress is not None:
        progress.finding(finding)


def _log(directory: Path, text: str, progress: Progress | None = None) -> None:
    with open(directory / rundir.LOG, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}\n")
    if progress is not None:
        progress.message(text)
