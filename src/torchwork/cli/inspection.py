"""What ``torchwork inspect`` does: look at all samples of a data set, print what is found, and write a page of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from torchwork import durable
from torchwork.cli import layout
from torchwork.cli.look import look
from torchwork.config import Config, load
from torchwork.data.audit import leniently, told
from torchwork.data.audit.records import Audit, Seen
from torchwork.data.audit.whole import Progress, audit, samples_of
from torchwork.report import inspection
from torchwork.run_data import open_data
from torchwork.training import device as devices
from torchwork.types import Finding, InputError, Source, printable

_CONFIGS = (".yaml", ".yml", ".toml", ".json")


@dataclass
class Opened:
    """What there is to look at, and what was found on the way there."""

    source: Source | None
    splits: dict[str, np.ndarray] | None = None
    findings: list[Finding] = field(default_factory=list)
    allowed: set[str] | None = field(default_factory=set)  # places in the config that forbid nothing; None: all do


def inspect(path: Path, overrides: Sequence[str], out: Path, as_json: bool) -> bool:
    """Look at data and say what is found; return whether training on them would be refused.

    Args:
        path: Data, or a config that names them.
        overrides: Changes to the config.
        out: Where to write the page.
        as_json: Print JSON in place of text.

    Raises:
        InputError: there is nothing to look at, the config is wrong, or the page cannot be written there.
    """
    durable.check_output(out)
    if path.suffix.lower() in _CONFIGS and path.is_file():
        opened = _of_config(load(path, overrides))
    elif overrides:
        message = f"{path} is no config, so that {overrides[0]} changes nothing"
        raise InputError(Finding("no-config", "error", str(path), message, "give a YAML, TOML or JSON file"))
    else:
        opened = _of_path(path)
    if opened.source is None and not opened.findings:
        raise InputError(Finding("no-data", "error", str(path), "holds nothing to look at"))
    found = _audited(opened)
    samples = None if opened.source is None else samples_of(opened.source, opened.splits or opened.source.given)
    page = inspection.render(told.page(found, opened.source, samples), str(path))
    with durable.output(out):
        durable.write_file(out, page)
    if as_json:
        print(json.dumps(told.whole(found, samples), indent=2, ensure_ascii=False))
    else:
        _print(found, out)
    return any(finding.severity == "error" for finding in found.findings)


def _of_config(config: Config) -> Opened:
    """Open what a config names as a run does, to the first batch; where it refuses, look at what lies there."""
    source, findings = leniently.opened(config.data.source)
    # the batch size says nothing of the data, and no teacher need be asked
    wanted = config.data.model_copy(update={"num_workers": 0, "batch_size": 1, "target": None})
    try:
        with devices.using_threads(config.train.threads or 1):
            data, _ = open_data(config.model_copy(update={"data": wanted}), torch.device("cpu"))
    except InputError as error:
        clean = config.data.clean.model_dump()
        allowed = {f"data.clean.{key}" for key, policy in clean.items() if policy not in ("error", None)}
        if clean["duplicates"] in ("keep_first", "ignore"):
            allowed.add("data.split")
        return Opened(source, None, [*findings, *error.findings], allowed)
    data.close()
    # copies on two sides are told with the samples
    findings += [finding for finding in data.shared.findings if finding.code != "leak"]
    return Opened(data.source, data.splits, findings, None)


def _of_path(path: Path) -> Opened:
    """Open what lies at a path, as ``torchwork init`` does; of a folder that it cannot make out, all images."""
    try:
        found = look(path)
    except InputError as error:
        source = leniently.unlabelled(path) if path.is_dir() else None
        if source is None:
            raise
        return Opened(source, None, error.findings)
    spec = found.source
    if found.mixed:  # left out of a guessed config, and to be told all the same
        spec = {**spec, "columns": [*spec["columns"], *found.mixed], "categories": found.mixed}
    source, findings = leniently.opened(spec)
    return Opened(source, None, findings)


def _audited(opened: Opened) -> Audit:
    refused = [Seen(finding) for finding in dict.fromkeys(opened.findings)]
    if opened.source is None:
        return Audit([one.finding for one in refused], refused, 0, "array")
    with _progress() as progress:
        found = audit(opened.source, opened.splits, progress)
    known = {finding.code for finding in opened.findings}
    # what a source refuses it tells with its place; the audit need not repeat it
    looked = [_judged(one, opened.allowed) for one in found.seen if one.finding.code not in known or one.groups]
    errors = [one.finding for one in looked if one.finding.severity == "error"]
    # what a run refuses about samples is told with these
    seen = [*(one for one in refused if not any(_is_of(one.finding, error) for error in errors)), *looked]
    seen.sort(key=lambda one: ("error", "warning", "info").index(one.finding.severity))
    return Audit(**{**vars(found), "findings": [one.finding for one in seen], "seen": seen})


def _judged(one: Seen, allowed: set[str] | None) -> Seen:
    """Return a finding of the audit as a warning where a run allows what it is about."""
    if one.finding.severity == "error" and (allowed is None or one.finding.where in allowed):
        return one._replace(finding=replace(one.finding, severity="warning"))
    return one


def _is_of(refused: Finding, error: Finding) -> bool:
    """Tell whether a run refuses for what an error of the audit is about."""
    if refused.code == "leak":
        return error.code == "duplicates-across-splits"
    return refused.where == error.where and refused.where.startswith("data.clean.")


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """Give what draws a bar on a terminal, on standard error; elsewhere nothing is drawn."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: tuple[Any, ...] = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield show


def _print(found: Audit, out: Path) -> None:
    sizes = "".join(f", {part} {count:,}" for part, count in found.splits.items())
    classes = len({label for part in found.counts.values() for label in part})
    said = f" of {classes:,} class{'' if classes == 1 else 'es'}" if classes else ""
    print(f"{found.num_samples:,} {inspection.kind_of(found.inputs, found.num_samples)}{said}{sizes}")
    if found.findings:
        layout.title(inspection.summary([{"severity": finding.severity} for finding in found.findings]))
    for finding in found.findings:
        print(printable(f"{finding.severity}: {finding.code}: {finding.message}"))
        if finding.fix:
            print(printable(f"    {finding.fix}"))
    print(f"\n{out}" if found.findings else f"nothing is to be said against them\n\n{out}")
