"""What is drawn of the scores behind the predictions: curves of rates, calibration, histograms; pairs; lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from torchwork import rundir
from torchwork.metrics import edits, scores
from torchwork.metrics.table import outputs_beside, read_columns
from torchwork.report.agreement import lacking
from torchwork.report.drawn.drawing import Drawing, saved
from torchwork.report.facts import Facts
from torchwork.report.figures import texts
from torchwork.report.plots.lengths import error_by_length
from torchwork.report.plots.precision_recall_curve import precision_recall
from torchwork.report.plots.reliability import calibration
from torchwork.report.plots.roc_curve import roc
from torchwork.report.plots.same_different import verification
from torchwork.report.plots.scores import score_histograms

_MOST_VECTORS = 1000  # half a million pairs


def rate_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the ROC and precision-recall curves."""
    split, found = _scores(facts)
    if found is None:
        return
    what = "label" if found.multilabel else "class"
    caption = (
        f"For each {what}, how many of its {split} samples are found against how many others are taken for it, as the "
        "threshold on the score falls. The area is how often a sample of it scores above one that is not: 0.5 is "
        "guessing, 1 is perfect."
    )
    yield saved(facts, f"roc-{split}", "ROC", caption, roc(found.target, found.scores, found.classes))
    caption = (
        f"For each {what}, how many of those taken for it are of it, against how many of its {split} samples are "
        "found, as the threshold falls. Unlike the ROC curve this one suffers where a class is rare; guessing gives "
        "the share that the class has."
    )
    figure = precision_recall(found.target, found.scores, found.classes)
    yield saved(facts, f"precision_recall-{split}", "Precision and recall", caption, figure)


def score_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the calibration and the histograms of the scores."""
    split, found = _scores(facts)
    if found is None:
        return
    if found.probabilities:
        caption = (
            f"Whether probabilities mean what they say: of the {split} predictions made with 80%, 80% should be right. "
            "Each point is a group of equally many samples, with a 95% interval. Below the dotted line the model is "
            "too sure of itself, above it too cautious. The bars say where the samples are."
        )
        figure = calibration(found.target, found.scores, found.classes)
        yield saved(facts, f"calibration-{split}", "Calibration", caption, figure)
    binary = not found.multilabel and len(found.classes) == 2
    caption = (
        f"How the scores of the {split} samples are spread, in a panel for each group, each with a scale of its own. "
        "The less the groups overlap, the better."
    )
    threshold = _threshold(facts.chosen) if binary else None
    if threshold is not None:
        caption += f" The dashed line is the threshold that was chosen on val, {threshold:.3g}."
    figure = score_histograms(found.target, found.scores, found.classes, threshold=threshold)
    yield saved(facts, f"score_histograms-{split}", "Scores", caption, figure)


def pair_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield how well same and different samples are told apart."""
    split = _split(facts)
    pairs = _pairs(facts, split) if split and facts.data.get("task") == "embedding" else None
    if split is None or pairs is None:
        return
    same, likeness, which = pairs
    caption = (
        f"How alike {which} are, by the measure that was trained with: of the same class and of different ones. The "
        "curve tells how many same pairs are found against how many different ones are taken for the same; at the "
        "marked point both kinds of mistake are equally frequent, the equal error rate."
    )
    yield saved(facts, f"verification-{split}", "Same or different", caption, verification(same, likeness))


def length_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the error of sequences by their length."""
    split = _split(facts)
    if split is None or facts.data.get("task") != "sequence":
        return
    columns = read_columns(facts.directory / rundir.predictions(split))
    symbols = texts(facts.data.get("classes"))
    target, read = ([edits.separated(cell, symbols) for cell in columns[name]] for name in ("target", "prediction"))
    wrong = [
        edits.distance(true, seen) / len(true) if true else np.nan for true, seen in zip(target, read, strict=True)
    ]
    caption = (
        f"The edits that a {split} sequence needs, for each of its symbols, by how many symbols it has: whether long "
        "ones are harder to read."
    )
    figure = error_by_length([len(true) for true in target], wrong)
    yield saved(facts, f"error_by_length-{split}", "Error by length", caption, figure)


def _split(facts: Facts) -> str | None:
    """Return the split that is drawn: test, or val where there is no test."""
    there = [split for split in ("test", "val", "train") if (facts.directory / rundir.predictions(split)).is_file()]
    return there[0] if there else None


def _scores(facts: Facts) -> tuple[str, scores.Scores | None]:
    split = _split(facts)
    if split is None:
        return "", None
    columns = read_columns(facts.directory / rundir.predictions(split))
    if lacking(list(columns), facts.data):
        return split, None  # a finding says which columns
    found = scores.read_scores(facts.directory / rundir.predictions(split), facts.data, columns)
    found = None if found is None else scores.finite(found)
    return split, found if found is not None and found.scores.size else None


def _threshold(chosen: Mapping[str, Mapping[str, Any]]) -> float | None:
    value = chosen.get("threshold", {}).get("value")
    return float(value) if isinstance(value, int | float) else None


def _pairs(facts: Facts, split: str) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Return of pairs [N] whether they are the same and how alike, and what pairs they are; None of triplets."""
    path = facts.directory / rundir.predictions(split)
    arrays = outputs_beside(path)
    vectors, target = arrays["output"], arrays["target"]
    cosine = facts.data.get("loss") == "CosineEmbeddingLoss"
    if vectors.ndim == 3:
        if vectors.shape[1] != 2:
            return None
        apart = np.array([float(cell) for cell in read_columns(path)["prediction"]])
        return target.reshape(len(target), -1)[:, 0] > 0, _likeness(apart, cosine), f"the {len(target):,} {split} pairs"
    from scipy.spatial.distance import pdist

    first = np.unique(arrays["id"], return_index=True)[1]  # an anchor of several pairs counts once
    kept = first[:: -(-len(first) // _MOST_VECTORS) or 1]
    one, other = np.triu_indices(len(kept), 1)
    apart = pdist(vectors[kept].astype(np.float64), "cosine" if cosine else "euclidean")
    which = f"all pairs of {'the' if len(kept) == len(first) else 'evenly picked'} {len(kept):,} {split} samples"
    return target[kept][one] == target[kept][other], _likeness(apart, cosine), which


def _likeness(apart: np.ndarray, cosine: bool) -> np.ndarray:
    return 1 - apart if cosine else -apart
