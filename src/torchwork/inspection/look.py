"""Everything that is looked at after training, written into the run directory for the report to draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from torchwork import durable, rundir
from torchwork.inspection import kernels as kernel_weights
from torchwork.inspection.activity import activity
from torchwork.inspection.alignment import alignments
from torchwork.inspection.embedding import embedding
from torchwork.inspection.feature_maps import feature_maps
from torchwork.inspection.guard import UnavailableError, untouched
from torchwork.inspection.importance import importance
from torchwork.inspection.maps import maps
from torchwork.inspection.shown_samples import shown_samples
from torchwork.inspection.subject import Subject
from torchwork.types import RunError

_ACTIVE = 64  # samples whose activations are measured


def look(subject: Subject) -> dict[str, Any]:
    """Look at a trained model and its data; write ``inspected.json``, ``samples/`` and ``arrays/``, and return it all.

    Weights, buffers, modes and generators are left as they were. What a model or its data cannot give is left out, and
    ``left_out`` says why for each part: ``reason``, and as ``failed`` whether that is a mistake in something and no
    matter of course. How many samples are taken follows from the model's size by a fixed rule.

    Raises:
        RunError: the disk does not take the files.
    """
    found: dict[str, Any] = {}
    left_out: dict[str, dict[str, Any]] = {}
    for name, part in PARTS.items():
        try:
            with untouched(subject.model):
                found[name] = part(subject)
        except UnavailableError as error:
            left_out[name] = {"reason": str(error), "failed": False}
        except Exception as error:  # a user's model or data may fail in any way, and the run is done
            first = (str(error).splitlines() or [""])[0]
            left_out[name] = {"reason": f"{type(error).__name__}: {first}".removesuffix(": "), "failed": True}
    content = {**found, "left_out": left_out}
    try:
        for path, data in subject.files.items():
            durable.write_file(subject.directory / path, data)
        rundir.write_json(subject.directory / rundir.INSPECTED, content)
    except OSError as error:
        raise RunError(f"cannot write what was inspected to {subject.directory}: {error}") from error
    return content


def _kernels(subject: Subject) -> dict[str, Any]:
    rows, arrays = kernel_weights.kernels(subject.model)
    keyed = {f"layer{number}": arrays[row["layer"]] for number, row in enumerate(rows)}
    layers = [{**row, "key": f"layer{number}"} for number, row in enumerate(rows)]
    return {
        "file": subject.keep("kernels", keyed),
        "layers": layers,
        "of": len(kernel_weights.convolutions(subject.model)),
    }


def _activations(subject: Subject) -> dict[str, Any]:
    ids = subject.splits[subject.split]
    ids = ids[np.unique(np.linspace(0, len(ids) - 1, subject.at_most(min(_ACTIVE, len(ids)))).round().astype(np.int64))]
    rows = activity(subject.model, subject.batch(ids).inputs)
    return {"split": subject.split, "n": len(ids), "layers": [row._asdict() for row in rows]}


PARTS: dict[str, Callable[[Subject], dict[str, Any]]] = {
    "kernels": _kernels,
    "samples": shown_samples,
    "maps": maps,
    "feature_maps": feature_maps,
    "activations": _activations,
    "embedding": embedding,
    "importance": importance,
    "alignments": alignments,
}
