"""What a metric says, in a sentence for those who meet it for the first time."""

from __future__ import annotations

from collections.abc import Iterable

_SENTENCES = {
    "accuracy": "The share of samples whose class was predicted right.",
    "balanced_accuracy": "The mean of the share predicted right over the classes: rare ones count as much as common.",
    "precision": "Of the samples that were predicted as a class, the share that is of it.",
    "recall": "Of the samples that are of a class, the share that was predicted as it.",
    "f1": "The harmonic mean of precision and recall.",
    "roc_auc": "How often a sample of a class scores above one that is not: 0.5 is guessing, 1 is perfect.",
    "average_precision": "The area under the curve of precision over recall; guessing gives the share of the class.",
    "top_5_accuracy": "The share of samples whose class is among the five with the highest scores.",
    "log_loss": "The mean of -log of the probability that the true class was given: 0 is perfect.",
    "brier": "The mean squared distance between the probabilities and the truth as 0 and 1: 0 is perfect.",
    "calibration_error": "By how much probabilities and the shares that come true differ, on average.",
    "mae": "The mean absolute difference between predicted and true value.",
    "rmse": "The root of the mean squared difference between predicted and true value: large errors weigh more.",
    "r2": "The share of the variance that the predictions explain: 0 is always predicting the mean, 1 is perfect.",
    "explained_variance": "As R², without counting an error that is the same for all samples.",
    "median_absolute_error": "Half of the predictions are off by no more than this.",
    "absolute_error_q90": "Nine in ten predictions are off by no more than this.",
    "absolute_error_q95": "Nineteen in twenty predictions are off by no more than this.",
    "poisson_deviance": "How far predicted rates are from the counts, by Poisson's distribution: 0 is perfect.",
    "lrap": "For each true label, the share of true ones among the labels ranked as high, on average: 1 is perfect.",
    "kendall_tau": "The share of pairs in the right order less that in the wrong one: 0 is guessing, 1 is perfect.",
    "pairs_in_order": "The share of pairs whose order is right: 0.5 is guessing.",
    "triplets_in_order": "The share of triplets whose anchor is nearer to its own kind than to the other.",
    "map_at_r": "How far to the front the nearest neighbours of a sample's own class stand: 1 is perfect.",
    "mean_average_precision": "How far to the front all samples of the same class stand: 1 is perfect.",
    "recall_at_1": "The share of samples whose nearest neighbour is of the same class.",
    "equal_error_rate": "The error rate at the threshold where both kinds of error are equally frequent: 0 is perfect.",
    "character_error_rate": "The edits that turn predictions into the truth, by symbol of the truth: 0 is perfect.",
    "exact_match": "The share of samples that were predicted right as a whole.",
    "macro": "The mean over the classes.",
    "weighted": "The mean over the classes, each by its share of the samples.",
}


def of(metrics: Iterable[str]) -> list[tuple[str, str]]:
    """Return what is known of some metrics: the name or the word in it that is explained, and the sentence.

    >>> [name for name, _ in of(["f1_macro", "accuracy", "f1_weighted", "my_own"])]
    ['accuracy', 'f1', 'macro', 'weighted']
    """
    there = set(metrics)
    words = {word for name in there - set(_SENTENCES) for word in name.split("_")}
    return [(name, sentence) for name, sentence in _SENTENCES.items() if name in there | words]
