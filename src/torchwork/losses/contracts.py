"""What each loss asks for and what it gives: its task, target, output, batches, prediction, metrics and denominator.

This is the one place where these facts stand; `torchwork explain NAME` prints them, tests go over every entry.
Torchwork adds no activation to a model in silence: a model must end in what `output` says.
"""

from __future__ import annotations

from dataclasses import dataclass

_SAMPLES = "the samples of a split, each once an epoch"
_PAIRS = "every sample once an epoch as an anchor, its partner drawn by (seed, epoch, sample); or a CSV of pairs"
_ROWS = "the number of rows"
_ELEMENTS = "the number of elements"
_CLASS_METRICS = (
    *("accuracy", "balanced accuracy", "top-k accuracy", "precision, recall, F1", "ROC AUC", "average precision"),
    *("log loss", "Brier score", "calibration error"),
)
_NUMBER_METRICS = ("MAE", "RMSE", "R²", "explained variance", "quantiles of the absolute error")
_PAIR_METRICS = ("ROC AUC and equal error rate of same or different", "recall@k", "MAP", "MAP@R")


@dataclass(frozen=True)
class Contract:
    """The contract of a loss, in words. B is the number of samples, K of classes or labels, k of numbers.

    ``soft`` is whether the loss is defined for a mixture of two samples' targets: shares of classes, probabilities of
    labels, numbers in between.
    """

    task: tuple[str, ...]
    target: str
    output: str
    activation: str
    batches: str
    prediction: str
    metrics: tuple[str, ...]
    denominator: str
    formula: str
    soft: bool = False


CONTRACTS = {
    "CrossEntropyLoss": Contract(
        task=("classification",),
        target="a class for each sample: int64 [B], 0 to K-1",
        output="unnormalised scores (logits), [B, K]",
        activation="none: softmax is inside the loss, so a Softmax before it is refused",
        batches=_SAMPLES,
        prediction="the class with the highest score; probabilities by softmax",
        metrics=_CLASS_METRICS,
        denominator="the sum of the class weights of the rows that are not ignored",
        formula="-w[y] log softmax(x)[y]",
        soft=True,
    ),
    "NLLLoss": Contract(
        task=("classification",),
        target="a class for each sample: int64 [B], 0 to K-1",
        output="log-probabilities, [B, K], each row's exponentials adding up to 1",
        activation="LogSoftmax at the end of the model; raw scores are refused",
        batches=_SAMPLES,
        prediction="the class with the highest log-probability; probabilities by exp",
        metrics=_CLASS_METRICS,
        denominator="the sum of the class weights of the rows that are not ignored",
        formula="-w[y] x[y]",
    ),
    "MultiMarginLoss": Contract(
        task=("classification",),
        target="a class for each sample: int64 [B], 0 to K-1",
        output="scores, [B, K], of any range",
        activation="none: probabilities, which cannot reach the margin of 1, are refused",
        batches=_SAMPLES,
        prediction="the class with the highest score; the softmax of the scores stands for probabilities",
        metrics=_CLASS_METRICS,
        denominator=f"{_ROWS}, even with class weights",
        formula="sum over j != y of max(0, w[y] (margin - x[y] + x[j]))^p / K",
    ),
    "KLDivLoss": Contract(
        task=("classification",),
        target="a distribution for each sample: float [B, K], each row adding up to 1 (logarithms with log_target)",
        output="log-probabilities, [B, K], each row's exponentials adding up to 1",
        activation="LogSoftmax at the end of the model; probabilities and raw scores are refused",
        batches=_SAMPLES,
        prediction="the class with the highest log-probability; probabilities by exp",
        metrics=_CLASS_METRICS,
        denominator=f"{_ROWS} (torch's batchmean; its mean divides by the elements and is not the divergence)",
        formula="sum over k of t[k] (log t[k] - x[k])",
        soft=True,
    ),
    "BCELoss": Contract(
        task=("binary", "multilabel"),
        target="0 or 1, or a probability between: float [B, 1] for two classes (1 is the second), [B, K] for K labels",
        output="probabilities, of the target's shape, from 0 to 1",
        activation="Sigmoid at the end of the model; logits are refused",
        batches=_SAMPLES,
        prediction="the second class, or the label, where the probability is at least 0.5",
        metrics=_CLASS_METRICS,
        denominator=_ELEMENTS,
        formula="-w (y log x + (1-y) log(1-x))",
        soft=True,
    ),
    "BCEWithLogitsLoss": Contract(
        task=("binary", "multilabel"),
        target="0 or 1, or a probability between: float [B, 1] for two classes (1 is the second), [B, K] for K labels",
        output="unnormalised scores (logits), of the target's shape",
        activation="none: sigmoid is inside the loss, so probabilities are refused",
        batches=_SAMPLES,
        prediction="the second class, or the label, where the logit is at least 0; probabilities by sigmoid",
        metrics=_CLASS_METRICS,
        denominator=_ELEMENTS,
        formula="-w (p y log sigmoid(x) + (1-y) log(1 - sigmoid(x)))",
        soft=True,
    ),
    "SoftMarginLoss": Contract(
        task=("binary", "multilabel"),
        target="-1 or 1: float [B, 1] for two classes (1 is the second), [B, K] for K labels",
        output="scores, of the target's shape, of any range",
        activation="none: probabilities, which never fall below 0, are refused",
        batches=_SAMPLES,
        prediction="the second class, or the label, where the score is at least 0; probabilities by sigmoid",
        metrics=_CLASS_METRICS,
        denominator=_ELEMENTS,
        formula="log(1 + exp(-y x))",
    ),
    "MultiLabelMarginLoss": Contract(
        task=("multilabel",),
        target="the sample's labels: int64 [B, K], their places first, then -1; none twice, at least one",
        output="scores, [B, K], of any range",
        activation="none: probabilities, which cannot reach the margin of 1, are refused",
        batches=_SAMPLES,
        prediction="the labels in the order of their scores; it has no threshold of its own",
        metrics=("label ranking average precision", "ROC AUC", "average precision"),
        denominator=_ROWS,
        formula="sum over labels j and others i of max(0, 1 - (x[j] - x[i])) / K",
    ),
    "MSELoss": Contract(
        task=("regression",),
        target="numbers: float [B, k]",
        output="numbers, [B, k]: the target's shape exactly, as broadcasting (B, 1) with (B,) gives (B, B)",
        activation="none",
        batches=_SAMPLES,
        prediction="the output: an estimate of the mean",
        metrics=_NUMBER_METRICS,
        denominator=_ELEMENTS,
        formula="(x - y)^2",
        soft=True,
    ),
    "L1Loss": Contract(
        task=("regression",),
        target="numbers: float [B, k]",
        output="numbers, [B, k]: the target's shape exactly",
        activation="none",
        batches=_SAMPLES,
        prediction="the output: an estimate of the median",
        metrics=_NUMBER_METRICS,
        denominator=_ELEMENTS,
        formula="|x - y|",
        soft=True,
    ),
    "SmoothL1Loss": Contract(
        task=("regression",),
        target="numbers: float [B, k]",
        output="numbers, [B, k]: the target's shape exactly",
        activation="none",
        batches=_SAMPLES,
        prediction="the output",
        metrics=_NUMBER_METRICS,
        denominator=_ELEMENTS,
        formula="(x - y)^2 / (2 beta) where |x - y| < beta, else |x - y| - beta/2",
        soft=True,
    ),
    "HuberLoss": Contract(
        task=("regression",),
        target="numbers: float [B, k]",
        output="numbers, [B, k]: the target's shape exactly",
        activation="none",
        batches=_SAMPLES,
        prediction="the output",
        metrics=_NUMBER_METRICS,
        denominator=_ELEMENTS,
        formula="(x - y)^2 / 2 where |x - y| < delta, else delta (|x - y| - delta/2)",
        soft=True,
    ),
    "GaussianNLLLoss": Contract(
        task=("regression",),
        target="numbers: float [B, k]",
        output="means and log-variances, [B, 2k]: the k means first",
        activation="exp on the second half, which makes variances of it",
        batches=_SAMPLES,
        prediction="the mean",
        metrics=_NUMBER_METRICS,
        denominator=_ELEMENTS,
        formula="(log max(var, eps) + (x - y)^2 / max(var, eps)) / 2",
        soft=True,
    ),
    "PoissonNLLLoss": Contract(
        task=("regression",),
        target="counts: float [B, k], none negative",
        output="logarithms of rates, [B, k]; rates themselves, none negative, with log_input: false",
        activation="none; with log_input: false the model must end in Softplus, ReLU or the like",
        batches=_SAMPLES,
        prediction="the rate",
        metrics=(*_NUMBER_METRICS, "Poisson deviance"),
        denominator=_ELEMENTS,
        formula="exp(x) - y x, or x - y log(x + eps) without log_input",
        soft=True,
    ),
    "MarginRankingLoss": Contract(
        task=("ranking",),
        target="numbers to order by: of each pair, 1 where the first is the greater, -1 where the second is",
        output="one score a sample, [B, 1]",
        activation="none",
        batches=f"{_PAIRS}; ties are no pairs",
        prediction="the score: the higher, the greater",
        metrics=("Kendall's tau", "pairs in the right order"),
        denominator="the number of pairs",
        formula="max(0, -y (x1 - x2) + margin)",
    ),
    "TripletMarginLoss": Contract(
        task=("embedding",),
        target="a class for each sample: int64 [B]",
        output="a vector a sample, [B, D]",
        activation="none",
        batches="every sample once an epoch as an anchor, with a positive of its class and a negative of another drawn "
        "by (seed, epoch, sample), or mined in the batch; or a CSV of triplets",
        prediction="the class of the nearest other sample",
        metrics=_PAIR_METRICS,
        denominator="the number of triplets",
        formula="max(0, |a - p| - |a - n| + margin)",
    ),
    "HingeEmbeddingLoss": Contract(
        task=("embedding",),
        target="a class for each sample; of each pair, 1 where the classes are the same, else -1",
        output="a vector a sample, [B, D]; the loss gets the distance of the two",
        activation="none",
        batches=f"{_PAIRS}; half of the pairs of the same class",
        prediction="the class of the nearest other sample",
        metrics=_PAIR_METRICS,
        denominator="the number of pairs",
        formula="d where y = 1, max(0, margin - d) where y = -1",
    ),
    "CosineEmbeddingLoss": Contract(
        task=("embedding",),
        target="a class for each sample; of each pair, 1 where the classes are the same, else -1",
        output="a vector a sample, [B, D]",
        activation="none",
        batches=f"{_PAIRS}; half of the pairs of the same class",
        prediction="the class of the nearest other sample, by angle",
        metrics=_PAIR_METRICS,
        denominator="the number of pairs",
        formula="1 - cos(x1, x2) where y = 1, max(0, cos(x1, x2) - margin) where y = -1",
    ),
    "CTCLoss": Contract(
        task=("sequence",),
        target="a sequence of symbols a sample: int64 [B, S] padded, or one after the other; the blank not among them",
        output="log-probabilities, [B, T, K+1], of every step, the blank included",
        activation="LogSoftmax at the end of the model; raw scores are refused",
        batches=_SAMPLES,
        prediction="the likeliest symbol of each step, repeats merged, blanks removed (greedy)",
        metrics=("character error rate", "exact match"),
        denominator="the length of each target (at least 1), then the number of rows",
        formula="-log of the summed probability of all alignments of the target",
    ),
}
