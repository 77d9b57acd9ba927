"""Plots of scores are read back: their points, bins and counts are those of scikit-learn and numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import calibration as sk_calibration
from sklearn import metrics

from torchwork.metrics.final_numbers import of_numbers
from torchwork.metrics.probabilities import calibration_error
from torchwork.report.plots import (
    calibration,
    confusion_matrix,
    error_by_length,
    error_quantiles,
    precision_recall,
    roc,
    score_histograms,
    verification,
)
from torchwork.report.plots.class_curves import thinned
from torchwork.report.plots.reliability import equal_counts
from torchwork.report.plots.same_different import equal_error_rate
from torchwork.report.plots.thresholds import area, average_precision, precision_recall_points, roc_points

DECIMALS = st.integers(0, 8).map(lambda number: number / 8)  # few, so that scores are equal


def scored(num_classes, count, seed=0):
    numbers = np.random.default_rng(seed)
    target = numbers.integers(0, num_classes, count)
    raw = numbers.normal(size=(count, num_classes))
    raw[np.arange(count), target] += 1.5
    return target, np.exp(raw) / np.exp(raw).sum(1, keepdims=True)


def lines(figure):
    """Return the points of each curve by what the legend says of it, without its area."""
    said = {line.get_label(): line.get_xydata().T for line in figure.axes[0].lines}
    return {name.split("  ", 1)[1]: (float(name.split("  ")[0]), points) for name, points in said.items()}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), DECIMALS), min_size=2, max_size=40))
def test_points_and_areas_equal_those_of_scikit_learn(pairs):
    present, scores = (np.array(column) for column in zip(*pairs, strict=True))
    if present.any() and not present.all():
        false_rate, true_rate, _ = metrics.roc_curve(present, scores)
        np.testing.assert_allclose(roc_points(present, scores), (false_rate, true_rate), atol=1e-12)
        expected = metrics.roc_auc_score(present, scores)
        assert area(*roc_points(present, scores)) == pytest.approx(expected, abs=1e-12)
    if present.any():
        precision, recall, _ = metrics.precision_recall_curve(present, scores, drop_intermediate=True)
        found = precision_recall_points(present, scores)
        np.testing.assert_allclose(found, (precision, recall), atol=1e-12)
        expected = metrics.average_precision_score(present, scores)
        assert average_precision(*found) == pytest.approx(expected, abs=1e-12)


def test_roc_draws_the_curve_of_each_class_with_its_area():
    target, scores = scored(3, 150)
    drawn = lines(roc(target, scores, ["a", "b", "c"]))
    for place, name in enumerate("abc"):
        said, points = drawn[f"{name} ({(target == place).sum()} of 150)"]
        false_rate, true_rate, _ = metrics.roc_curve(target == place, scores[:, place])
        np.testing.assert_allclose(points, (false_rate, true_rate))
        assert said == pytest.approx(metrics.roc_auc_score(target == place, scores[:, place]), abs=6e-4)


def test_roc_averages_are_scikit_learns_micro_and_macro_areas():
    target, scores = scored(4, 120)
    drawn = lines(roc(target, scores))
    said, points = drawn["mean of 4 classes (macro)"]
    macro = metrics.roc_auc_score(target, scores, multi_class="ovr", average="macro")
    assert said == pytest.approx(macro, abs=6e-4)
    assert area(*points) == pytest.approx(macro, abs=1e-12)  # the curve itself, jumps and all
    one_hot = np.eye(4)[target]
    said, points = drawn["all decisions together (micro)"]
    np.testing.assert_allclose(points, metrics.roc_curve(one_hot.ravel(), scores.ravel())[:2])
    assert said == pytest.approx(metrics.roc_auc_score(one_hot, scores, average="micro"), abs=6e-4)


def test_roc_of_two_classes_is_that_of_the_second_one():
    target, scores = scored(2, 80)
    for given_scores in (scores, scores[:, 1]):
        drawn = lines(roc(target, given_scores, ["ham", "spam"]))
        assert len(drawn) == 2  # and what guessing gives
        _, points = drawn[f"spam ({target.sum()} of 80)"]
        np.testing.assert_allclose(points, metrics.roc_curve(target, scores[:, 1])[:2])


def test_precision_recall_draws_each_class_and_averages_whose_areas_are_scikit_learns():
    target, scores = scored(3, 150)
    drawn = lines(precision_recall(target, scores, ["a", "b", "c"]))
    one_hot = np.eye(3)[target]
    for place, name in enumerate("abc"):
        said, points = drawn[f"{name} ({(target == place).sum()} of 150)"]
        precision, recall, _ = metrics.precision_recall_curve(
            one_hot[:, place], scores[:, place], drop_intermediate=True
        )
        np.testing.assert_allclose(points, (recall, precision))
        assert said == pytest.approx(metrics.average_precision_score(one_hot[:, place], scores[:, place]), abs=6e-4)
    for name, average in (("mean of 3 classes (macro)", "macro"), ("all decisions together (micro)", "micro")):
        said, (recall, precision) = drawn[name]
        expected = metrics.average_precision_score(one_hot, scores, average=average)
        assert said == pytest.approx(expected, abs=6e-4)
        assert average_precision(precision, recall) == pytest.approx(expected, abs=1e-12)


def test_labels_are_decided_one_by_one():
    numbers = np.random.default_rng(0)
    target, scores = numbers.integers(0, 2, (60, 3)), numbers.random((60, 3))
    drawn = lines(roc(target, scores, ["x", "y", "z"]))
    _, points = drawn[f"y ({target[:, 1].sum()} of 60)"]
    np.testing.assert_allclose(points, metrics.roc_curve(target[:, 1], scores[:, 1])[:2])
    said, _ = drawn["all decisions together (micro)"]
    assert said == pytest.approx(metrics.roc_auc_score(target, scores, average="micro"), abs=6e-4)


def test_of_many_classes_the_averages_the_worst_and_the_best_are_drawn():
    target, scores = scored(20, 600)
    said = legend(roc(target, scores))
    areas = sorted(metrics.roc_auc_score(target == k, scores[:, k]) for k in range(20))
    assert [float(text.split()[0]) for text in said[2:7]] == pytest.approx([*areas[:3], *areas[-2:]], abs=6e-4)
    assert said[-1] == "of 20 classes the worst 3 and the best 2 are drawn"


def test_what_cannot_be_drawn_is_counted():
    target = ["a", "b", "?", "a", "b"]
    scores = [[0.9, 0.1, 0], [0.2, 0.8, 0], [0.3, 0.7, 0], [np.nan, 0.5, 0], [0.4, 0.6, 0]]
    said = legend(roc(target, scores, ["a", "b", "c"]))
    assert "1 of 5 samples left out: their class is not known" in said
    assert "1 of 5 samples left out: their scores are not finite" in said
    assert "1 of 3 classes left out: no sample or every one is of them" in said
    alone = roc([0, 0], [[0.9, 0.1], [0.2, 0.8]])
    assert alone.axes == []
    assert "There is no ROC curve" in alone.texts[0].get_text()


def test_long_curves_are_thinned_to_points_of_their_own_that_nobody_misses():
    target, scores = scored(2, 60_000)
    x, y = roc_points(target == 1, scores[:, 1])
    kept_x, kept_y = thinned(x, y)
    assert len(kept_x) < 900 < len(x)
    everything = set(zip(x.tolist(), y.tolist(), strict=True))
    assert set(zip(kept_x.tolist(), kept_y.tolist(), strict=True)) <= everything
    ends = np.stack([kept_x, kept_y], axis=1)
    for point in np.stack([x, y], axis=1)[::50]:  # how far it lies from the nearest of the straights that are drawn
        along, to = np.diff(ends, axis=0), point - ends[:-1]
        place = np.clip((along * to).sum(1) / (along**2).sum(1), 0, 1)
        assert np.linalg.norm(to - place[:, None] * along, axis=1).min() < 0.004


def test_calibration_draws_the_means_and_shares_of_bins_of_equal_counts():
    target, scores = scored(2, 300)
    figure = calibration(target, scores, ["ham", "spam"])
    share, mean = sk_calibration.calibration_curve(target, scores[:, 1], n_bins=15, strategy="quantile")
    drawn = figure.axes[0].containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(drawn, np.stack([mean, share], axis=1), atol=0.035)  # its edges fall between samples
    bins = equal_counts(scores[:, 1], target == 1, 15)
    np.testing.assert_allclose(drawn, [(each.probability, each.right) for each in bins])
    assert [each.count for each in bins] == [20] * 15
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    assert heights == np.histogram(scores[:, 1], np.linspace(0, 1, 26))[0].tolist()


def test_calibration_says_the_same_error_as_the_metrics():
    for num_classes in (2, 5):
        target, scores = scored(num_classes, 200)
        expected = calibration_error(scores.max(1), scores.argmax(1) == target)
        assert calibration(target, scores).axes[0].get_title(loc="left") == f"calibration error {expected:.3f}"


def test_calibration_of_several_classes_is_that_of_the_predicted_one_with_wilsons_intervals():
    target, scores = scored(5, 45)
    container = calibration(target, scores).axes[0].containers[0]
    right = scores.argmax(1) == target
    bins = equal_counts(scores.max(1), right, 15)
    assert len(bins) == 2
    (segments,) = container.lines[2]
    for segment, each in zip(segments.get_segments(), bins, strict=True):
        p, n, z = each.right, each.count, 1.959963984540054
        middle, half = (
            (p + z**2 / 2 / n) / (1 + z**2 / n),
            z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / 4 / n**2),
        )
        np.testing.assert_allclose(segment[:, 1], [middle - half, middle + half], atol=1e-9)


def test_what_is_no_probability_is_left_out_of_calibration():
    figure = calibration([0, 1, 1], [[0.5, 0.5], [-3.0, 4.0], [0.1, 0.9]])
    assert sum(bar.get_height() for bar in figure.axes[1].patches) == 2
    logits = calibration([0, 1], [[5.0, -5.0], [-2.0, 3.0]])
    assert logits.axes == []
    assert "no probabilities" in logits.texts[0].get_text()


def bars(axes):
    return [bar.get_height() for bar in axes.patches]


def test_score_histograms_of_two_classes_count_the_second_ones_score_by_class():
    target, scores = scored(2, 200)
    figure = score_histograms(target, scores, ["ham", "spam"], threshold=0.3)
    for place, axes in enumerate(figure.axes):
        assert bars(axes) == np.histogram(scores[target == place, 1], np.linspace(0, 1, 41))[0].tolist()
        assert axes.lines[0].get_xdata() == [0.3, 0.3]
    assert figure.axes[1].get_title(loc="left") == f"{target.sum()} of spam"


def test_score_histograms_of_more_classes_part_right_from_wrong():
    target, scores = scored(4, 200)
    right, edges = scores.argmax(1) == target, np.linspace(0, 1, 41)
    of_true = scores[np.arange(200), target]
    drawn = [bars(axes) for axes in score_histograms(target, scores).axes]
    groups = (of_true[right], of_true[~right], scores.max(1)[~right])
    assert drawn == [np.histogram(group, edges)[0].tolist() for group in groups]


def test_verification_draws_both_histograms_the_curve_and_the_equal_error_rate():
    numbers = np.random.default_rng(0)
    same = numbers.random(400) < 0.3
    likeness = numbers.normal(size=400) + same
    different, equal, below = verification(same, likeness).axes
    edges = np.linspace(likeness.min(), likeness.max(), 41)
    assert bars(different) == np.histogram(likeness[~same], edges)[0].tolist()
    assert bars(equal) == np.histogram(likeness[same], edges)[0].tolist()
    false_rate, true_rate, _ = metrics.roc_curve(same, likeness)
    np.testing.assert_allclose(below.lines[0].get_xydata().T, (false_rate, true_rate))
    ((x, y),) = below.lines[2].get_xydata()
    assert x == pytest.approx(1 - y)
    assert np.interp(x, false_rate, true_rate) == pytest.approx(y, abs=0.02)
    assert f"area {metrics.roc_auc_score(same, likeness):.3f}" in below.get_title(loc="left")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), DECIMALS), min_size=2, max_size=40))
def test_the_equal_error_rate_lies_on_the_curve_where_both_mistakes_are_equal(pairs):
    same, likeness = (np.array(column) for column in zip(*pairs, strict=True))
    if same.all() or not same.any():
        return
    x, y = roc_points(same, likeness)
    rate = equal_error_rate(x, y)
    apart = [
        abs((1 - rate - y0) * (x1 - x0) - (rate - x0) * (y1 - y0))
        for x0, y0, x1, y1 in zip(x[:-1], y[:-1], x[1:], y[1:], strict=True)
    ]
    assert 0 <= rate <= 1
    assert min(apart) < 1e-12


def test_error_quantiles_draw_the_histogram_and_the_share_below_each_size():
    target, prediction = np.random.default_rng(0).normal(size=(2, 120))
    errors = prediction - target
    above, below = error_quantiles(target, prediction).axes
    assert bars(above) == np.histogram(errors, np.linspace(errors.min(), errors.max(), 41))[0].tolist()
    assert above.lines[1].get_xdata()[0] == pytest.approx(errors.mean())
    x, share = below.lines[0].get_xydata().T
    np.testing.assert_allclose(x, np.sort(np.abs(errors)))
    np.testing.assert_allclose(share, np.arange(1, 121) / 120)


@pytest.mark.parametrize("count", [1, 2, 5, 66, 67])
def test_error_quantiles_are_marked_where_the_metrics_have_them(count):
    target, prediction = np.random.default_rng(3).normal(scale=100, size=(2, count))
    found = of_numbers(target[:, None], prediction[:, None], (), counts=False).metrics
    below = error_quantiles(target, prediction).axes[1]
    said = [text.get_text() for text in below.get_legend().get_texts()]
    for line, name, metric in zip(
        below.lines[1:], ("median", "90% quantile"), ("median_absolute_error", "absolute_error_q90"), strict=True
    ):
        assert line.get_xdata()[0] == pytest.approx(found[metric], rel=1e-12)
        assert f"{name} {found[metric]:.3g}" in said


def test_error_by_length_says_what_is_without_symbols_and_what_is_not_finite():
    def title(length, error):
        return error_by_length(length, error).axes[0].get_title("left")

    assert title([0, 0, 2], [np.nan, np.nan, 0.5]) == "2 samples without symbols left out"
    assert title([0, 2, 2], [np.nan, np.inf, 0.5]) == (
        "1 sample without symbols left out, 1 left out: their error is not finite"
    )
    assert title([1, 2], [0.5, 0.5]) == ""


def test_error_by_length_draws_the_mean_of_every_group_and_its_size():
    numbers = np.random.default_rng(0)
    lengths, errors = numbers.integers(1, 50, 400), numbers.random(400)
    above, below = error_by_length(lengths, errors).axes
    names = [text.get_text() for text in above.get_xticklabels()] or [
        text.get_text() for text in below.get_xticklabels()
    ]
    assert sum(bars(below)) == 400
    for name, height, count in zip(names, bars(above), bars(below), strict=True):
        low, _, high = name.partition("–")
        held = (lengths >= int(low)) & (lengths <= int(high or low))
        assert count == held.sum()
        assert height == pytest.approx(errors[held].mean())


def test_long_names_that_are_alike_at_both_ends_are_told_apart():
    target, scores = scored(40, 400)
    names = [f"one name of many, kind {number:02d}, as all of them are called here" for number in range(40)]
    drawn = [name for name in lines(roc(target, scores, names)) if name.startswith("…nd ")]
    assert len({name[4:6] for name in drawn}) == 5
    figure = confusion_matrix([names[place] for place in target], [names[place] for place in target], names)
    assert len({text.get_text() for text in figure.axes[0].get_yticklabels()}) == 40
