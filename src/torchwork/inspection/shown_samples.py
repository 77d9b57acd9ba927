"""The most wrong and the least certain samples of a split, with something to look at for each."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from torchwork import rundir
from torchwork.data.dataset import DatasetSource
from torchwork.inspection import thumbnails
from torchwork.inspection.judged import Judged
from torchwork.inspection.subject import Subject

MOST = 12


def shown_samples(subject: Subject) -> dict[str, Any]:
    """Return the worst and the least certain samples of the split that is looked at.

    Returns:
        ``split``, its number of samples ``n``, how many of them are ``wrong`` (None where predictions are not right or
        wrong but more or less off), and as ``most_wrong`` and ``least_certain`` samples with ``id``,
        ``name``, ``target``, ``prediction``, ``certainty`` (None where nobody knows), ``loss``, and one of ``picture``
        (a file below the run directory), ``words``, ``columns`` (pairs), ``numbers`` or ``reason``, why there is none.
        The most wrong ones are those alone whose prediction is wrong, where there is a right and a wrong. The least
        certain are left out of the list where they are among the most wrong ones.

    Raises:
        UnavailableError: there are no samples.
    """
    judged = subject.judged
    worst = judged.worst(MOST)
    if judged.wrong is not None:
        worst = worst[judged.wrong[worst]]
    doubtful = [place for place in judged.least_certain(2 * MOST).tolist() if place not in set(worst.tolist())]
    lists = {"most_wrong": worst.tolist(), "least_certain": doubtful[:MOST]}
    return {
        "split": judged.split,
        "n": len(judged.ids),
        "is_class": judged.is_class,
        "wrong": None if judged.wrong is None else int(judged.wrong.sum()),
        **{name: [described(subject, judged, place) for place in places] for name, places in lists.items()},
    }


def described(subject: Subject, judged: Judged, place: int) -> dict[str, Any]:
    """Return what there is to say about one sample, and something to look at."""
    index = int(judged.ids[place])
    try:
        shown = looked_at(subject, index, f"{judged.split}-{index}")
    except Exception as error:  # a file that is gone, a user's data set that fails: the others are still shown
        shown = {"reason": f"cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}"}
    return {**subject.told(place), **shown}


def looked_at(subject: Subject, index: int, name: str) -> dict[str, Any]:
    """Return a sample as something to look at; a picture becomes the file ``samples/<name>.png`` or ``.jpg``."""
    kind = subject.source.schema.inputs
    if kind == "audio":  # low tones below
        inputs: Any = subject.batch([index]).inputs
        return _as_picture(subject, inputs[0].flip(1), name)
    source = subject.source
    source = source.seeded(subject.seed) if isinstance(source, DatasetSource) else source
    raw, _ = source.read(np.array([index]), epoch=0)
    if kind == "text":
        return {"words": thumbnails.words(raw[0])}
    if kind == "table":
        schema = source.schema
        values = [*np.asarray(raw["numbers"])[0].tolist(), *raw["categories"][0].tolist()]
        return {"columns": thumbnails.cells([*schema.numbers, *schema.categories], values)}
    if isinstance(raw, dict):
        return {"numbers": "; ".join(f"{key} {thumbnails.numbers(part[0])}" for key, part in raw.items())}
    return _as_picture(subject, raw[0], name)


def _as_picture(subject: Subject, sample: Tensor, name: str) -> dict[str, Any]:
    made = thumbnails.picture(sample)
    if made is None:
        return {"numbers": thumbnails.numbers(sample)}
    ending, content = made
    path = f"{rundir.SAMPLES}/{name}.{ending}"
    subject.files[path] = content
    return {"picture": path}
