"""What a run directory holds, read with patience: a file that is absent or broken becomes a finding, not an error."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from torchwork import rundir
from torchwork.metrics.direction import higher_is_better
from torchwork.report import agreement, ending
from torchwork.report.figures import texts
from torchwork.types import Finding

SPLITS = ("train", "val", "test")
SEVERITIES = ("error", "warning", "info")
_TEXTS = ("multilabel", "sequence")  # their predictions are texts, of which there is nothing to draw


@dataclass(frozen=True)
class Predictions:
    """One split's predictions: N samples, and for numbers k outputs named ``names``."""

    split: str
    ids: list[str]
    target: Any  # classes: a list of N names; numbers: float64 [N, k]
    prediction: Any
    loss: np.ndarray
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Facts:
    """Everything that a report is made from. What is not there is empty, and ``findings`` says so."""

    directory: Path
    config: Mapping[str, Any]
    config_text: str
    environment: Mapping[str, Any]
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    history: Mapping[str, np.ndarray]
    predictions: Mapping[str, Predictions]
    looks: int = 0  # how often test was looked at
    set_aside: list[dict[str, str]] = field(default_factory=list)  # samples that are in no split, and why
    intervals: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by split: n, groups, metrics
    baselines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by split: name, metrics
    undefined: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by split: why a metric has no value
    chosen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # temperature and threshold, found on val
    times: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by split: seconds and samples of evaluation
    layers: list[dict[str, str]] = field(default_factory=list)  # the rows of layers.csv
    run_findings: list[Finding] = field(default_factory=list)  # what the checks found when the run began
    inspected: Mapping[str, Any] = field(default_factory=dict)  # what was looked at after training
    changes: list[Mapping[str, Any]] = field(default_factory=list)  # of the config since the run began
    findings: list[Finding] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end: the metrics are written last, whatever became of them since."""
        return (self.directory / rundir.METRICS).is_file()

    @property
    def ended(self) -> str:
        """Why the run failed or stopped, in its own words; empty where it came to its end or says nothing."""
        return next((finding.message for finding in self.findings if finding.code == "stopped"), "")

    @property
    def shown(self) -> Predictions | None:
        """The predictions that are drawn: those of test, or of val where there is no test."""
        return next((self.predictions[split] for split in ("test", "val", "train") if split in self.predictions), None)

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights were kept, by the monitored column of the history; None where that is not known."""
        train = _mapping(self.config.get("train"))
        column = str(train.get("monitor") or ("val_loss" if "val_loss" in self.history else "train_loss"))
        values = self.history.get(column, np.empty(0))
        if "epoch" not in self.history or not np.isfinite(values).any():
            return None
        row = np.nanargmax(values) if higher_is_better(column) else np.nanargmin(values)
        return int(self.history["epoch"][row])


def read(directory: Path) -> Facts:
    """Read a run directory, finished or not.

    Raises:
        InputError: there is no run directory at that path.
    """
    directory = rundir.existing(directory)
    findings: list[Finding] = []

    def tried(name: str, what: str, reader: Callable[[Path], Any], empty: Any) -> Any:
        path = directory / name
        if not path.is_file():
            findings.append(Finding("missing-file", "warning", name, "is not there", f"the report lacks {what}"))
            return empty
        try:
            return reader(path)
        except (OSError, ValueError, KeyError, csv.Error, yaml.YAMLError) as error:
            message = f"cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
            again = f"; torchwork evaluate {shlex.quote(str(directory))} gives them again"
            lacks = f"the final numbers{again}" if name == rundir.METRICS else what
            findings.append(Finding("broken-file", "warning", name, message, f"the report lacks {lacks}"))
            return empty

    data = tried(rundir.DATA, "the facts about the data", _json_mapping, {})

    def where_there(name: str, what: str, reader: Callable[[Path], Any], empty: Any) -> Any:
        """Read what not every run has, whose absence is no finding."""
        return tried(name, what, reader, empty) if (directory / name).is_file() else empty

    facts = Facts(
        directory=directory,
        config=tried(rundir.CONFIG, "what the config says", _yaml_mapping, {}),
        config_text=tried(rundir.CONFIG, "the config", lambda path: path.read_text(encoding="utf-8"), ""),
        environment=tried(rundir.ENVIRONMENT, "the environment", _json_mapping, {}),
        data=data,
        model=tried(rundir.MODEL_SUMMARY, "the model's layers", _json_mapping, {}),
        metrics=tried(rundir.METRICS, "the final numbers: the run did not come to its end", _sections, {}),
        history=tried(rundir.HISTORY, "the curves", _columns, {}),
        predictions={
            split: found
            for split in _predicted_splits(directory, data)
            if (found := tried(rundir.predictions(split), f"the plots of {split}", _predictions(split, data), None))
        },
        looks=len(where_there(rundir.LOOKS, "how often test was looked at", _dicts, [])),
        set_aside=where_there(rundir.SET_ASIDE, "what was set aside", _dicts, []),
        intervals=where_there(rundir.INTERVALS, "the intervals of the metrics", _sections, {}),
        baselines=where_there(rundir.BASELINES, "the baselines", _sections, {}),
        undefined=where_there(rundir.UNDEFINED, "why some metrics have no value", _sections, {}),
        chosen=where_there(rundir.CHOSEN, "what was chosen on val", _sections, {}),
        times=where_there(rundir.TIMES, "how long the evaluation took", _sections, {}),
        layers=where_there(rundir.LAYERS, "the gradients and updates by layer", _dicts, []),
        run_findings=where_there(rundir.FINDINGS, "what the checks found", _findings, []),
        inspected=where_there(rundir.INSPECTED, "what was looked at after training", _json_mapping, {}),
        changes=where_there(rundir.CHANGES, "what was changed in the config", _mappings, []),
        findings=findings,
    )
    disagreeing = agreement.findings(directory, data, facts.metrics, facts.times)
    stopped = None if facts.finished else ending.reason(directory)
    findings[:] = list(dict.fromkeys([*([stopped] if stopped else []), *findings, *disagreeing]))
    return facts


def _predicted_splits(directory: Path, data: Mapping[str, Any]) -> list[str]:
    """Return the splits that have predictions, and those that should have, of a task whose predictions are drawn."""
    if data.get("task") in _TEXTS:
        return []
    evaluated = data.get("evaluated", ("val", "test"))
    expected = [split for split in ("val", "test") if split in evaluated and split in _mapping(data.get("num_samples"))]
    there = [split for split in SPLITS if (directory / rundir.predictions(split)).is_file()]
    return [split for split in SPLITS if split in expected or split in there]


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses aliases: a run's config has none, and a few lines of them stand for millions."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise ValueError("it holds aliases (*), which a run writes none of")
        return super().compose_node(parent, index)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _json_mapping(path: Path) -> Mapping[str, Any]:
    return _sure(rundir.read_json(path))


def _sections(path: Path) -> dict[str, Mapping[str, Any]]:
    return {name: part for name, part in _json_mapping(path).items() if isinstance(part, Mapping)}


def _dicts(path: Path) -> list[dict[str, str]]:
    """Read a CSV file as one dict a row; rows that a crash cut short are left out."""
    return [row for row in rundir.read_csv(path) if None not in row and None not in row.values()]


def _findings(path: Path) -> list[Finding]:
    content = rundir.read_json(path)
    if not isinstance(content, list):
        raise ValueError("it holds no list")
    known = [item for item in content if isinstance(item, Mapping) and item.get("severity") in SEVERITIES]
    names = ("code", "severity", "where", "message", "fix")
    return [Finding(*(str(item.get(name, "")) for name in names)) for item in known]  # type: ignore[arg-type]


def _mappings(path: Path) -> list[Mapping[str, Any]]:
    content = rundir.read_json(path)
    if not isinstance(content, list):
        raise ValueError("it holds no list")
    return [item for item in content if isinstance(item, Mapping)]


def _yaml_mapping(path: Path) -> Mapping[str, Any]:
    try:
        return _sure(yaml.load(path.read_text(encoding="utf-8"), _Loader))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _sure(content: Any) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise ValueError("it holds no mapping")
    return content


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Read a CSV file; a last line that a crash cut short is left out."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        rows = [row for row in reader if len(row) == len(header)]
    if not rows:
        raise ValueError("it holds no rows")
    return header, rows


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _columns(path: Path) -> dict[str, np.ndarray]:
    header, rows = _rows(path)
    return {name: np.array([_number(row[place]) for row in rows]) for place, name in enumerate(header)}


def _predictions(split: str, data: Mapping[str, Any]) -> Callable[[Path], Predictions]:
    def reader(path: Path) -> Predictions:
        header, rows = _rows(path)
        place = {name: number for number, name in reversed(list(enumerate(header)))}
        absent = [name for name in agreement.lacking(header, data) if not name.startswith("score_")]
        if absent:
            raise ValueError(f"it has no column {', '.join(absent)}; it has {', '.join(header[:8])}")
        ids = [row[place["id"]] for row in rows]
        loss = (
            np.array([_number(row[place["loss"]]) for row in rows]) if "loss" in place else np.full(len(rows), np.nan)
        )
        if "target" in place and _is_class(header, rows, data):
            classes = ([row[place[name]] for row in rows] for name in ("target", "prediction"))
            return Predictions(split, ids, next(classes), next(classes), loss)
        names = tuple(n.removeprefix("target_") for n in header if n == "target" or n.startswith("target_"))
        suffixes = [""] if "target" in place else [f"_{name}" for name in names]
        target, prediction = (
            np.array([[_number(row[place[kind + suffix]]) for suffix in suffixes] for row in rows])
            for kind in ("target", "prediction")
        )
        said = tuple(texts(data.get("target_names")))
        return Predictions(split, ids, target, prediction, loss, said if len(said) == len(suffixes) else names)

    return reader


def _is_class(header: list[str], rows: list[list[str]], data: Mapping[str, Any]) -> bool:
    if data.get("target") in ("class", "number"):
        return data["target"] == "class"
    column = header.index("target")
    return any(name.startswith("score_") for name in header) or any(np.isnan(_number(row[column])) for row in rows)
