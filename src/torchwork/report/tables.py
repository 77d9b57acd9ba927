"""The tables of a report, as rows of plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torchwork.report import doubt
from torchwork.report.data_facts import section
from torchwork.report.facts import Facts, Predictions
from torchwork.report.figures import number, texts

LEADING = (
    *("accuracy", "balanced_accuracy", "f1_macro"),
    *("lrap", "map_at_r", "recall_at_1", "roc_auc"),
    *("kendall_tau", "character_error_rate", "poisson_deviance"),
    *("mae", "rmse", "r2"),
)
MOST_ROWS = 200


class Confusion(NamedTuple):
    """A mistake and how often it was made."""

    target: str
    prediction: str
    times: int
    share: float  # of the samples of the true class


def classes(facts: Facts, predictions: Predictions) -> list[str]:
    """Return the class names in the run's own order, and after them those that only the predictions know."""
    known = texts(facts.data.get("classes"))
    return list(dict.fromkeys([*known, *sorted({*predictions.target, *predictions.prediction} - set(known))]))


def class_rows(predictions: Predictions, names: Sequence[str]) -> tuple[list[str], list[tuple[str, list[Any]]]]:
    """Return precision, recall, F1 and support of each class that occurs, the classes in the given order.

    Precision is the share of right ones among those predicted as the class, recall the share found of those that are
    of it, and F1 = 2·right / (support + predicted) is their harmonic mean. What is divided by nothing is None.
    """
    support, predicted = Counter(predictions.target), Counter(predictions.prediction)
    right = Counter(t for t, p in zip(predictions.target, predictions.prediction, strict=True) if t == p)
    return ["precision", "recall", "f1", "support"], [
        (
            name,
            [
                right[name] / predicted[name] if predicted[name] else None,
                right[name] / support[name] if support[name] else None,
                2 * right[name] / (support[name] + predicted[name]),
                support[name],
            ],
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


def metrics(facts: Facts, first: str | None) -> tuple[list[str], list[tuple[str, list[doubt.Doubted]]]]:
    """Return the splits, ``first`` at the front, and for each metric its name and its value on each split.

    Metrics of one class or one target, as ``recall/cat``, stand in `metrics_by_part`.
    """
    splits = sorted(facts.metrics, key=lambda split: split != first)
    known = {n: None for split in splits for n in (*facts.metrics[split], *facts.undefined.get(split, {}))}
    names = sorted((name for name in known if "/" not in name), key=_rank)
    return splits, [(name, [doubt.doubted(facts, split, name) for split in splits]) for name in names]


def _rank(metric: str) -> int:
    """Return where a metric stands in a list: those that say most at first, the loss at the end."""
    return LEADING.index(metric) if metric in LEADING else len(LEADING) + (metric == "loss")


def worst(names: Sequence[str], parts: list[tuple[str, list[Any]]]) -> list[tuple[str, list[Any]]]:
    """Return parts by their F1, the lowest first, and by name where it is the same; those without one come last."""
    place = names.index("f1")

    def rank(part: tuple[str, list[Any]]) -> tuple[bool, float, str]:
        f1 = number(part[1][place])
        return f1 is None, f1 or 0.0, part[0]

    return sorted(parts, key=rank)


def metrics_by_part(facts: Facts, split: str | None) -> tuple[list[str], list[tuple[str, list[Any]]]]:
    """Return the names of a split's metrics of one class or one target, and for each such part its values, or None."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in facts.metrics.get(split or "", {}).items():
        metric, slash, part = name.partition("/")
        if slash:
            found.setdefault(part, {})[metric] = value
    fullest = sorted(found.values(), key=len, reverse=True)  # a part that lacks none tells the usual order
    names = list(dict.fromkeys(metric for values in fullest for metric in values))
    return names, [(part, [values.get(name) for name in names]) for part, values in found.items()]


def class_counts(facts: Facts) -> tuple[list[str], list[tuple[str, list[int]]]]:
    """Return the splits, and for each class its name and how many samples of it each split holds."""
    counts = section(facts.data, "class_counts")
    splits = [split for split in counts if isinstance(counts[split], Mapping)]
    names = texts(facts.data.get("classes")) if splits else []
    names = list(dict.fromkeys([*names, *(name for split in splits for name in counts[split])]))
    return splits, [(name, [int(number(counts[split].get(name)) or 0) for split in splits]) for name in names]
