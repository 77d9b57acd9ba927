"""Predictions of a run explained: what carries each, drawn as a file a sample."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torchwork import durable
from torchwork.loaded import Run
from torchwork.report.plots import svg
from torchwork.report.plots.explained import explanation
from torchwork.training import device as devices
from torchwork.types import Finding, InputError
from torchwork.use.samples import open_samples

MOST = 20


class Explained(NamedTuple):
    """One explained sample: its name, what is decisive in words, and the file with the drawing."""

    name: str
    decisive: str
    path: Path


def explain(run: Run, inputs: Any, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Explained]:
    """Explain predictions, and draw each as ``explain-<name>.svg`` in a folder.

    Args:
        run: Its model predicts.
        inputs: The samples, as `Run.predict` takes them.
        rows: What `Run.predict` gave for them.
        folder: Where the files go; files of the same names are written over.

    Raises:
        InputError: more than 20 samples, or the folder cannot be written.
    """
    if len(rows) > MOST:
        fix = "name fewer samples, or leave --explain out"
        raise InputError(Finding("too-many", "error", "--explain", f"{len(rows)} samples; at most {MOST}", fix))
    from torchwork.inspection.explanation import explain as traced

    source = open_samples(inputs, run.data, dict(run.config.data.source))
    found, taken = [], set()
    with devices.using_threads(run.config.train.threads or devices.default_threads()):
        for index, row in enumerate(rows):
            why = traced(run.model, run.task, run.pipeline, source, index, run.device)
            name = _file_name(row["name"])
            number = 1
            while (stem := f"explain-{name}" + (f"-{number}" if number > 1 else "")) in taken:
                number += 1
            taken.add(stem)
            figure = explanation(
                f"{row['name']}\npredicted: {_said(row)}",
                scores=row.get("scores"),
                picture=why.picture,
                signal=why.signal,
                gradient=why.gradient,
                cam=why.cam,
                columns=why.columns,
                weights=why.words,
                decisive=why.decisive,
            )
            path = folder / f"{stem}.svg"
            try:
                durable.write_file(path, svg.text(figure, stem))
            except OSError as error:
                message = f"cannot write {path}: {error.strerror}"
                raise InputError(
                    Finding("out-unwritable", "error", "--out", message, "choose another folder")
                ) from error
            found.append(Explained(row["name"], why.decisive, path))
    return found


def _said(row: Mapping[str, Any]) -> str:
    prediction = row["prediction"]
    if isinstance(prediction, Mapping):
        shown = list(prediction.items())[:4]
        return ", ".join(f"{name} {_said({'prediction': value})}" for name, value in shown)
    said = f"{prediction:.4g}" if isinstance(prediction, float) else str(prediction)
    return f"{said} ({row['probability']:.1%})" if "probability" in row else said


def _file_name(name: str) -> str:
    """Return a sample's name as part of a file's: without folders and endings, and of letters that every disk takes.

    >>> _file_name("photos/my cat.jpg"), _file_name("rows.csv sample 3"), _file_name("///")
    ('my-cat', 'rows.csv-sample-3', 'sample')
    """
    last = name.rstrip("/").split("/")[-1]
    last = re.sub(r"\.(jpe?g|png|gif|webp|tiff?|bmp|wav|flac|ogg|csv|tsv|txt)$", "", last, flags=re.IGNORECASE)
    return re.sub(r"[^\w.-]+", "-", last).strip("-.")[:60] or "sample"
