"""Intervals hold what they promise: over simulated data sets of 27 to 2,000 samples they contain the truth."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from scipy import stats

from torchwork.metrics import final_classes, intervals, resampling, weighted, weighted_pairs
from torchwork.metrics.scores import Scores
from torchwork.metrics.weighted import Share, Table

SIZES = (27, 60, 200, 600, 2000)


def softmax(scores):
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def classifier(draws, num, *, apart, shares, sharpness):
    """Draw classes and a model's probabilities for them: normal scores, the true class's ``apart`` higher."""
    prior = np.asarray(shares, float) / np.sum(shares)
    target = draws.choice(len(prior), p=prior, size=num)
    scores = draws.normal(size=(num, len(prior)))
    scores[np.arange(num), target] += apart
    return class_table(target, softmax(sharpness * (apart * scores + np.log(prior))))


def class_table(target, scores):
    names = [f"c{k}" for k in range(scores.shape[1])]
    columns = {
        "id": range(len(target)),
        "target": [names[k] for k in target],
        "prediction": [names[k] for k in scores.argmax(1)],
    }
    ids, prediction = np.arange(len(target)), scores.argmax(1)
    held = Scores(tuple(names), target, scores, True, prediction, ids)
    return Table(None, {"task": "classification", "classes": names}, columns, held)


def predictor(draws, num, *, errors):
    target = draws.normal(size=num)
    noise = {
        "normal": draws.normal(size=num),
        "uneven": np.abs(target) * draws.normal(size=num),
        "skewed": draws.exponential(size=num) - 1,
        "heavy": draws.laplace(size=num),
    }[errors]
    columns = {"id": range(num), "target": list(map(str, target)), "prediction": list(map(str, 0.8 * target + noise))}
    return Table(None, {"task": "regression", "target_names": ["y"]}, columns, None)


SETTINGS = {
    "two, easy": (classifier, {"apart": 2, "shares": (1, 1), "sharpness": 1}),
    "two, uneven": (classifier, {"apart": 2, "shares": (1, 4), "sharpness": 1}),
    "two, too sure": (classifier, {"apart": 1.5, "shares": (1, 1), "sharpness": 3}),
    "five, uneven": (classifier, {"apart": 2.5, "shares": (1, 2, 4, 8, 8), "sharpness": 1.5}),
    "ten": (classifier, {"apart": 3, "shares": (1,) * 10, "sharpness": 1}),
    "ten, good": (classifier, {"apart": 4, "shares": (1,) * 10, "sharpness": 2}),
    "normal errors": (predictor, {"errors": "normal"}),
    "uneven errors": (predictor, {"errors": "uneven"}),
    "skewed errors": (predictor, {"errors": "skewed"}),
    "heavy errors": (predictor, {"errors": "heavy"}),
}
LEFT_OUT = ("precision/", "recall/", "f1/", "roc_auc/", "average_precision/", "accuracy", "recall_weighted")


def truth_of(make, options):
    figures = weighted.figures(make(np.random.default_rng(99), 60_000, **options))
    found = figures.weighted(np.ones((len(figures.rows), 1)))
    return {
        name: float(value[0]) for name, value in found.items() if not name.startswith(LEFT_OUT) or name.endswith("/c0")
    }


def covered(make, options, *, each, times, sizes=SIZES):
    """Yield metric, size and whether the interval that was given contains the truth."""
    truth = truth_of(make, options)
    for num in sizes:
        for repeat in range(each):
            table = make(np.random.default_rng([num, repeat]), num, **options)
            figures, units = weighted.figures(table), np.arange(num)
            once = figures.weighted(np.ones((num, 1)))
            wanted = {name: float(once[name][0]) for name in truth if name in once and name not in figures.shares}
            open_names = [
                n for n in wanted if not intervals._unresampled(figures, n, units, "samples", numbers="mae" in wanted)
            ]
            if not open_names:
                continue
            drawn = resampling.evaluated(figures.weighted, resampling.counts(num, times, repeat), units)
            left = resampling.evaluated(figures.weighted, iter([resampling.left_out(units)]), units)
            for name in open_names:
                tailed = name.partition("/")[0] in intervals._TAILED
                bounds = resampling.bias_corrected(wanted[name], drawn[name], left[name], num, tailed=tailed)
                said = intervals._said(bounds, tailed, "samples")
                if "low" in said:
                    yield name, num, said["low"] <= truth[name] <= said["high"]


def told(found):
    return {name: round(float(np.mean(hits)), 3) for name, hits in found.items()}


def test_wilson_covers_the_truth_in_93_to_97_percent_of_data_sets():
    draws, hits = np.random.default_rng(0), []
    for num in SIZES:
        for share in (0.05, 0.2, 0.5, 0.8, 0.9, 0.98):
            for right in draws.binomial(num, share, size=400):
                low, high = intervals.wilson(int(right), num)
                hits.append(low <= share <= high)
    assert 0.93 <= np.mean(hits) <= 0.97


def test_proportions_of_grouped_samples_cover_the_truth_where_plain_wilson_does_not():
    """Forty groups of five to fifteen samples, whose rates differ: each group is easy or hard."""
    draws, aware, blind = np.random.default_rng(0), [], []
    for _ in range(1000):
        sizes = draws.integers(5, 16, 40)
        units = np.repeat(np.arange(40), sizes)
        hits = draws.random(len(units)) < draws.beta(4, 1, 40)[units]
        share = Share(hits, np.ones(len(units), bool))
        for found, said in ((aware, intervals.proportion(share, units)), (blind, intervals.proportion(share))):
            found.append(said["low"] <= 0.8 <= said["high"])
    assert 0.93 <= np.mean(aware) <= 0.975
    assert np.mean(blind) < 0.9


def test_bootstrap_intervals_cover_the_truth_in_at_least_90_percent_of_data_sets_that_have_one():
    found = defaultdict(list)
    for setting in ("two, easy", "five, uneven", "ten", "normal errors", "skewed errors"):
        for name, _, hit in covered(*SETTINGS[setting], each=12, times=300, sizes=(27, 60, 200)):
            found[name.partition("/")[0]].append(hit)
    everything = np.concatenate(list(found.values()))
    assert len(found) >= 15
    assert everything.mean() >= 0.93, told(found)
    assert all(np.mean(hits) >= 0.85 for hits in found.values()), told(found)  # of 36 each and more


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_bootstrap_intervals_of_a_thousand_data_sets_cover_the_truth_for_each_metric():
    found, by_size = defaultdict(list), defaultdict(list)
    for setting, (make, options) in SETTINGS.items():
        for name, num, hit in covered(make, options, each=12 if "ten" in setting else 24, times=500):
            found[name.partition("/")[0]].append(hit)
            by_size[num].append(hit)
    print({name: (rate, len(found[name])) for name, rate in told(found).items()}, told(by_size))
    assert all(np.mean(hits) >= 0.90 for hits in found.values()), told(found)
    assert all(np.mean(hits) >= 0.90 for hits in by_size.values()), told(by_size)


def of_given_pairs(draws, num, apart=2.0):
    """Draw distances of pairs, those of one kind nearer; the rates meet at the normal distribution's -apart / 2."""
    same = draws.random(num) < 0.4
    return weighted_pairs.of_same_pairs(draws.normal(size=num) - apart * same, same)


def of_vectors(draws, num, apart=1.5):
    """Draw vectors around the middles of five classes."""
    middles = apart * np.random.default_rng(7).normal(size=(5, 4))
    classes = draws.integers(5, size=num)
    apart_all = weighted_pairs.distances(draws.normal(size=(num, 4)) + middles[classes], "euclidean")
    return weighted_pairs.of_all_pairs(apart_all, classes)


def rates_covered(make, truth, *, each, times, sizes):
    for num in sizes:
        for repeat in range(each):
            figure = make(np.random.default_rng([num, repeat]), num)
            drawn = resampling.evaluated(figure, resampling.counts(num, times, repeat), np.arange(num))
            left = resampling.evaluated(figure, iter([resampling.left_out(np.arange(num))]), np.arange(num))
            once = float(figure(np.ones((num, 1)))["equal_error_rate"][0])
            low, high, _ = resampling.bias_corrected(once, drawn["equal_error_rate"], left["equal_error_rate"], num)
            if low < high:
                yield low <= truth <= high


def test_intervals_of_the_equal_error_rate_cover_it():
    hits = list(rates_covered(of_given_pairs, stats.norm.cdf(-1), each=30, times=200, sizes=(60, 200)))
    assert np.mean(hits) >= 0.9
    figure = of_vectors(np.random.default_rng(99), 800)
    truth = float(figure(np.ones((800, 1)))["equal_error_rate"][0])
    hits = list(rates_covered(of_vectors, truth, each=30, times=150, sizes=(60,)))
    assert np.mean(hits) >= 0.85  # the slow test below is stricter


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_intervals_of_the_equal_error_rate_of_many_data_sets_cover_it():
    for apart in (1.0, 2.0, 3.5):
        make = lambda draws, num, apart=apart: of_given_pairs(draws, num, apart)  # noqa: E731
        hits = list(rates_covered(make, stats.norm.cdf(-apart / 2), each=100, times=500, sizes=SIZES))
        assert np.mean(hits) >= 0.9, (apart, np.mean(hits))
    figure = of_vectors(np.random.default_rng(99), 3000)
    truth = float(figure(np.ones((3000, 1)))["equal_error_rate"][0])
    hits = list(rates_covered(of_vectors, truth, each=100, times=500, sizes=(27, 60, 200)))
    assert np.mean(hits) >= 0.9


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_grouped_bootstrap_intervals_cover_the_truth():
    found = []
    for repeat in range(300):
        draws = np.random.default_rng(repeat)
        count = int(draws.choice((25, 40, 80)))
        units = np.repeat(np.arange(count), draws.integers(2, 9, count))
        values = draws.normal(size=count)[units] + draws.normal(size=len(units))
        mean = lambda weights, values=values: {"m": values @ weights / weights.sum(0)}  # noqa: E731
        drawn = resampling.evaluated(mean, resampling.counts(count, 600, repeat), units)["m"]
        left = resampling.evaluated(mean, iter([resampling.left_out(units)]), units)["m"]
        bounds = resampling.bias_corrected(float(values.mean()), drawn, left, count)
        found.append(bounds.low <= 0 <= bounds.high)
    assert np.mean(found) >= 0.9


def test_the_table_that_is_simulated_is_one_as_runs_write_it():
    table = classifier(np.random.default_rng(0), 50, apart=2, shares=(1, 1), sharpness=1)
    labels = final_classes.labels_of(table.columns, table.data["classes"])
    real = final_classes.of_classes(labels, table.scores.scores).metrics
    once = weighted.figures(table).weighted(np.ones((50, 1)))
    assert float(once["log_loss"][0]) == pytest.approx(real["log_loss"])
