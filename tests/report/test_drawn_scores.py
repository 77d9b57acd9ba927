"""What the report draws of scores, pairs and sequences, from run directories written by hand."""

import numpy as np
import pytest
from sklearn import metrics

from report import made_run
from torchwork import rundir
from torchwork.report import drawings, facts
from torchwork.report.drawn import scores, training


def names(directory):
    drawn, failed = drawings.draw(facts.read(directory))
    assert not [finding for finding in failed if finding.where in ("plots of predictions", "plots of training")]
    return [drawing.name for drawing in (*drawn["predictions"], *drawn["training"])]


def changed(directory, **data):
    path = directory / rundir.DATA
    rundir.write_json(path, {**rundir.read_json(path), **data})
    return facts.read(directory)


def vectors(directory, output, target, loss):
    """Make a run of vectors of a run of classes."""
    made_run.classification(directory, ["a", "b"], num=len(target))
    (directory / rundir.ARRAYS).mkdir()
    arrays = {"id": np.arange(len(target)), "output": np.asarray(output), "target": np.asarray(target)}
    np.savez(directory / rundir.ARRAYS / "outputs-test.npz", **arrays)
    return changed(directory, task="embedding", loss=loss)


def test_a_classifier_gets_its_curves_calibration_and_scores(tmp_path):
    directory = made_run.classification(tmp_path / "run", ["cat", "dog", "<b>"])
    drawn = names(directory)
    assert drawn == [
        "confusion_matrix-test",
        *(f"{name}-test" for name in ("roc", "precision_recall", "calibration", "score_histograms")),
        "curves",
    ]


def test_a_regression_gets_its_errors_and_no_curves_of_rates(tmp_path):
    assert names(made_run.regression(tmp_path / "run")) == [
        "predicted_against_true-test",
        "error_quantiles-test",
        "curves",
    ]


def test_without_scores_nothing_is_drawn_of_them(tmp_path):
    directory = made_run.classification(tmp_path / "run", [f"class {k}" for k in range(30)])
    assert names(directory) == ["confusion_matrix-test", "curves"]


def test_scores_that_are_no_probabilities_have_no_calibration(tmp_path):
    directory = made_run.classification(tmp_path / "run", ["cat", "dog"])
    rows = [[k, "cat", "dog", 1.0, 5.0 - k, 3.0 * k] for k in range(9)] + [[9, "dog", "dog", 0.1, 0.0, 30.0]]
    header = ["id", "target", "prediction", "loss", "score_cat", "score_dog"]
    rundir.write_csv(directory / rundir.predictions("test"), header, rows)
    assert "calibration-test" not in names(directory)


def test_a_threshold_that_was_chosen_is_marked_and_told(tmp_path):
    directory = made_run.classification(tmp_path / "run", ["cat", "dog"])
    rundir.write_json(directory / rundir.CHOSEN, {"threshold": {"value": 0.37, "by": "f1"}})
    last = list(scores.score_drawings(facts.read(directory)))[-1]
    assert "0.37" in last.caption


@pytest.mark.parametrize("loss", ["TripletMarginLoss", "CosineEmbeddingLoss"])
def test_pairs_of_vectors_are_told_apart_by_the_measure_of_the_loss(loss, tmp_path, monkeypatch):
    numbers = np.random.default_rng(0)
    target = np.arange(30) % 2
    found = vectors(tmp_path / "run", numbers.normal(size=(30, 4)) + 3 * target[:, None], target, loss)
    kept = []
    original = scores.verification
    monkeypatch.setattr(scores, "verification", lambda *given: kept.append(given) or original(*given))
    (drawing,) = scores.pair_drawings(found)
    ((same, likeness),) = kept
    output = np.load(found.directory / rundir.ARRAYS / "outputs-test.npz")["output"]
    one, other = np.triu_indices(30, 1)
    assert np.array_equal(same, target[one] == target[other])
    if loss == "CosineEmbeddingLoss":
        expected = metrics.pairwise.cosine_similarity(output)[one, other]
    else:
        expected = -np.linalg.norm(output[one] - output[other], axis=1)
    np.testing.assert_allclose(likeness, expected, atol=1e-9)
    assert "all pairs of the 30 test samples" in drawing.caption


def test_pairs_as_given_are_drawn_by_their_distances_and_triplets_are_not(tmp_path, monkeypatch):
    found = vectors(tmp_path / "run", np.zeros((4, 2, 3)), [1, -1, 1, -1], "CosineEmbeddingLoss")
    rows = [[k, sign, apart, 0.1] for k, (sign, apart) in enumerate([(1, 0.1), (-1, 0.9), (1, 0.4), (-1, 0.3)])]
    rundir.write_csv(found.directory / rundir.predictions("test"), ["id", "target", "prediction", "loss"], rows)
    kept = []
    original = scores.verification
    monkeypatch.setattr(scores, "verification", lambda *given: kept.append(given) or original(*given))
    assert len(list(scores.pair_drawings(found))) == 1
    assert kept[0][0].tolist() == [True, False, True, False]
    np.testing.assert_allclose(kept[0][1], [0.9, 0.1, 0.6, 0.7])
    triplets = vectors(tmp_path / "triplets", np.zeros((4, 3, 3)), [0, 0, 1, 1], "TripletMarginLoss")
    assert not list(scores.pair_drawings(triplets))


def test_errors_of_sequences_are_drawn_by_length(tmp_path, monkeypatch):
    directory = made_run.classification(tmp_path / "run", ["a", "b"])
    rows = [[0, "ab", "ab", 0.1], [1, "abab", "aba", 0.2], [2, "", "a", 0.3]]
    rundir.write_csv(directory / rundir.predictions("test"), ["id", "target", "prediction", "loss"], rows)
    kept = []
    original = scores.error_by_length
    monkeypatch.setattr(scores, "error_by_length", lambda *given: kept.append(given) or original(*given))
    assert len(list(scores.length_drawings(changed(directory, task="sequence")))) == 1
    lengths, wrong = kept[0]
    assert lengths == [2, 4, 0]
    np.testing.assert_array_equal(wrong, [0.0, 0.25, np.nan])


def test_layers_are_drawn_where_they_were_measured(tmp_path):
    directory = made_run.classification(tmp_path / "run", ["cat", "dog"])
    assert not list(training.layer_drawings(facts.read(directory)))
    header = ["epoch", "step", "layer", "weight_norm", "grad_norm", "update_ratio"]
    rundir.write_csv(directory / rundir.LAYERS, header, [[1, 10, "<b>fc</b>", 1.0, 0.5, 0.001]])
    (drawing,) = training.layer_drawings(facts.read(directory))
    assert "&lt;b&gt;fc&lt;/b&gt;" in drawing.element
    assert "0.001" in drawing.caption


@pytest.mark.parametrize("content", ["", "id\n", "id,target,prediction,loss,score_cat,score_dog\n", "\x00"])
def test_a_table_that_is_empty_or_broken_takes_no_other_plot_with_it(content, tmp_path):
    directory = made_run.classification(tmp_path / "run", ["cat", "dog"])
    (directory / rundir.predictions("test")).write_text(content, encoding="utf-8")
    drawn, _ = drawings.draw(facts.read(directory))
    assert [drawing.name for drawing in drawn["training"]] == ["curves"]
