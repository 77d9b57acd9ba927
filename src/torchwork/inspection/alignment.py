"""How a model of sequences reads a sample: the probability of each symbol at each step."""

from __future__ import annotations

from typing import Any

import numpy as np

from torchwork import rundir
from torchwork.inspection.guard import UnavailableError
from torchwork.inspection.subject import Subject
from torchwork.tasks.sequence import Sequence


def alignments(subject: Subject) -> dict[str, Any]:
    """Return the outputs of two samples of a sequence task, the most wrong and the one that came out best.

    Returns:
        ``file``, an npz with ``probabilities`` float32 [N, T, K + 1]; ``symbols``, the names of the K + 1 with the
        blank's empty; ``blank``, its place; and ``samples`` as `Subject.told` tells of them.

    Raises:
        UnavailableError: the task is another.
    """
    task = subject.task
    if not isinstance(task, Sequence):
        raise UnavailableError("the targets are no sequences")
    judged = subject.judged
    places = list(dict.fromkeys([*judged.worst(1).tolist(), *judged.best(1).tolist()]))
    with np.load(subject.directory / rundir.ARRAYS / f"outputs-{judged.split}.npz") as arrays:
        outputs = arrays["output"][judged.rows[places]]
    probabilities = np.exp(np.asarray(outputs, np.float64)).astype(np.float32)
    names = [str(place) for place in range(task.num_outputs)] if task.raw else list(task.symbols)
    if task.raw:
        names[task.blank] = ""
    else:
        names.insert(task.blank, "")
    samples = [subject.told(place) for place in places]
    file = subject.keep("alignments", {"probabilities": probabilities})
    return {"file": file, "split": judged.split, "symbols": names, "blank": task.blank, "samples": samples}
