"""The tables of a report equal what scikit-learn says of the same predictions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from report.made_run import classification
from torchwork.report import facts, tables
from torchwork.report.facts import Predictions
from torchwork.report.figures import figure


def _predictions(pairs: list[tuple[str, str]]) -> Predictions:
    target, prediction = ([pair[side] for pair in pairs] for side in (0, 1))
    return Predictions("test", [str(i) for i in range(len(pairs))], target, prediction, np.zeros(len(pairs)))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=40))
def test_class_rows_equal_those_of_scikit_learn(pairs):
    found = _predictions(pairs)
    columns, rows = tables.class_rows(found, list("abcd"))
    names = [name for name, _ in rows]
    assert columns == ["precision", "recall", "f1", "support"]
    assert names == sorted({name for pair in pairs for name in pair})
    expected = precision_recall_fscore_support(found.target, found.prediction, labels=names, zero_division=np.nan)
    for (_, shown), *values in zip(rows, *expected, strict=True):
        precision, recall, f1, support = (None if np.isnan(value) else float(value) for value in values)
        figures = [figure(precision), figure(recall), figure(f1 or 0.0), f"{support:.0f}"]
        assert [figure(value) for value in shown] == figures


def test_mistakes_are_ranked_by_how_often_they_were_made():
    found = _predictions([("a", "b")] * 3 + [("b", "a")] * 2 + [("a", "a")] * 7 + [("b", "c")])
    assert tables.confusions(found) == [("a", "b", 3, 0.3), ("b", "a", 2, 2 / 3), ("b", "c", 1, 1 / 3)]
    assert len(tables.confusions(found, most=1)) == 1


def test_classes_keep_the_order_of_the_run_and_unknown_ones_come_after(tmp_path):
    made = facts.read(classification(tmp_path / "run", ["zebra", "ant", "mouse"]))
    assert tables.classes(made, made.predictions["test"]) == ["zebra", "ant", "mouse"]
    stranger = _predictions([("zebra", "yak")])
    assert tables.classes(made, stranger) == ["zebra", "ant", "mouse", "yak"]


def test_class_counts_have_a_row_for_each_class_and_a_column_for_each_split(tmp_path):
    made = facts.read(classification(tmp_path / "run", ["b", "a"], num=41))
    assert tables.class_counts(made) == (["train", "val", "test"], [("b", [21, 21, 21]), ("a", [20, 20, 20])])


def test_metrics_that_one_split_lacks_show_a_dash(tmp_path):
    directory = classification(tmp_path / "run", ["a", "b"])
    (directory / "metrics.json").write_text(
        '{"val": {"loss": 0.5}, "test": {"loss": "NaN", "accuracy": 0.75, "f1/a": 1.0}}'
    )
    splits, rows = tables.metrics(facts.read(directory), "test")
    assert splits == ["test", "val"]
    assert [(name, [value.value for value in values]) for name, values in rows] == [
        ("accuracy", ["0.7500", "–"]),
        ("loss", ["NaN", "0.5000"]),
    ]


def test_a_class_that_was_never_predicted_has_a_dash_for_its_precision_in_the_usual_order_of_columns(tmp_path):
    directory = classification(tmp_path / "run", ["a", "b"])
    (directory / "metrics.json").write_text(
        '{"test": {"recall/a": 0.0, "f1/a": 0.0, "support/a": 2, '
        '"precision/b": 0.5, "recall/b": 1.0, "f1/b": 0.6667, "support/b": 2}}'
    )
    names, rows = tables.metrics_by_part(facts.read(directory), "test")
    assert names == ["precision", "recall", "f1", "support"]
    shown = {name: [figure(value) for value in values] for name, values in rows}
    assert shown == {"a": ["–", "0.0", "0.0", "2"], "b": ["0.5000", "1.000", "0.6667", "2"]}


def test_of_too_many_classes_the_worst_are_kept_then_by_name():
    parts = [("d", [None]), ("c", [0.5]), ("b", [0.0]), ("a", [0.5]), ("e", ["NaN"]), ("f", [1.0])]
    assert [name for name, _ in tables.worst(["f1"], parts)] == ["b", "a", "c", "f", "d", "e"]
