"""What a run does where several processes train it: agree at the start, share out the model, and find its directory."""

from __future__ import annotations

import atexit
import datetime
import hashlib
import json
import os
import platform
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from torchwork import dist, distribution, processes, rundir
from torchwork.assembly import Parts
from torchwork.config import Config
from torchwork.loaded import Run
from torchwork.training import batchnorm, checkpoint, parallel, precision, sharding, units
from torchwork.training.divergence import digest
from torchwork.training.pulse import beating
from torchwork.types import Finding, InputError

# what of a run's directory is needed to go on with it
_OF_A_RUN = (
    *(rundir.CONFIG, rundir.DATA, rundir.SPLIT, rundir.ENVIRONMENT, rundir.FITTED, rundir.SET_ASIDE),
    *(rundir.METRICS, rundir.CHANGES),
)


@contextmanager
def joined(minutes: float = 30.0) -> Iterator[None]:
    """Be one of the processes that were launched, while inside; alone, nothing happens.

    Raises:
        RunError, Interrupted: another process failed, is gone or was stopped.
    """
    if dist.world() == 1 or dist.group() is not None:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(dist.local_rank() % torch.cuda.device_count())
    timeout = datetime.timedelta(minutes=minutes)
    with dist.joined(timeout) as group, beating(group):
        if group is not None:
            group.connect(timeout)
        yield


def launch() -> dict[str, Any] | None:
    """Return what tells one call of `torchrun`, with all its restarts, from all others; None where there was none."""
    name = os.environ.get("TORCHELASTIC_RUN_ID")
    if name is None:
        return None
    agent = processes.Process(os.getppid(), processes.started(os.getppid()), socket.gethostname(), "")
    return {"id": name, "agent": list(agent)}


@dataclass(frozen=True)
class Place:
    """Where a run is to be, and whether one was begun there that is to go on."""

    path: Path
    goes_on: bool


def begun(name: str, out: Path | None, *, auto: bool) -> Place | None:
    """Return the place of a run that is to be trained; None where it is to be found.

    A run goes on that was begun by the same call of `torchrun`, before it started its processes again; and with
    ``auto`` one that is in ``out``, or else the newest of this name.
    """
    found = None
    if dist.is_first():
        again = bool(int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") or 0))
        path = out
        if path is None and again:
            path = rundir.newest(name, _of_this_launch)
        if path is None and auto:
            path = rundir.newest(name)
        if path is not None:
            found = Place(path, (again or auto) and (path / rundir.CONFIG).is_file())
    return dist.from_first(found)


def _of_this_launch(place: Path) -> bool:
    """Tell whether a run was begun by the call of `torchrun` that started this process."""
    now, then = launch() or {}, dict[str, Any]()
    with suppress(OSError, ValueError, AttributeError):
        then = rundir.read_json(place / rundir.ENVIRONMENT).get("launch") or {}
    named = now.get("id") not in (None, "", "none") and then.get("id") == now["id"]
    return bool(then) and (then.get("agent") == now.get("agent") or (named and not rundir.is_complete(place)))


def agreed(build: Callable[[], Parts]) -> Parts:
    """Build the parts of a run on every process; refuse a run that is not the same on all of them.

    Raises:
        InputError: on every process: what is wrong on one or more of them, or what differs.
    """
    if dist.group() is None:
        return build()
    parts, wrong = None, []
    try:
        parts = build()
    except InputError as error:
        wrong = error.findings
    found = dist.everyone((wrong, None if parts is None else _fingerprint(parts), socket.gethostname()))
    findings = _all_findings([one for one, _, _ in found]) or _differences(
        [prints or {} for _, prints, _ in found], [host for _, _, host in found]
    )
    if findings or parts is None:
        if parts is not None:
            parts.data.close()
        raise InputError(findings)
    return parts


def _all_findings(by_rank: list[list[Finding]]) -> list[Finding]:
    """Return every mistake once, those that not all processes found with the ranks that did."""
    ranks: dict[Finding, list[int]] = {}
    for rank, findings in enumerate(by_rank):
        for finding in dict.fromkeys(findings):
            ranks.setdefault(finding, []).append(rank)
    said = []
    for finding, where in ranks.items():
        on = "" if len(where) == len(by_rank) else f" (on rank {', '.join(map(str, where))})"
        said.append(Finding(finding.code, finding.severity, finding.where, finding.message + on, finding.fix))
    return said


def _fingerprint(parts: Parts) -> dict[str, dict[str, Any]]:
    """Return what must be the same on every process, by topic and name."""
    config = parts.config.model_dump()
    config["train"].pop("threads")
    splits = {name: _hash(np.asarray(ids, np.int64).tobytes()) for name, ids in parts.data.splits.items()}
    contents = json.dumps(sorted(parts.data.shared.contents.items()))
    return {
        "config": dict(_flat(config, "")),
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("torch", "numpy", "torchwork")},
        },
        "device": {"type": parts.device.type},
        "data": {
            "number of samples": len(parts.data.source),
            "contents of the samples": _hash(contents.encode()),
            "targets": _hash(np.ascontiguousarray(parts.data.targets.numpy()).tobytes()),
            **{f"samples of {name}": found for name, found in splits.items()},
            "what the transform learnt": digest(list(parts.data.pipeline.state().values())),
        },
        "model": {
            "shapes of the parameters": _hash(str([tuple(p.shape) for p in parts.model.parameters()]).encode()),
            "start values": digest(list(parts.model.parameters())),
        },
    }


def _flat(content: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(value, f"{where}.{key}" if where else str(key))
    else:
        yield where, content


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _differences(prints: list[dict[str, dict[str, Any]]], hosts: list[str]) -> list[Finding]:
    first, findings = prints[0], []
    for rank, other in enumerate(prints[1:], start=1):
        for topic, values in first.items():
            theirs = other.get(topic, {})
            names = [name for name in {**values, **theirs} if values.get(name) != theirs.get(name)]
            shown = topic in ("config", "versions", "device")
            for name in names:
                where = name if topic == "config" else topic
                message = f"{name} on rank {rank} ({hosts[rank]}) is not that on rank 0 ({hosts[0]})"
                if shown or name == "number of samples":
                    message += f": {theirs.get(name)!r} there, {values.get(name)!r} here"
                fix = "every process must be started with the same config, data and versions"
                findings.append(Finding("ranks-differ", "error", where, message, fix))
    return findings


@contextmanager
def directory_of(find: Callable[[], Path], *, locks: bool = True) -> Iterator[Path]:
    """Let the first process make or find the run's directory and, where it ``locks``, hold its lock; give all its path.

    Raises:
        InputError: on every process, where there is none, it cannot be made, or another is at work there.
    """
    with ExitStack() as held:
        found: Path | list[Finding] | None = None
        if dist.is_first():
            try:
                found = find()
                if locks:
                    held.enter_context(rundir.locked(found))
            except InputError as error:
                if dist.group() is None:
                    raise
                found = error.findings
        found = dist.from_first(found)
        if not isinstance(found, Path):
            raise InputError(found or [])
        yield found


def spread(parts: Parts) -> None:
    """Give this process its share of every batch, and make the model ready to be trained by all.

    Raises:
        InputError: the model cannot be shared out.
    """
    options = parts.config.distributed
    if options.activation_checkpointing:
        units.recompute(parts.model)
    if dist.group() is None:
        return
    for loader in parts.data.loaders.values():
        loader.share = (dist.rank(), dist.world())
    if options.sync_batchnorm:
        batchnorm.synchronise(parts.model)
    batch = next(iter(parts.data.loaders["train"].batches(0)))
    if distribution.is_sharded(parts.config):
        format_ = parts.config.train.precision
        parts.task.criterion.to(parts.device, precision.dtype(format_))
        how = sharding.Sharding(precision.LOWER.get(format_))
        sharding.sharded(parts.state, parts.task, batch, parts.device, how)
        return
    parts.state.ranks = parallel.replicated(
        parts.model,
        parts.task,
        batch,
        parts.device,
        strategy=options.strategy,
        find_unused_parameters=options.find_unused_parameters,
    )


@contextmanager
def readable(directory: Path) -> Iterator[Path]:
    """Yield where this process can read what is needed to go on with a run, its last and its best checkpoint too."""
    if dist.group() is None:
        yield directory
        return
    names = []
    if dist.is_first():
        names = [name for name in _OF_A_RUN if (directory / name).is_file()]
        folder = directory / rundir.CHECKPOINTS
        places = {place for place in (checkpoint.latest(folder), checkpoint.best(folder)) if place is not None}
        names += [f"{folder.name}/{place.name}/{path.name}" for place in places for path in sorted(place.iterdir())]
    with _copied(directory, dist.from_first(names)) as here:
        yield here


@contextmanager
def _copied(directory: Path, names: list[str], *, keeping: bool = False) -> Iterator[Path]:
    """Yield the directory itself where this process sees the files that the first one sees there, else copies of them.

    The copies stand in a temporary folder, which goes afterwards, or with ``keeping`` when the process ends.
    """
    wanted = dist.from_first({name: _seen(directory / name) for name in names} if dist.is_first() else {})
    here = all(_seen(directory / name) == found for name, found in wanted.items())
    if all(dist.everyone(here)):
        yield directory
        return
    contents = dist.from_first({name: (directory / name).read_bytes() for name in names} if dist.is_first() else {})
    if here:
        yield directory
        return
    folder = tempfile.TemporaryDirectory(prefix="torchwork-")
    for name, content in contents.items():
        target = Path(folder.name) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    if keeping:
        atexit.register(folder.cleanup)
        yield Path(folder.name)
    else:
        with folder:
            yield Path(folder.name)


def _seen(path: Path) -> str | None:
    """Return what tells whether two processes see the same file: a hash, None where there is none."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def with_threads(config: Config, directory: Path) -> Config:
    """Return the config of a run with the threads to go on with: its own, where it had as many processes as now."""
    before = 1
    with suppress(OSError, ValueError, AttributeError):
        before = rundir.read_json(directory / rundir.ENVIRONMENT).get("processes", 1)
    if before == dist.world():
        return config
    return config.model_copy(update={"train": config.train.model_copy(update={"threads": None})})


def opened(directory: Path) -> Run:
    """Return the run when the first process has written all of it; elsewhere a copy of what is needed to use it."""
    if dist.group() is None:
        return Run(directory)
    dist.wait_for_all()
    names = [*_OF_A_RUN, rundir.MODEL, rundir.HISTORY]
    names = dist.from_first([name for name in names if (directory / name).is_file()] if dist.is_first() else [])
    with _copied(directory, names, keeping=True) as here:
        return Run(here)
