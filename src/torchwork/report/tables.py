"""The tables of a report, as rows of plain values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torchwork.report.facts import Facts, Predictions

MOST_ROWS = 200
_OF_A_CLASS = ("precision/", "recall/", "f1/", "support/")


class ClassRow(NamedTuple):
    """How one class fared. What is divided by nothing is None: the precision of a class that was never predicted."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


class Confusion(NamedTuple):
    """A mistake and how often it was made."""

    target: str
    prediction: str
    times: int
    share: float  # of the samples of the true class


def classes(facts: Facts, predictions: Predictions) -> list[str]:
    """Return the class names in the run's own order, and after them those that only the predictions know."""
    known = [str(name) for name in facts.data.get("classes") or ()]
    return list(dict.fromkeys([*known, *sorted({*predictions.target, *predictions.prediction} - set(known))]))


def class_rows(predictions: Predictions, names: Sequence[str]) -> list[ClassRow]:
    """Return precision, recall, F1 and support of each class that occurs, the classes in the given order.

    Precision is the share of right ones among those predicted as the class, recall the share found of those that are
    of it, and F1 = 2·right / (support + predicted) is their harmonic mean.
    """
    support, predicted = Counter(predictions.target), Counter(predictions.prediction)
    right = Counter(t for t, p in zip(predictions.target, predictions.prediction, strict=True) if t == p)
    return [
        ClassRow(
            name,
            right[name] / predicted[name] if predicted[name] else None,
            right[name] / support[name] if support[name] else None,
            2 * right[name] / (support[name] + predicted[name]),
            support[name],
        )
        for name in names
        if support[name] or predicted[name]
    ]


def confusions(predictions: Predictions, most: int = 10) -> list[Confusion]:
    """Return the most frequent mistakes, the most frequent first."""
    support = Counter(predictions.target)
    pairs = Counter((t, p) for t, p in zip(predictions.target, predictions.prediction, strict=True) if t != p)
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [Confusion(target, prediction, n, n / support[target]) for (target, prediction), n in ranked]


def metrics(facts: Facts) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the splits, and for each metric its name and its value on each split; those of one class stand apart."""
    splits = list(facts.metrics)
    names = list(dict.fromkeys(n for split in splits for n in facts.metrics[split] if not n.startswith(_OF_A_CLASS)))
    return splits, [(name, [figure(facts.metrics[split].get(name)) for split in splits]) for name in names]


def class_counts(facts: Facts) -> tuple[list[str], list[tuple[str, list[int]]]]:
    """Return the splits, and for each class its name and how many samples of it each split holds."""
    counts = facts.data.get("class_counts") or {}
    splits = [split for split in counts if isinstance(counts[split], Mapping)]
    names = [str(name) for name in facts.data.get("classes") or ()]
    names = list(dict.fromkeys([*names, *(name for split in splits for name in counts[split])]))
    return splits, [(name, [int(counts[split].get(name, 0)) for split in splits]) for name in names] if splits else []


def flat(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return a nested mapping as pairs of a dotted name and a text.

    >>> flat({"a": {"b": 1}, "c": [1, 2], "d": None})
    [('a.b', '1'), ('c', '1, 2')]
    """
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            rows += flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            rows.append((f"{prefix}{key}", ", ".join(map(str, value))))
        elif value is not None:
            rows.append((f"{prefix}{key}", str(value)))
    return rows


def figure(value: Any) -> str:
    """Return a number for people: four significant digits, and a dash where there is none.

    What is less than 1 is never rounded to 1.

    >>> figure(0.98148), figure(None), figure(61706), figure("NaN"), figure(2441.2), figure(0.99996)
    ('0.9815', '–', '61,706', 'NaN', '2441', '0.99996')
    """
    if value is None or isinstance(value, str | bool):
        return "–" if value is None else str(value)
    if isinstance(value, int) or (math.isfinite(value) and abs(value) >= 10_000 and abs(value) < 1e12):
        return f"{round(value):,}"
    if not math.isfinite(value) or not value:
        return str(value)
    said = f"{value:#.4g}".removesuffix(".")
    return f"{value:.9g}" if said == "1.000" and value < 1 else said


def duration(seconds: float) -> str:
    """Return a time in the units that people use.

    >>> duration(4.24), duration(200), duration(7321)
    ('4.2 s', '3 min 20 s', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
