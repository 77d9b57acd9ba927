"""Checkpoints: all that a restart needs of a run, as files that are whole or not there at all.

Each is named after the number of windows consumed, and after the epoch where it was taken at the end of one. The last
one is kept and the best ones of the epochs' ends: which they are stands in them, so that nothing has to point to them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from torchwork import durable
from torchwork.metrics.direction import higher_is_better
from torchwork.optim import state as optimizer_state
from torchwork.optim.encoding import decode, encode
from torchwork.training import store, weights
from torchwork.training.state import Gathered, Progress, State
from torchwork.types import Finding, InputError, RunError

MODEL, AVERAGED, OPTIMIZER, STATE = "model.safetensors", "averaged.safetensors", "optimizer.safetensors", "state.json"


@dataclass(frozen=True)
class Snapshot:
    """A state as it was: copies, which training on does not change."""

    name: str
    epoch_ended: int | None  # the epoch that it is the end of
    best_epoch: int | None
    model: tuple[dict[str, Tensor], dict[str, str]]
    optimizer: tuple[dict[str, Tensor], dict[str, str]]
    content: str
    averaged: tuple[dict[str, Tensor], dict[str, str]] | None = None

    def files(self) -> dict[str, bytes]:
        """Return the files of the checkpoint."""
        return {
            MODEL: weights.to_bytes(*self.model),
            **({AVERAGED: weights.to_bytes(*self.averaged)} if self.averaged is not None else {}),
            OPTIMIZER: weights.to_bytes(*self.optimizer),
            STATE: self.content.encode(),
        }


def snapshot(state: State) -> Snapshot:
    """Copy a state, to be written while training goes on."""
    state.settle()
    gathered, state.gathered = state.gathered, None
    if gathered is None:
        gathered = Gathered(
            state.progress.index, state.model.state_dict(), optimizer_state.save(state.optimizer, state.model)
        )
    assert gathered.index == state.progress.index
    tensors, values = gathered.optimizer
    content = {
        "progress": encode(asdict(state.progress), "progress"),
        "optimizer": values,
        "schedule": state.schedule.state_dict() if state.schedule is not None else None,
        "scaler": encode(state.scaler.state_dict(), "scaler") if state.scaler is not None else None,
        "averaged_updates": state.averaged.updates if state.averaged is not None else None,
    }
    progress = state.progress
    return Snapshot(
        _name(progress),
        progress.epoch if not progress.position else None,
        progress.best_epoch,
        weights.copied(gathered.model),
        weights.copied(tensors),
        json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        weights.copied(state.averaged.model.state_dict()) if state.averaged is not None else None,
    )


def write(taken: Snapshot, directory: Path, *, monitor: str = "val_loss", keep_best: int = 1) -> Path:
    """Write a checkpoint and read it back; only then do older ones go, except the best.

    Raises:
        OSError: it could not be written; the checkpoints that were there are there still.
    """
    place = directory / taken.name
    directory.mkdir(parents=True, exist_ok=True)
    store.write(place, taken.files())
    kept = {place.name, *best_names(directory, monitor, keep_best)}
    for old in store.places(directory):
        if old.name not in kept and old.is_dir() and not old.is_symlink():
            durable.remove_directory(old)
    durable.remove_leftovers(directory)
    return place


def _name(progress: Progress) -> str:
    """Return the name; the last step of an epoch and the end of that epoch, with its evaluation, are two states."""
    at_end = not progress.position and progress.epoch
    return f"{progress.index:08d}{f'-epoch-{progress.epoch}' if at_end else ''}"


def save(state: State, directory: Path, *, monitor: str = "val_loss", keep_best: int = 1) -> Path:
    """Write a checkpoint of a state at once, as `write`."""
    return write(snapshot(state), directory, monitor=monitor, keep_best=keep_best)


def best_names(directory: Path, monitor: str, most: int) -> list[str]:
    """Return the names of the checkpoints of the best epochs, the best first; of equal ones the earlier first."""
    sign = -1 if higher_is_better(monitor) else 1
    ends = [(place, progress) for place, progress in _readable(directory) if _is_an_end(progress)]
    return [
        place.name for place, p in sorted(ends, key=lambda end: (sign * end[1]["monitored"], end[1]["epoch"]))[:most]
    ]


def latest(directory: Path) -> Path | None:
    """Return the newest whole checkpoint that leads to the run's result, or None.

    One whose best epoch before it was lost does not: the best weights can only be trained again.

    Raises:
        RunError: the newest has the format of another version.
    """
    for place in store.places(directory):
        if store.fault(place) is None:
            epoch = _progress(place)["best_epoch"]
            if epoch is None or of_epoch(directory, epoch) is not None:
                return place
    return None


def damaged(directory: Path) -> list[tuple[Path, str]]:
    """Return the checkpoints that cannot be used, and what is wrong with each."""
    return [(place, wrong) for place in store.places(directory) if (wrong := store.fault(place)) is not None]


def best(directory: Path) -> Path | None:
    """Return the checkpoint of the best epoch, or None where no epoch was judged or its checkpoint is damaged."""
    newest = latest(directory)
    epoch = _progress(newest)["best_epoch"] if newest is not None else None
    return None if epoch is None else of_epoch(directory, epoch)


def of_epoch(directory: Path, epoch: int) -> Path | None:
    """Return the whole checkpoint of the end of an epoch, counted from 1, or None."""
    for place, progress in _readable(directory):
        if progress["epoch"] == epoch and not progress["position"] and store.fault(place) is None:
            return place
    return None


def load(place: Path, state: State, *, rates_of: str | None = None) -> list[Finding]:
    """Put a checkpoint into a freshly built state; return what of the optimizer's state could not be matched.

    Args:
        place: The checkpoint.
        state: As the config gives it, before the first update.
        rates_of: Where the config was changed since the run began, the column by which epochs are judged. The options
            of the optimizer are then the config's own, and its learning rates those that the config has at this place
            of a run; otherwise all of them are the checkpoint's.

    Raises:
        RunError: the checkpoint does not belong to this model, or holds what no run writes.
    """
    with _understood(place):
        return _load(place, state, rates_of)


def _load(place: Path, state: State, rates_of: str | None) -> list[Finding]:
    content = json.loads(store.read(place / STATE))
    progress = Progress(**decode(content["progress"]))
    weights.load_weights(state.model, place / MODEL)
    tensors = weights.read(place / OPTIMIZER)
    schedule, groups = state.schedule, state.optimizer.param_groups
    if rates_of is not None and schedule is not None and content["schedule"] is not None:
        schedule.catch_up(content["schedule"]["updates"], [row.get(rates_of) for row in progress.history])
    own = [{key: value for key, value in group.items() if key != "params"} for group in groups]
    findings = optimizer_state.load(state.optimizer, state.model, tensors, content["optimizer"])
    if rates_of is not None:
        for group, options in zip(groups, own, strict=True):
            group.update(options)
    elif schedule is not None and content["schedule"] is not None:
        schedule.load_state_dict(content["schedule"])
    if state.scaler is not None and content.get("scaler") is not None:
        state.scaler.load_state_dict(decode(content["scaler"]))
    if state.averaged is not None:
        weights.load_weights(state.averaged.model, _judged(place, content))
        state.averaged.updates = content.get("averaged_updates") or 0
    state.progress = progress
    return findings


def load_best_weights(place: Path, model: nn.Module) -> None:
    """Put the weights that a checkpoint was judged by into a model: the averaged ones where it has such."""
    weights.load_weights(model, judged(place))


def judged(place: Path) -> Path:
    """Return the file of the weights that a checkpoint was judged by."""
    return _judged(place, json.loads(store.read(place / STATE)))


def _judged(place: Path, content: Mapping[str, Any]) -> Path:
    return place / (MODEL if content.get("averaged_updates") is None else AVERAGED)


def _is_an_end(progress: Mapping[str, Any]) -> bool:
    value = progress["monitored"]
    return not progress["position"] and progress["epoch"] > 0 and value is not None and not math.isnan(value)


def _readable(directory: Path) -> list[tuple[Path, dict[str, Any]]]:
    found = []
    for place in store.places(directory):
        try:
            found.append((place, _progress(place)))
        except RunError:
            continue  # damaged: whoever looks for damage will say so
    return found


def _progress(place: Path) -> dict[str, Any]:
    return asdict(progress_of(place))


def progress_of(place: Path) -> Progress:
    """Return where a run stood at a checkpoint.

    Raises:
        RunError: it cannot be read, or holds what no run writes.
    """
    with _understood(place):
        content = json.loads(store.read(place / STATE))
        return Progress(**decode(content["progress"]))


@contextmanager
def _understood(place: Path) -> Iterator[None]:
    """Tell by its name that a checkpoint holds what no run writes, though its manifest says that it is whole."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        said = f"{type(error).__name__}: {error}"[:200]
        raise RunError(f"{place / STATE} is damaged, or not what a run writes: {said}") from error
