"""Whether the predictions of a run are whole, and whether they and its metrics are of the same samples."""

from __future__ import annotations

import csv
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from torchwork import rundir
from torchwork.metrics.table import Columns, numbers, outputs_beside, read_columns
from torchwork.report.figures import figure, number, texts
from torchwork.types import Finding

_Sections = Mapping[str, Mapping[str, Any]]
_CLASSES = (None, "classification", "binary")
_TOLERANCE = 1e-6  # of an accuracy that was written as a decimal number


def findings(directory: Path, data: Mapping[str, Any], metrics: _Sections, times: _Sections) -> list[Finding]:
    """Return what is wrong with the predictions of each split of a run, by themselves and beside its metrics.

    ``data``, ``metrics`` and ``times`` are what the files of these names hold, empty where they cannot be read.
    """
    found = []
    for split in ("train", "val", "test"):
        path = directory / rundir.predictions(split)
        try:
            columns = read_columns(path)
        except (OSError, ValueError, csv.Error):  # what cannot be read at all is said elsewhere
            continue
        if columns.get("id"):
            found += [*_of_cells(path.name, columns, data), *_of_outputs(path, columns, data)]
            if metrics.get(split):
                evaluated = number(times.get(split, {}).get("samples"))
                found += _of_metrics(path, columns, data, metrics[split], evaluated)
    return found


def lacking(header: Sequence[str], data: Mapping[str, Any]) -> list[str]:
    """Return the columns that a table of predictions should have beside those that are in its header.

    >>> lacking(["id", "target", "score_a"], {"classes": ["a", "b"], "target": "class"})
    ['prediction', 'score_b']
    """
    classes, targets = (texts(data.get(key)) for key in ("classes", "target_names"))
    expected, scored = ["id"], any(name.startswith("score_") for name in header)
    if data.get("task") == "multilabel":
        kinds = ("target", "score") if scored else ()
        expected += [f"{kind}_{name}" for kind in kinds for name in targets] or ["target", "prediction"]
    else:
        several = "target" not in header and any(name.startswith("target_") for name in header)
        names = [name.removeprefix("target_") for name in header if name.startswith("target_")] if several else []
        expected += [f"{kind}_{name}" for name in names for kind in ("target", "prediction")] or [
            "target",
            "prediction",
        ]
        if scored and data.get("target") != "number":
            expected += [f"score_{name}" for name in classes or targets]
    return [name for name in dict.fromkeys(expected) if name not in header]


def _of_cells(name: str, columns: Columns, data: Mapping[str, Any]) -> list[Finding]:
    """Return what the table lacks, and how many of its rows hold cells that should be numbers and are none."""
    absent = [c for c in lacking(list(columns), data) if c.startswith("score_") or data.get("task") == "multilabel"]
    found = []
    if absent:
        listed = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
        message = f"has no column {listed}; it has {', '.join(list(columns)[:8])}"
        found.append(Finding("missing-column", "warning", name, message, "the report lacks what is drawn of it"))
    of_numbers = data.get("target") == "number" and data.get("task") not in ("multilabel", "embedding", "sequence")
    kinds = ("target", "prediction") if of_numbers else ("score",)
    measured = [c for c in columns if c.startswith(tuple(f"{kind}_" for kind in kinds)) or (of_numbers and c in kinds)]
    if not measured:
        return found
    wrong = int((~np.isfinite(numbers(columns, measured)).all(1)).sum())
    if wrong:
        rows = len(columns["id"])
        what = "values" if of_numbers else "scores"
        message = f"{figure(wrong)} of {figure(rows)} rows have {what} that are no numbers"
        found.append(Finding("no-numbers", "warning", name, message, "the plots leave them out"))
    return found


def _of_outputs(path: Path, columns: Columns, data: Mapping[str, Any]) -> list[Finding]:
    """Return how many rows have scores that are no numbers, where these stand in an array and not in the table."""
    if data.get("task") not in (*_CLASSES, "multilabel") or any(name.startswith("score_") for name in columns):
        return []
    try:
        output = outputs_beside(path)["output"]
        wrong = int((~np.isfinite(output).reshape(len(output), -1).all(1)).sum())
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):  # that it cannot be read is said elsewhere
        return []
    if not wrong:
        return []
    message = f"{figure(wrong)} of {figure(len(output))} rows have scores that are no numbers"
    return [Finding("no-numbers", "warning", path.name, message, "the plots leave them out")]


def _of_metrics(
    path: Path, columns: Columns, data: Mapping[str, Any], metrics: Mapping[str, Any], evaluated: float | None
) -> list[Finding]:
    """Return where metrics.json is of another number of samples, or of another accuracy, than the predictions."""
    name, split, rows = path.name, path.stem.removeprefix("predictions-"), len(columns["id"])
    if evaluated is None and data.get("task") not in ("embedding", "ranking"):  # of pairs a row is no sample
        sizes = data.get("num_samples")
        evaluated = number(sizes.get(split)) if isinstance(sizes, Mapping) else None
    fix = f"evaluate again: torchwork evaluate {shlex.quote(str(path.parent))}"
    if evaluated is not None and int(evaluated) != rows:
        message = f"is of {figure(int(evaluated))} samples of {split}, {name} holds {figure(rows)}"
        return [Finding("disagreement", "warning", rundir.METRICS, message, fix)]
    said = number(metrics.get("accuracy"))
    if said is None or data.get("task") not in _CLASSES or not {"target", "prediction"} <= set(columns):
        return []
    right = sum(map(str.__eq__, columns["target"], columns["prediction"])) / rows
    if abs(right - said) <= _TOLERANCE:
        return []
    message = f"says accuracy {figure(said)} on {split}, {name} gives {figure(right)}"
    return [Finding("disagreement", "warning", rundir.METRICS, message, fix)]
