"""The metrics of every epoch, from tensors, without scikit-learn's import; tests hold them equal to scikit-learn's."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchwork.metrics import order

_AT_ONCE = 2**22  # numbers that are compared at a time


def classification(scores: Tensor, target: Tensor) -> dict[str, float]:
    """Return the accuracy of scores [N, K, ...] against classes int64 [N, ...]: how often the highest score is right.

    Negative classes (torch's ``ignore_index`` of -100) do not count. NaN where there are no samples.

    >>> classification(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
    {'accuracy': 0.5}
    """
    return {"accuracy": float((scores.argmax(dim=1) == target)[target >= 0].double().mean())}


def regression(prediction: Tensor, target: Tensor) -> dict[str, float]:
    """Return MAE, RMSE and R² of predictions [N, k] against targets [N, k], in float64, averaged over the k columns.

    mae = mean |x - y|; rmse = sqrt(mean (x - y)²), of each column, then averaged; r2 = 1 - sum((y - x)²) /
    sum((y - mean y)²). R² is NaN where a column of the targets is constant, as there is nothing to explain then (so
    too for a single sample); everything is NaN where there are no samples, or a prediction is NaN.

    >>> regression(torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0], [2.0]]))["mae"]
    0.5
    """
    x, y = (t.double().reshape(len(t), -1) for t in (prediction, target))
    error = x - y
    # the sum of squares tells it not: the mean of equal numbers may differ from them in the last bit
    constant = (y == y[:1]).all(0)
    r2 = torch.where(constant, torch.nan, 1 - (error**2).sum(0) / ((y - y.mean(0)) ** 2).sum(0))
    return {
        "mae": float(error.abs().mean()),
        "rmse": float((error**2).mean(0).sqrt().mean()),
        "r2": float(r2.mean()),
    }


def binary(probability: Tensor, target: Tensor) -> dict[str, float]:
    """Return accuracy and ROC AUC of probabilities [N] of the second class against classes int64 [N] of 0 and 1.

    >>> binary(torch.tensor([0.2, 0.9, 0.6]), torch.tensor([0, 1, 0]))
    {'accuracy': 0.6666666666666666, 'roc_auc': 1.0}
    """
    accuracy = float(((probability >= 0.5) == (target == 1)).double().mean())
    return {"accuracy": accuracy, "roc_auc": order.roc_auc(probability, target == 1)}


def multilabel(probability: Tensor, present: Tensor) -> dict[str, float]:
    """Return the accuracy over all labels of all samples, and the mean of the labels' ROC AUC, from [N, K] each.

    The mean is over the labels that some samples have and others have not; NaN where there is none such.
    """
    areas = [order.roc_auc(column, there) for column, there in zip(probability.T, present.T, strict=True)]
    known = [area for area in areas if not math.isnan(area)]
    return {
        "accuracy": float(((probability >= 0.5) == present).double().mean()),
        "roc_auc": sum(known) / len(known) if known else math.nan,
    }


def label_ranking_average_precision(scores: Tensor, present: Tensor) -> float:
    """Return the label ranking average precision of scores [N, K] against labels bool [N, K].

    For each label that a sample has: which part of the labels that score as high or higher does it have, too? The mean
    over its labels, then over the samples; a sample with no label, or with all, has 1. NaN where there are no samples.
    The time goes with K times the number of all samples' labels.

    Source: Tsoumakas, Katakis and Vlahavas: "Mining multi-label data", 2009.

    >>> label_ranking_average_precision(torch.tensor([[0.9, 0.5, 0.1]]), torch.tensor([[False, True, False]]))
    0.5
    """
    if not len(scores):
        return math.nan
    number = present.sum(1)
    total = torch.zeros(len(scores), dtype=torch.float64, device=scores.device)
    at_once = max(1, _AT_ONCE // scores.shape[1])
    for there in present.nonzero().split(at_once):
        rows, labels = there.T
        above = scores[rows] >= scores[rows, labels][:, None]
        precision = (above & present[rows]).sum(1).double() / above.sum(1).clamp(min=1)
        total.index_add_(0, rows, precision)
    trivial = (number == 0) | (number == present.shape[1])
    return float(torch.where(trivial, 1.0, total / number.clamp(min=1)).mean())


def poisson_deviance(rate: Tensor, target: Tensor) -> float:
    """Return the mean Poisson deviance of rates x against counts y: 2 (y log(y / x) - y + x), or 2x at y = 0.

    Infinite where a rate is 0 and the count is not.

    >>> poisson_deviance(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0]))
    0.0
    """
    x, y = (t.double().reshape(-1) for t in (rate, target))
    return float((2 * (torch.xlogy(y, y) - torch.xlogy(y, x) - y + x)).mean())
