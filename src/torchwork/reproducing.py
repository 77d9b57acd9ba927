"""Training a run again, and saying whether the same came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchwork import assembly, beginning, config, course, environment, run_split, rundir
from torchwork.progress.choice import chosen
from torchwork.progress.outlook import Progress
from torchwork.report import equality
from torchwork.report.equality import Difference
from torchwork.runlog import RunLog
from torchwork.training import device as devices
from torchwork.types import Finding, InputError


@dataclass(frozen=True)
class Reproduction:
    """What came of training a run again.

    Attributes:
        path: The new run.
        equal: Whether it is the old one, bit for bit.
        difference: Where they first differ; None where they are equal.
        compared: What was compared and is equal.
        environment: What of machine, versions and code is not as it was then: key, value then, value now.
    """

    path: Path
    equal: bool
    difference: str | None
    compared: list[str]
    environment: list[tuple[str, str, str]]


def reproduce(
    path: str | Path, *, out: str | Path | None = None, progress: Progress | bool | None = None
) -> Reproduction:
    """Train a run again in a new directory, from its config, its split and its choices, and compare the two.

    History, checkpoints that both kept, weights, predictions and metrics are compared bit for bit; times are not.
    Loggers are left out.

    Args:
        path: The run, which has come to its end.
        out: The new run's directory; by default the next number in ``<run>-reproduced``, beside the run.
        progress: As for `torchwork.train`. Told before training what is not as it was then.

    Raises:
        InputError: no run, one that is not complete or whose config was changed on its way, or its data are no longer
            what they were.
        RunError, Interrupted: as `torchwork.train`.
    """
    directory = rundir.existing(path)
    _check(directory)
    settings = config.load(directory / rundir.CONFIG).model_copy(update={"log": []})
    shown = chosen(progress)
    with devices.using_threads(settings.train.threads or 1):
        parts = assembly.assemble(run_split.as_begun(settings, directory), pretrained=True)
        try:
            run_split.check_same(parts.data.source, directory, numbered=True)
            now = environment.describe(parts.device, settings.train.threads or 1)
            place = Path(out) if out is not None else None
            beside = directory if directory.name not in ("", "..") else directory.resolve()
            again = rundir.create(place, f"{beside.name}-reproduced", beside.parent)
            with rundir.locked(again):
                log = RunLog(again, shown)
                log.tell(f"training {directory} again")
                differing = _differing(directory, now)
                for key, then, here in differing:
                    log.tell(f"note: {key} was {then} and is {here} now")
                beginning.write_beginning(parts, again, of=directory)
                course.run_through(parts, log, "reproduce")
                found = equality.compare(directory, again)
                difference = _said(found.difference) if found.difference is not None else None
                log.note(f"differs from {directory} first at {difference}" if difference else f"equal to {directory}")
        finally:
            parts.data.close()
    return Reproduction(again, difference is None, difference, found.compared, differing)


def _said(found: Difference) -> str:
    return f"{found.where}: {found.first} then, {found.second} now"


def _check(directory: Path) -> None:
    """Refuse a run that cannot be trained again from its config alone, or not compared."""
    findings = []
    if not rundir.is_complete(directory):
        fix = f"let it come to its end first: torchwork resume {directory}"
        findings.append(Finding("not-complete", "error", str(directory), "the run is not complete", fix))
    for entry in rundir.read_changes(directory):
        if not entry["harmless"]:
            what = ", ".join(f"{change['key']} {change['old']} → {change['new']}" for change in entry["changes"])
            message = f"its config was changed after step {entry['step']}: {what}"
            fix = "no config from the start gives this run"
            findings.append(Finding("changed-config", "error", str(directory), message, fix))
    if findings:
        raise InputError(findings)


def _differing(directory: Path, now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what was otherwise when the run was made, also where it was resumed."""
    try:
        then = rundir.read_json(directory / rundir.ENVIRONMENT)
    except (OSError, ValueError):
        return [("environment", f"not on record ({rundir.ENVIRONMENT} cannot be read)", "known")]
    found = environment.differences(then, now)
    for each in then.get("resumed", []):
        for key, (_, value) in each.get("differs", {}).items():
            found.append((f"{key} from step {each['step']} on", value, dict(rundir.flat(now)).get(key, "nothing")))
    return found
