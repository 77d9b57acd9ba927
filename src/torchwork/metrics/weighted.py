"""The metrics of a split as functions of weights, from its table of predictions: what resampling needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from torchwork.metrics import edits, final_classes, probabilities
from torchwork.metrics import weighted_numbers as numbers
from torchwork.metrics import weighted_pairs as pairs
from torchwork.metrics import weighted_scores as scored
from torchwork.metrics.resampling import Floats, Integers, Weighted
from torchwork.metrics.scores import Scores, are_probabilities, read_scores
from torchwork.metrics.table import Columns, outputs_beside, read_columns
from torchwork.metrics.table import numbers as numbers_of
from torchwork.metrics.weighted_classes import of_classes, of_labels

Bools = NDArray[np.bool_]
LEAST_OF_CLASS = 5
MOST_CLASSES = 200  # whose areas under curves are resampled
_QUANTILES = {"median_absolute_error": 0.5, "absolute_error_q90": 0.9, "absolute_error_q95": 0.95}


class Share(NamedTuple):
    """A proportion: which of the samples count, and which of these are hits; bool [N] each."""

    hits: Bools
    counted: Bools


class Figures(NamedTuple):
    """The metrics of N samples as functions of their weights.

    ``rows`` are the table's rows that the samples stand in, int64 [N]; ``shares`` those metrics that are proportions;
    ``thin`` why a metric rests on too few samples for resampling to tell anything; ``passes`` how often a resample goes
    through the samples, about.
    """

    rows: Integers
    weighted: Weighted
    shares: Mapping[str, Share]
    thin: Mapping[str, str]
    passes: int = 5


class Table(NamedTuple):
    """What a split's predictions hold: the table's columns, and the scores of classes or labels if there are any."""

    path: Path
    data: Mapping[str, Any]
    columns: Columns
    scores: Scores | None

    def only(self, rows: Integers) -> Table:
        """Return some of the rows."""
        columns = {name: [cells[row] for row in rows] for name, cells in self.columns.items()}
        if self.scores is None:
            return self._replace(columns=columns)
        arrays = {name: getattr(self.scores, name)[rows] for name in ("target", "scores", "prediction", "ids")}
        return self._replace(columns=columns, scores=self.scores._replace(**arrays))


def read(path: Path, data: Mapping[str, Any]) -> Table:
    """Read a split's predictions.

    Args:
        path: A ``predictions-<split>.csv``; arrays of outputs stand beside it.
        data: The content of the run's ``data.json``.

    Raises:
        ValueError, KeyError, OSError: the table is damaged, or arrays that it needs are not there.
    """
    columns = read_columns(path)
    return Table(path, data, columns, read_scores(path, data, columns))


def figures(table: Table) -> Figures:
    """Return what the metrics of a split are made of.

    Raises:
        ValueError, KeyError, OSError: the table is damaged, or arrays that it needs are not there.
    """
    columns, data, task = table.columns, table.data, table.data.get("task")
    if task == "multilabel":
        found = _labels(table.scores, data)
    elif task == "ranking":
        found = _order(table.path, columns)
    elif task == "embedding":
        found = _vectors(table.path, data)
    elif task == "sequence":
        found = _sequences(columns, data["classes"])
    elif task in ("classification", "binary") or (task is None and data.get("classes") is not None):
        found = _classes(final_classes.labels_of(columns, data.get("classes") or data["target_names"]), table.scores)
    else:
        found = _numbers(columns, data.get("target_names") or (), counts=data.get("loss") == "PoissonNLLLoss")
    losses = np.array([float(cell or "nan") for cell in columns.get("loss", ())])
    if len(losses) and len(losses) == len(found.rows) and np.isfinite(losses).all():
        return found._replace(weighted=_joined(scored.of_means({"loss": losses}), found.weighted))
    return found


def _joined(*each: Weighted) -> Weighted:
    def weighted(weights: Floats) -> Mapping[str, Floats]:
        return {name: value for one in each for name, value in one(weights).items()}

    return weighted


def _classes(labels: final_classes.Labels, scores: Scores | None) -> Figures:
    target, prediction, names = labels.target, labels.prediction, labels.names
    right = target == prediction
    support = np.bincount(target, minlength=len(names))
    whole = Share(right, np.ones(len(target), bool))
    shares = {"accuracy": whole, "recall_weighted": whole}  # which is the same
    for place in labels.present.tolist():
        shares[f"recall/{names[place]}"] = Share(right, target == place)
        shares[f"precision/{names[place]}"] = Share(right, prediction == place)
    thin = {f"f1/{names[place]}": _few(int(support[place]), 10, names[place]) for place in labels.present.tolist()}
    counts = support[labels.present].tolist()  # 0 of a class that is only predicted: the means count it, too
    thin |= {name: _few(min(counts, default=0), LEAST_OF_CLASS, "its rarest class") for name in _MACRO}
    occurring = min(filter(None, counts), default=0)
    thin["balanced_accuracy"] = _few(occurring, LEAST_OF_CLASS, "its rarest class")
    thin |= dict.fromkeys(("precision_weighted", "f1_weighted"), _mostly_rare(support))
    parts = [of_classes(target, prediction, names)]
    known = scores is not None and labels.num_classes > 1 and bool((target < labels.num_classes).all())
    if scores is not None and known and np.isfinite(scores.scores).all():
        shares |= _top(scores.scores, target)
        positive = target[:, None] == np.arange(labels.num_classes)
        parts += [*_areas(positive, scores.scores, names), *_of_probabilities(scores.scores, positive, right)]
        thin |= _thin_areas(positive, names)
    thin = {name: why for name, why in thin.items() if why}
    return Figures(np.arange(len(target)), _joined(*parts), shares, thin, 5 + min(labels.num_classes, MOST_CLASSES))


_MACRO = ("precision_macro", "recall_macro", "f1_macro")


def _few(number: int, least: int, what: str) -> str:
    return f"{what} has {number} sample{'s' * (number != 1)}, fewer than {least}" if number < least else ""


def _mostly_rare(support: Integers) -> str:
    """Say it where classes that are too rare have more than half of the samples, and so of a mean's weight.

    Resamples lack some of these classes: a mean over classes that are there is biased then, as the macro mean is.
    """
    rare = int(support[support < LEAST_OF_CLASS].sum())
    told = f"{rare:,} of {int(support.sum()):,} samples are of classes with fewer than {LEAST_OF_CLASS}"
    return told if 2 * rare > support.sum() else ""


def _top(scores: Floats, target: Integers) -> dict[str, Share]:
    """Return how often the true class is among the best five, of three to five classes among the best two."""
    count = scores.shape[1]
    best = 5 if count > 5 else 2
    own = scores[np.arange(len(scores)), target][:, None]
    above = ((scores > own) | ((scores == own) & (np.arange(count) > target[:, None]))).sum(1)
    return {f"top_{best}_accuracy": Share(above < best, np.ones(len(target), bool))} if count > 2 else {}


def _areas(positive: Bools, scores: Floats, names: Sequence[str], headline: int | None = None) -> list[Weighted]:
    if len(names) > MOST_CLASSES:
        return []
    if positive.shape[1] == 2 and headline is None and (positive.sum(1) == 1).all():
        headline = 1  # of two classes the second stands for both
    return [scored.of_scores(positive, scores, names, headline)]


def _thin_areas(positive: Bools, names: Sequence[str]) -> dict[str, str]:
    """Return why areas rest on too few: of a class, and of their mean where one of them does."""
    found: dict[str, str] = {}
    if len(names) > MOST_CLASSES:
        why = f"it would take long for {len(names):,} classes"
        kinds = ("roc_auc", "average_precision")
        return {name: why for kind in kinds for name in (kind, *(f"{kind}/{each}" for each in names))}
    for place in np.flatnonzero(positive.any(0)).tolist():
        hits = int(positive[:, place].sum())
        others = len(positive) - hits
        why = _few(hits, LEAST_OF_CLASS, names[place]) or (
            f"all but {others} samples are {names[place]}" * (others < 5)
        )
        for kind in ("roc_auc", "average_precision") if why else ():
            found[f"{kind}/{names[place]}"] = why
            found.setdefault(kind, why)
    return found


def _of_probabilities(scores: Floats, positive: Bools, right: Bools) -> list[Weighted]:
    if not are_probabilities(scores, rows=True):
        return []
    rounded = scores / scores.sum(1, keepdims=True)
    squares = ((rounded - positive) ** 2).sum(1) / (2 if scores.shape[1] == 2 else 1)
    least = float(np.finfo(np.float64).eps)
    own = rounded[positive].clip(least, 1 - least)
    means = scored.of_means({"log_loss": -np.log(own), "brier": squares})
    return [means, scored.of_calibration(rounded.max(1), right, probabilities.NUM_BINS)]


def _labels(scores: Scores | None, data: Mapping[str, Any]) -> Figures:
    if scores is None:
        raise ValueError("there are no scores of the labels")
    target, names = scores.target > 0, scores.classes
    everything, count = np.ones(len(target), bool), len(target)
    shares: dict[str, Share] = {}
    parts: list[Weighted] = []
    thin = _thin_areas(target, names)
    if data.get("loss") != "MultiLabelMarginLoss":
        prediction = scores.prediction > 0
        parts.append(of_labels(target, prediction, names if len(names) > 1 else ()))
        right = target == prediction
        shares["exact_match"] = Share(right.all(1), everything)
        if len(names) == 1:
            shares["accuracy"] = shares["exact_match"]
        for place, name in enumerate(names) if len(names) > 1 else ():
            hits = target[:, place] & prediction[:, place]
            shares |= {f"recall/{name}": Share(hits, target[:, place])}
            shares |= {f"precision/{name}": Share(hits, prediction[:, place])}
            thin[f"f1/{name}"] = _few(int(target[:, place].sum()), 10, name)
        rarest = int(target.sum(0).min(initial=count))
        thin |= {
            f"{kind}_macro": _few(rarest, LEAST_OF_CLASS, "its rarest label") for kind in ("precision", "recall", "f1")
        }
    if np.isfinite(scores.scores).all():
        parts += _areas(target, scores.scores, names, 0 if len(names) == 1 else -1)
        if len(names) > 1:
            parts.append(scored.of_means({"lrap": scored.ranked_precision(scores.scores, target)}))
    thin = {name: why for name, why in thin.items() if why}
    return Figures(np.arange(count), _joined(*parts), shares, thin, 5 + 2 * len(names))


def _numbers(columns: Columns, target_names: Sequence[str], *, counts: bool) -> Figures:
    ends = [("", "")] if "target" in columns else [(f"_{name}", f"/{name}") for name in target_names]
    each = []
    for end, _ in ends:
        target, prediction = numbers_of(columns, [f"target{end}", f"prediction{end}"]).T
        parts = [numbers.of_numbers(target, prediction), numbers.of_quantiles(np.abs(target - prediction), _QUANTILES)]
        if counts and (prediction > 0).all() and (target >= 0).all():
            parts.append(scored.of_means({"poisson_deviance": numbers.deviances(target, prediction)}))
        each.append(_joined(*parts))
    rows = np.arange(len(columns["id"]))
    return Figures(rows, numbers.over_targets(each, [end for _, end in ends]), {}, {})


def _order(path: Path, columns: Columns) -> Figures:
    target, scores = numbers_of(columns, ["target", "prediction"]).T
    output = outputs_beside(path)["output"]
    if output.ndim > 1 and output.shape[1] == 2:  # pairs of a user's file
        met = (np.sign(scores) * np.sign(target) + 1) / 2
        weight = (target != 0).astype(np.float64)
        rows = np.arange(len(target))
        return Figures(rows, scored.of_ratios({"pairs_in_order": (met * weight, weight)}), {}, {})
    rows = np.unique(np.array(columns["id"], np.int64), return_index=True)[1]
    if len(rows) > pairs.MOST:
        return _too_many(rows, ("kendall_tau", "pairs_in_order"))
    return Figures(rows, pairs.of_order(scores[rows], target[rows]), {}, {})


def _vectors(path: Path, data: Mapping[str, Any]) -> Figures:
    metric: Literal["cosine", "euclidean"] = "cosine" if data.get("loss") == "CosineEmbeddingLoss" else "euclidean"
    arrays = outputs_beside(path)
    vectors, classes = arrays["output"].astype(np.float64), arrays["target"]
    rows = np.arange(len(vectors))
    if vectors.ndim == 3:
        apart = [pairs.between(vectors[:, 0], vectors[:, other], metric) for other in range(1, vectors.shape[1])]
        if len(apart) == 2:
            closer = (np.sign(apart[1] - apart[0]) + 1) / 2
            return Figures(rows, scored.of_means({"triplets_in_order": closer}), {}, {})
        positive = (classes > 0).reshape(-1, 1)
        found = scored.of_scores(positive, -apart[0][:, None], ("same",), 0)
        errors = pairs.of_same_pairs(apart[0], positive[:, 0])
        thin = _thin_areas(positive, ("same",))
        thin |= {"equal_error_rate": thin["roc_auc"]} if "roc_auc" in thin else {}
        return Figures(rows, _joined(found, errors), {}, thin)
    rows = np.unique(arrays["id"], return_index=True)[1]
    if len(rows) > pairs.MOST:
        return _too_many(
            rows,
            (
                "recall_at_1",
                "recall_at_5",
                "recall_at_10",
                "mean_average_precision",
                "map_at_r",
                "roc_auc",
                "equal_error_rate",
            ),
        )
    vectors, classes = vectors[rows], classes[rows]
    apart_all = pairs.distances(vectors, metric)
    counted, found_by = pairs.of_neighbours(apart_all, classes)
    weight = counted.astype(np.float64)
    means = scored.of_ratios({name: (values * weight, weight) for name, values in found_by.items()})
    shares = {name: Share(values > 0, counted) for name, values in found_by.items() if name.startswith("recall_at")}
    parts = (means, pairs.of_distances(apart_all, classes), pairs.of_all_pairs(apart_all, classes))
    return Figures(rows, _joined(*parts), shares, {})


def _too_many(rows: Integers, names: Sequence[str]) -> Figures:
    why = f"it would take long: {len(rows):,} samples, each against each other, are more than {pairs.MOST:,}"
    return Figures(rows, scored.of_means({}), {}, dict.fromkeys(names, why))


def _sequences(columns: Columns, symbols: Sequence[str]) -> Figures:
    both = [[edits.separated(cell, symbols) for cell in columns[name]] for name in ("target", "prediction")]
    edited = np.array([edits.distance(true, read) for true, read in zip(*both, strict=True)], np.float64)
    length = np.array([len(true) for true in both[0]], np.float64)
    exact = Share(edited == 0, np.ones(len(edited), bool))
    rates = scored.of_ratios({"character_error_rate": (edited, length)})
    means = scored.of_means({"exact_match": exact.hits.astype(np.float64)})
    return Figures(np.arange(len(edited)), _joined(rates, means), {"exact_match": exact}, {})
