"""The end of a run: the best weights, the evaluation of each split, and what is written about it."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from torchwork import faults, rundir
from torchwork.assembly import Parts
from torchwork.building import build_model
from torchwork.metrics import baseline, chosen, custom, final
from torchwork.report import html
from torchwork.run_data import evaluation_loader
from torchwork.tasks.supervised import Evaluation
from torchwork.training import checkpoint, precision, sharding, weights
from torchwork.training.evaluate import evaluate as evaluate_model
from torchwork.types import RunError


def finish(parts: Parts, directory: Path, command: str, *, report: bool = True) -> None:
    """Take the best weights, evaluate val and test by them, and write model, predictions, metrics and report.

    Test is not looked at where the config leaves it for later.

    Raises:
        RunError: the checkpoint of the best epoch is damaged.
    """
    whole = _with_best_weights(parts, directory)
    weights.save_weights(whole, directory / rundir.MODEL)
    splits = evaluated(parts)
    evaluate_splits(parts, directory, splits, command, ending=whole, report=report)


def _with_best_weights(parts: Parts, directory: Path) -> nn.Module:
    """Give all processes the best weights; return a model with them, which one process can use by itself."""
    best, ranks = checkpoint.best(directory / rundir.CHECKPOINTS), parts.state.ranks
    if best is not None and not (ranks and ranks.sharded):
        checkpoint.load_best_weights(best, parts.model)
    elif best is not None:
        sharding.spread_weights(parts.model, weights.read(checkpoint.judged(best)))
    elif parts.state.progress.best_epoch is not None:  # the last weights would not be what was asked for
        epoch = parts.state.progress.best_epoch
        message = f"the checkpoint of the best epoch ({epoch}) is damaged; resume trains it again"
        raise RunError(f"{message}: torchwork resume {shlex.quote(str(directory))}")
    elif parts.state.averaged is not None:
        parts.model.load_state_dict(parts.state.judged.state_dict())
    elif ranks is not None and ranks.sharded:
        sharding.spread_weights(parts.model, None)
    if ranks is None:
        return parts.model
    if not ranks.sharded:
        ranks.share_weights(parts.model)
        return parts.model
    gathered = sharding.gathered_weights(parts.model)
    cpu = torch.device("cpu")  # perhaps no device holds it
    model, _ = build_model(parts.config, parts.data.facts(), parts.task.num_outputs, cpu, pretrained=False)
    model.load_state_dict(gathered)
    return model.eval()


def evaluated(parts: Parts) -> list[str]:
    """Return the splits that a run evaluates at its end: val, and test where the config leaves it not for later."""
    wanted = ("val", "test") if parts.config.train.evaluate_test else ("val",)
    return [name for name in wanted if name in parts.data.splits]


def take_part(parts: Parts) -> None:
    """Evaluate this process's share of val and test by the first one's best weights."""
    assert parts.state.ranks is not None
    if parts.state.ranks.sharded:
        sharding.spread_weights(parts.model, None)
        sharding.gathered_weights(parts.model)
    else:
        parts.state.ranks.share_weights(parts.model)
    for split in evaluated(parts):
        evaluate_model(parts.model, parts.task, parts.data.loaders[split], ranks=parts.state.ranks)


def evaluate_splits(
    parts: Parts,
    directory: Path,
    splits: Sequence[str],
    command: str,
    then: np.ndarray | None = None,
    *,
    ending: nn.Module | None = None,
    report: bool = True,
) -> dict[str, dict[str, float]]:
    """Evaluate splits and write what was found; ``then`` [N] are the samples' numbers in the run's split.csv.

    At the ``ending`` of a run the model, with its best weights, is looked into as well.
    """
    facts = rundir.read_json(directory / rundir.DATA)
    metrics, times, undefined, baselines = {}, {}, {}, {}
    for split in splits:
        if split == "test":
            rundir.note_look(directory, command)
        started = time.perf_counter()
        evaluation = _evaluation(parts, split, directory)
        times[split] = {"seconds": time.perf_counter() - started, "samples": len(evaluation.ids)}
        if then is not None:
            evaluation = replace(evaluation, ids=torch.from_numpy(then)[evaluation.ids])
        header, rows = parts.task.table(evaluation)
        path = directory / rundir.predictions(split)
        rundir.write_csv(path, header, rows)
        arrays = {"id": evaluation.ids, "output": evaluation.outputs, "target": evaluation.targets}
        numbers: dict[str, Any] = {name: tensor.numpy() for name, tensor in arrays.items()}
        np.savez(directory / rundir.ARRAYS / f"outputs-{split}.npz", **numbers)
        found = final.of_split(path, facts) | custom.of_split(parts.config.metrics, path, facts)
        metrics[split] = {"loss": evaluation.loss, **found.metrics}
        undefined[split] = found.undefined
        baselines[split] = baseline.of_split(path, facts, metrics[split])
    if ending is not None:
        _look_into(parts, ending, directory)
    _add(directory / rundir.TIMES, times)
    _add(directory / rundir.UNDEFINED, undefined)
    _add(directory / rundir.INTERVALS, {split: _doubt(parts, directory, split, metrics[split]) for split in splits})
    _add(directory / rundir.BASELINES, {split: found for split, found in baselines.items() if found})
    rundir.write_json(directory / rundir.CHOSEN, chosen.of_run(directory, facts))
    _add(directory / rundir.METRICS, metrics)  # the last: it tells that the run is complete
    if report:
        html.write(directory)
    return metrics


def _doubt(parts: Parts, directory: Path, split: str, metrics: dict[str, float]) -> dict[str, Any]:
    """Return the intervals of a split's metrics, drawn by groups where the split kept groups whole."""
    from torchwork.metrics import custom_intervals, intervals  # scipy, which only the end of a run needs

    path, spec = directory / rundir.predictions(split), parts.config.data.split
    groups = rundir.read_groups(directory / rundir.SPLIT)
    own = None if groups is None else [groups.get(int(row["id"]), "") for row in rundir.read_csv(path)]
    facts = rundir.read_json(directory / rundir.DATA)
    found = intervals.of_split(path, facts, metrics, own, spec.group or spec.pattern or "group")
    found["metrics"] |= custom_intervals.of_split(parts.config.metrics, path, facts, metrics, own)
    return found


def _look_into(parts: Parts, model: nn.Module, directory: Path) -> None:
    from torchwork.inspection.look import look  # Pillow and matplotlib, which only the end of a run needs
    from torchwork.inspection.subject import Subject

    data, seed = parts.data, parts.config.seed
    places = (data.source, data.splits, data.pipeline, data.target)
    device = parts.device
    if model is not parts.model:
        device = torch.device("cpu")
        parts.task.criterion.to(device, precision.dtype(parts.config.train.precision))
    look(Subject(model, parts.task, *places, device, seed, directory))


def _add(path: Path, content: dict[str, Any]) -> None:
    """Write the figures of some splits into a file that may hold those of others."""
    before = None
    with contextlib.suppress(FileNotFoundError, ValueError):  # what is damaged is replaced
        before = rundir.read_json(path)
    rundir.write_json(path, {**(before if isinstance(before, dict) else {}), **content})


def _evaluation(parts: Parts, split: str, directory: Path) -> Evaluation:
    told: dict[str, Any] = {"progress": parts.state.progress, "on_cut": partial(faults.note, directory)}
    if split != "train":
        return evaluate_model(parts.model, parts.task, parts.data.loaders[split], ranks=parts.state.ranks, **told)
    loader = evaluation_loader(parts.config, parts.data, split, parts.device)
    try:
        return evaluate_model(parts.model, parts.task, loader, **told)
    finally:
        loader.close()
