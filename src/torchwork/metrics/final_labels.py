"""The metrics of labels, each there or not, as scikit-learn's, in numpy; tests hold each equal to scikit-learn's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from torchwork.metrics import epoch
from torchwork.metrics.areas import areas
from torchwork.metrics.final_classes import AREAS, each_share, shares
from torchwork.metrics.found import Found, without

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_SHARES = ("precision", "recall", "f1")
AT_THRESHOLD = ("accuracy", "exact_match", *(f"{name}_{mean}" for name in _SHARES for mean in ("macro", "micro")))


def of_labels(names: Sequence[str], target: Bools, prediction: Bools | None, scores: Floats | None) -> Found:
    """Return the metrics of labels [N, K].

    ``accuracy`` over all labels of all samples, ``exact_match`` (all labels of a sample right), ``precision``,
    ``recall`` and ``f1`` as ``_macro`` and ``_micro``; ``roc_auc`` and ``average_precision``, the means over the labels
    that some samples have and others have not; ``lrap``, the label ranking average precision. Of several labels also
    ``<metric>/<label>``, and ``support/<label>``, how many samples have it. A label that is never predicted has no
    precision, one that no sample has no recall, one that is neither no F1; in the means over labels each counts 0, as
    with scikit-learn's ``zero_division=0``.

    Args:
        names: The labels.
        target: Which labels the samples have.
        prediction: Which labels are predicted; None where the loss orders labels without a threshold.
        scores: The labels' scores; None where there are none.
    """
    if not len(target):
        return without((*AT_THRESHOLD, *AREAS), "there are no samples")
    if scores is None:
        return without(AREAS, "there are no scores of the labels")
    bad = int((~np.isfinite(scores)).any(1).sum())
    if bad:
        reason = f"the scores of {bad} of {len(scores)} samples are NaN or infinite"
        return without((*(AT_THRESHOLD if prediction is not None else ()), *AREAS), reason)
    found = _at_threshold(names, target, prediction) if prediction is not None else Found({}, {})
    return found | _of_scores(names, target, scores)


def _of_scores(names: Sequence[str], target: Bools, scores: Floats) -> Found:
    by_label = areas(scores, iter(target.T))
    found: dict[str, float] = {}
    undefined: dict[str, str] = {}
    mixed = ~np.isnan(by_label[:, 0])  # the area tells of both: there are positives, and negatives
    for column, name in enumerate(AREAS):
        if mixed.any():
            found[name] = float(by_label[mixed, column].mean())
        else:
            undefined[name] = "every sample has the label, or none has" if len(names) == 1 else _UNMIXED
        for place, label in enumerate(names) if len(names) > 1 else ():
            if mixed[place]:
                found[f"{name}/{label}"] = float(by_label[place, column])
            else:
                undefined[f"{name}/{label}"] = "every sample has it" if target[:, place].any() else "no sample has it"
    if len(names) > 1:
        ordered, there = (torch.from_numpy(np.array(part)) for part in (scores, target))
        found["lrap"] = epoch.label_ranking_average_precision(ordered, there)
    return Found(found, undefined)


_UNMIXED = "of each label, every sample has it, or none has"


def _at_threshold(names: Sequence[str], target: Bools, prediction: Bools) -> Found:
    hits, chosen, support = ((target & prediction).sum(0), prediction.sum(0), target.sum(0))
    by_label = shares(hits, chosen, support)
    together = shares(*(counts.sum(keepdims=True) for counts in (hits, chosen, support)))[:, 0]
    found = {
        "accuracy": float((target == prediction).mean()),
        "exact_match": float((target == prediction).all(1).mean()),
    }
    for average, means in (("macro", by_label.mean(1)), ("micro", together)):
        found |= {f"{n}_{average}": float(v) for n, v in zip(_SHARES, means, strict=True)}
    undefined: dict[str, str] = {}
    for place, label in enumerate(names) if len(names) > 1 else ():
        own = each_share(
            label, by_label[:, place].tolist(), int(chosen[place]), int(support[place]), "no sample has it"
        )
        found |= own.metrics
        undefined |= own.undefined
    return Found(found, undefined)
