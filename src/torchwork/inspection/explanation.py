"""Why one sample is predicted as it is: its pixels, columns or words, and how far each carries the prediction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from torchwork.data.dataset import DatasetSource
from torchwork.data.moving import moved
from torchwork.data.pipelines.tables import Tables
from torchwork.data.pipelines.texts import Texts
from torchwork.data.transform import Pipeline
from torchwork.inspection.attribution import Score, input_gradient, token_gradient
from torchwork.inspection.guard import UnavailableError
from torchwork.inspection.maps import pictured, with_words
from torchwork.tasks import explained
from torchwork.types import Source

_MOST_COLUMNS = 5
_HALF = 0.5
_THIRDS = (("top", "middle", "bottom"), ("left", "centre", "right"))


@dataclass(frozen=True)
class Explanation:
    """What carries the prediction of one sample.

    ``of`` says what was traced back. Of ``picture`` uint8 [H, W, 3] there are ``gradient`` [H, W] and perhaps ``cam``
    [h, w], of a ``signal`` [C, T] [T] and [t]; ``columns`` hold how far each carries the score, and ``words`` are pairs
    of a word and that. ``decisive`` says the most important of it in words, or why there is nothing.
    """

    of: str
    picture: np.ndarray | None = None
    signal: np.ndarray | None = None
    gradient: np.ndarray | None = None
    cam: np.ndarray | None = None
    columns: dict[str, float] = field(default_factory=dict)
    words: list[list[Any]] = field(default_factory=list)
    decisive: str = ""


def explain(
    model: nn.Module, task: Any, pipeline: Pipeline, source: Source, index: int, device: torch.device
) -> Explanation:
    """Trace the prediction of one sample back to its inputs.

    Of pictures, sounds, signals and volumes it is Grad-CAM and the gradient's absolute value; of a table's columns and
    of arrays gradient times input, summed over what the model gets of a column; of texts the gradient times the word's
    vector. The model is left as it was.
    """
    source = source.seeded(0) if isinstance(source, DatasetSource) else source
    prepared = pipeline.prepare(source.read(np.array([index]), epoch=0)[0])
    inputs: Any = pipeline.finish(moved(prepared, device))
    of = explained.said(task)
    try:
        return _traced(model, _score(task), pipeline, prepared, inputs, of)
    except UnavailableError as error:
        return Explanation(of, decisive=f"what it rests on cannot be told: {error}")


def _score(task: Any) -> Score:
    def score(outputs: Tensor) -> Tensor:
        found = explained.explained(task, outputs)
        if found is None:
            raise UnavailableError("the model's output is no one number that could be traced back")
        return found

    return score


def _traced(model: nn.Module, score: Score, pipeline: Pipeline, prepared: Any, inputs: Any, of: str) -> Explanation:
    way = pipeline.way
    if isinstance(way, Texts):
        words = with_words(way, inputs[0].cpu(), token_gradient(model, inputs, score)[0].cpu())
        return Explanation(of, words=words, decisive=_strongest("words", dict(_summed(words)), of))
    if isinstance(inputs, Tensor) and inputs.dim() in (3, 4, 5):
        arrays, told = pictured(model, inputs, score, sounds=pipeline.schema.inputs == "audio")
        first = {name: values[0] for name, values in arrays.items()}
        whole = "signal" if "signal" in first else "picture"
        if told.get("slices"):
            whole = "slice {} of {}".format(*told["slices"][0])
        decisive = _region(first["cam"], f"Grad-CAM of {told['layer']}", whole) if "cam" in first else ""
        return Explanation(of, **first, decisive=decisive or _region(first["gradient"], "the gradient", whole))
    products = (input_gradient(model, inputs, score) * inputs)[0].detach().double().cpu().reshape(-1)
    if isinstance(way, Tables):
        schema = pipeline.schema
        groups = _columns(pipeline, prepared)
        names = [*schema.numbers, *schema.categories]
        columns = {name: float(products[group].sum()) for name, group in zip(names, groups, strict=True)}
    elif inputs.dim() == 2:
        columns = {f"column {place + 1}": value for place, value in enumerate(products.tolist())}
    else:
        raise UnavailableError("the samples are no pictures, signals, volumes, columns or texts")
    return Explanation(of, columns=columns, decisive=_strongest("columns", columns, of))


def _columns(pipeline: Pipeline, prepared: Tensor) -> list[list[int]]:
    """Return which of the model's inputs each column of the table goes into, whatever it is encoded to."""
    levels = pipeline.facts()["levels"]
    numbers = len(pipeline.schema.numbers)
    plain = pipeline.finish(prepared)[0]
    groups = []
    for place in range(prepared.shape[1]):
        many = 1 if place < numbers else len(levels[pipeline.schema.categories[place - numbers]])
        others = prepared.repeat(max(many, 1), 1)
        others[:, place] = others[:, place] + 1 if place < numbers else torch.arange(max(many, 1)).to(others)
        changed = (pipeline.finish(others) != plain).any(0)
        groups.append(torch.nonzero(changed).flatten().tolist())
    return groups


def _summed(words: list[list[Any]]) -> Iterator[tuple[str, float]]:
    totals: dict[str, float] = {}
    for word, weight in words:
        totals[word] = totals.get(word, 0.0) + weight
    yield from totals.items()


def _strongest(what: str, values: dict[str, float], of: str) -> str:
    order = sorted(values, key=lambda name: -abs(values[name]))[:_MOST_COLUMNS]
    sides = {
        "for": [name for name in order if values[name] > 0],
        "against": [name for name in order if values[name] < 0],
    }
    parts = [
        f"{side} it {', '.join(f'{name!r} ({values[name]:+.3g})' for name in names)}"
        for side, names in sides.items()
        if names
    ]
    return f"the {what} that carry {of} most: {'; '.join(parts)}" if parts else f"no {what} carry {of}"


def _region(heat: np.ndarray, whose: str, whole: str) -> str:
    """Say in which places the hottest lie that hold half of all heat, [H, W] or [T]; nothing where there is none."""
    values = np.clip(np.nan_to_num(np.abs(heat.astype(np.float64))), 0, None)
    total = values.sum()
    if not total:
        return ""
    order = np.argsort(-values, axis=None, kind="stable")
    count = int(np.searchsorted(np.cumsum(values.flat[order]), _HALF * total)) + 1
    places = np.unravel_index(order[:count], values.shape)
    middle = [(at.mean() + 0.5) / size for at, size in zip(places, values.shape, strict=True)]
    thirds = (("beginning", "middle", "end"),) if values.ndim == 1 else _THIRDS
    where = " ".join(names[int(3 * at)] for names, at in zip(thirds, middle, strict=True))
    return f"half of {whose} lies in {count / values.size:.0%} of the {whole}, around its {where}"
