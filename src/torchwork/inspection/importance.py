"""How much worse a model does where one column of a table tells nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork import rng
from torchwork.data.moving import moved
from torchwork.inspection.guard import UnavailableError, untouched
from torchwork.inspection.subject import Subject
from torchwork.types import Batch

MOST_ROWS = 500
MOST_COLUMNS = 200
REPEATS = 3


def importance(subject: Subject) -> dict[str, Any]:
    """Return the permutation importance of each column on val, or test where there is no val.

    It is the mean loss with the column's cells shuffled among the rows, less that with the column as it is, for each of
    three fixed orders. A column of categories is shuffled as a whole, whatever it is encoded to.

    Returns:
        ``split``, ``n``, ``loss`` as it is, ``columns`` (names) and ``rise``, for each column the three differences.

    Raises:
        UnavailableError: the samples are no rows of columns, there are too many columns, or the rows are pairs.

    Source: Breiman: "Random forests", 2001; Fisher, Rudin, Dominici: "All models are wrong, but many are useful", 2019.
    """
    if getattr(subject.task, "companions", None) is not None:
        raise UnavailableError("the loss is that of pairs, no single rows")
    if subject.source.schema.inputs not in ("table", "array"):
        raise UnavailableError("the samples are no rows of columns")
    split = next((split for split in ("val", "test") if split in subject.splits), None)
    if split is None or not len(subject.splits[split]):
        raise UnavailableError("there is neither val nor test")
    ids = subject.splits[split]
    count = min(len(ids), MOST_ROWS)
    ids = ids[np.unique(np.linspace(0, len(ids) - 1, count).round().astype(np.int64))]
    batch = subject.batch(ids, targets=True)
    names, shuffled = _columns(subject, ids, batch)
    if len(names) > MOST_COLUMNS:
        raise UnavailableError(f"{len(names)} columns are too many to shuffle each")
    with untouched(subject.model), torch.no_grad():
        plain = _loss(subject, batch)
        rise = [
            [_loss(subject, batch._replace(inputs=inputs)) - plain for inputs in shuffled(place)]
            for place in range(len(names))
        ]
    return {
        "split": split,
        "n": len(ids),
        "of": len(subject.splits[split]),
        "loss": plain,
        "columns": names,
        "rise": rise,
    }


def _columns(subject: Subject, ids: np.ndarray, batch: Batch) -> tuple[list[str], Callable[[int], Iterator[Tensor]]]:
    """Return the columns' names, and what gives the inputs with one of them shuffled in each of the orders."""
    schema = subject.source.schema
    if schema.inputs == "table":
        raw, _ = subject.source.read(ids, epoch=0)
        numbers = len(schema.numbers)

        def of_table(place: int) -> Iterator[Tensor]:
            for order in _orders(len(ids), subject.seed, place):
                changed = {
                    key: value.copy() if isinstance(value, np.ndarray) else value.clone() for key, value in raw.items()
                }
                key, column = ("numbers", place) if place < numbers else ("categories", place - numbers)
                changed[key][:, column] = raw[key][order, column]
                yield subject.pipeline.finish(moved(subject.pipeline.prepare(changed), subject.device))

        return [*schema.numbers, *schema.categories], of_table
    inputs = batch.inputs
    if not isinstance(inputs, Tensor) or inputs.dim() != 2 or not inputs.is_floating_point():
        raise UnavailableError("the samples are no rows of columns")

    def of_array(place: int) -> Iterator[Tensor]:
        for order in _orders(len(ids), subject.seed, place):
            changed = inputs.clone()
            changed[:, place] = inputs[torch.from_numpy(order).to(inputs.device), place]
            yield changed

    return [f"column {place}" for place in range(inputs.shape[1])], of_array


def _orders(count: int, seed: int, column: int) -> Iterator[np.ndarray]:
    for repeat in range(REPEATS):
        yield rng.permutation(count, seed, "importance", column * REPEATS + repeat)


def _loss(subject: Subject, batch: Batch) -> float:
    _, _, values, weights = subject.task.evaluate_batch(subject.model, batch)
    total = float(weights.double().sum())
    return float(values.double().sum()) / total if total else 0.0
