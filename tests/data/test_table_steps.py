"""Steps of tables against scikit-learn: fitted on the training rows alone, whatever the table holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler

from torchwork.data.memory import Rows
from torchwork.data.transform import Pipeline
from torchwork.types import InputError, Schema

NAN = float("nan")
SCALERS = {"Standardize": StandardScaler, "RobustScale": RobustScaler, "Normalize": StandardScaler}
CELLS = st.one_of(
    st.floats(-1e6, 1e6, width=32), st.sampled_from([0.0, 1.0, 0.1, -7.0, 1e12]), st.just(NAN), st.integers(-5, 5)
)


def _table(numbers: Any, texts: Any = None) -> Rows:
    numbers = np.asarray(numbers, np.float64)
    words = (
        np.empty((len(numbers), 0), object) if texts is None else np.asarray(texts, object).reshape(len(numbers), -1)
    )
    schema = Schema(
        "table",
        "class",
        numbers=tuple(f"x{place}" for place in range(numbers.shape[1])),
        categories=tuple(f"c{place}" for place in range(words.shape[1])),
    )
    return Rows(numbers, words, np.arange(len(numbers)) % 2, schema)


def _through(specs: list[dict[str, Any]], source: Rows, train: np.ndarray) -> np.ndarray:
    """Fit on ``train``, save, load into another pipeline, and return all rows of it, float64."""
    fitted, again = Pipeline(specs, source.schema), Pipeline(specs, source.schema)
    fitted.fit(source, train)
    again.load(fitted.state(), fitted.facts())
    results = []
    for pipeline in (fitted, again):
        pipeline.dtype = torch.float64
        results.append(pipeline.finish(pipeline.prepare(source.read(np.arange(len(source)), epoch=0)[0])).numpy())
    np.testing.assert_array_equal(*results)
    return results[0]


def _close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@st.composite
def _holed(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Return a table with holes, each column with a value in the training rows, and those rows."""
    rows, columns = draw(st.integers(3, 12)), draw(st.integers(1, 4))
    table = np.array(draw(st.lists(st.lists(CELLS, min_size=columns, max_size=columns), min_size=rows, max_size=rows)))
    if draw(st.booleans()):  # a constant column
        table[:, 0] = draw(st.sampled_from([0.0, 0.1, 3.0, 1e9 / 3]))
    train = np.sort(draw(st.permutations(range(rows)))[: draw(st.integers(2, rows))])
    for column in range(columns):
        if np.isnan(table[train, column]).all():
            table[train[0], column] = 2.0
    return table.astype(np.float64), np.asarray(train)


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
@settings(max_examples=30, deadline=None)
@given(_holed())
def test_what_is_filled_in_is_what_scikit_learn_fits_on_the_training_rows(strategy, case):
    table, train = case
    expected = SimpleImputer(strategy=strategy).fit(table[train]).transform(table)
    _close(_through([{"name": "Impute", "strategy": strategy}], _table(table), train), expected)


@pytest.mark.parametrize("name", SCALERS)
@settings(max_examples=30, deadline=None)
@given(_holed())
def test_scaled_columns_are_those_of_scikit_learn_after_its_imputer(name, case):
    table, train = case
    imputer = SimpleImputer(strategy="median").fit(table[train])
    scaler = SCALERS[name]().fit(imputer.transform(table[train]))
    specs = [{"name": "Impute", "strategy": "median"}, {"name": name}]
    found, expected = _through(specs, _table(table), train), scaler.transform(imputer.transform(table))
    scale = np.maximum(1.0, np.abs(table).max(initial=1.0, where=~np.isnan(table)) / scaler.scale_)
    np.testing.assert_allclose(found / scale, expected / scale, rtol=1e-9, atol=1e-9)


def test_figures_are_those_of_the_training_rows_and_of_no_others():
    table = np.array([[1.0], [2.0], [NAN], [6.0], [1000.0], [NAN]])
    for strategy, value in {"mean": 3.0, "median": 2.0}.items():
        found = _through([{"name": "Impute", "strategy": strategy}], _table(table), np.arange(4))
        assert found[:, 0].tolist() == [1, 2, value, 6, 1000, value]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=2, max_size=2), min_size=2, max_size=9))
def test_categories_are_those_of_scikit_learn(texts):
    words = np.array(texts, object)
    source, everything = _table(np.zeros((len(texts), 0)), words), np.arange(len(texts))
    filled = SimpleImputer(
        strategy="constant", fill_value="missing", missing_values=None, keep_empty_features=True
    ).fit_transform(words)
    one_hot = OneHotEncoder(sparse_output=False).fit(filled)
    _close(_through([{"name": "Impute"}, {"name": "OneHot"}], source, everything), one_hot.transform(filled))
    ordinal = OrdinalEncoder().fit(filled)
    _close(_through([{"name": "Impute"}, {"name": "Ordinal"}], source, everything), ordinal.transform(filled))
    if all(word is not None for column in words.T for word in column[:1]):
        common = SimpleImputer(strategy="most_frequent", missing_values=None).fit_transform(words)
        specs = [{"name": "Impute", "strategy": "most_frequent"}, {"name": "Ordinal"}]
        _close(_through(specs, source, everything), OrdinalEncoder().fit_transform(common))


def test_what_train_lacks_is_an_error_or_what_the_step_says():
    source = _table(np.zeros((3, 0)), [["b"], ["a"], ["z"]])
    for name, option, last in (("OneHot", "zeros", [0, 0]), ("Ordinal", -1, [-1]), ("Ordinal", 7.5, [7.5])):
        found = _through([{"name": name, "unknown": option}], source, np.arange(2))
        assert found[2].tolist() == last
        with pytest.raises(InputError, match="column 'c0' holds 'z', which the training split lacks"):
            _through([{"name": name}], source, np.arange(2))
    ordered = _through([{"name": "Ordinal", "order": ["z", "b", "a"]}], source, np.arange(2))
    assert ordered[:, 0].tolist() == [1, 2, 0]
    with pytest.raises(InputError, match="holds 'a'"):
        _through([{"name": "Ordinal", "order": ["z", "b"]}], source, np.arange(2))


def test_each_column_has_the_step_that_names_it_and_the_rest_the_one_that_names_none():
    table = np.array([[1.0, 10.0, NAN, NAN], [3.0, 30.0, 4.0, 5.0], [NAN, 90.0, 8.0, 5.0]])
    source = _table(table, [["a", "x"], ["b", "y"], [None, "y"]])
    specs = [
        {"name": "Impute", "strategy": "median", "columns": ["x0"]},
        {"name": "Impute", "strategy": "constant", "fill": -1, "columns": ["x2"]},
        {"name": "Impute"},
        {"name": "Ordinal", "columns": ["c0"]},
        {"name": "RobustScale", "columns": ["x1"]},
        {"name": "Standardize", "columns": ["c0", "x0"]},
    ]
    found = _through(specs, source, np.arange(3))
    x0 = StandardScaler().fit_transform(np.array([[1.0], [3.0], [2.0]]))
    c0 = StandardScaler().fit_transform(np.array([[0.0], [1.0], [2.0]]))  # a, b, missing
    x1 = RobustScaler().fit_transform(table[:, 1:2])
    expected = np.concatenate([x0, x1, [[-1.0], [4], [8]], [[5.0], [5], [5]], c0, [[1, 0], [0, 1], [0, 1]]], 1)
    _close(found, expected)


def test_infinite_cells_are_filled_in_as_missing_ones_are():
    table = np.array([[1.0], [np.inf], [3.0], [-np.inf]])
    found = _through([{"name": "Impute"}], _table(table), np.arange(4))
    assert found[:, 0].tolist() == [1, 2, 3, 2]


def test_cells_that_no_step_fills_are_told_by_column():
    source = _table([[1.0, NAN], [NAN, 2.0], [2.0, NAN]], [["a"], [None], ["a"]])
    with pytest.raises(InputError, match=r"1 cell is missing or infinite, in 'c0' \(1\)"):
        Pipeline([], source.schema).fit(source, np.arange(3))
    pipeline = Pipeline([{"name": "Impute", "columns": ["c0"]}], source.schema)
    pipeline.fit(source, np.arange(3))
    with pytest.raises(InputError, match=r"3 cells are missing or infinite, in 'x0' \(1\), 'x1' \(2\)"):
        pipeline.prepare(source.read(np.arange(3), epoch=0)[0])


def test_a_column_without_a_training_value_has_no_figure():
    source = _table([[NAN, 1.0], [NAN, 2.0], [5.0, 3.0]])
    with pytest.raises(InputError, match="no training row has a value in 'x0'"):
        Pipeline([{"name": "Impute"}], source.schema).fit(source, np.arange(2))
    found = _through([{"name": "Impute", "strategy": "constant", "fill": 9}], source, np.arange(2))
    assert found[:, 0].tolist() == [9, 9, 5]


WRONG = {
    "a column that is not there": (
        [{"name": "Impute", "columns": ["x0", "x9"]}],
        "columns[1]",
        "there is no input column",
    ),
    "a step twice": ([{"name": "Impute"}, {"name": "Impute"}], "[1]", "both stand for all columns"),
    "two scalers": ([{"name": "Standardize"}, {"name": "RobustScale"}], "[1]", "both stand for all columns"),
    "a column twice": (
        [{"name": "RobustScale", "columns": ["x0"]}, {"name": "Standardize", "columns": ["x1", "x0"]}],
        "[1].columns",
        "'x0' would be scaled twice",
    ),
    "a column twice in one step": ([{"name": "Impute", "columns": ["x0", "x0"]}], "columns", "'x0' would be"),
    "no column": ([{"name": "Ordinal", "columns": []}], "columns", "names no column"),
    "numbers encoded": (
        [{"name": "OneHot", "columns": ["x0"]}],
        "columns",
        "cannot take column 'x0', which holds numbers",
    ),
    "categories scaled": (
        [{"name": "Standardize", "columns": ["c0"]}],
        "columns",
        "cannot take column 'c0', which holds categories",
    ),
    "a text among numbers": (
        [{"name": "Impute", "strategy": "constant", "fill": "none", "columns": ["x0"]}],
        "columns",
        "cannot take column 'x0'",
    ),
    "filling after scaling": ([{"name": "Standardize"}, {"name": "Impute"}], "[1]", "Impute stands after Standardize"),
    "filling after encoding": ([{"name": "OneHot"}, {"name": "Impute"}], "[1]", "Impute stands after OneHot"),
    "encoding after scaling": (
        [{"name": "RobustScale"}, {"name": "Ordinal"}],
        "[1]",
        "Ordinal stands after RobustScale",
    ),
    "images": ([{"name": "Resize", "size": 3}], "[0]", "the samples are rows of a table"),
    "constant without a value": ([{"name": "Impute", "strategy": "constant"}], "[0]", "constant needs one"),
    "a value without constant": ([{"name": "Impute", "fill": 3}], "[0]", "constant needs one"),
    "levels twice": ([{"name": "Ordinal", "order": ["a", "a"]}], "[0]", "each level once"),
}


@pytest.mark.parametrize(("specs", "where", "message"), WRONG.values(), ids=WRONG)
def test_steps_that_do_not_fit_are_refused_in_words(specs, where, message):
    with pytest.raises(InputError) as caught:
        Pipeline(specs, _table(np.zeros((2, 2)), [["a"], ["b"]]).schema)
    (finding,) = caught.value.findings
    assert finding.where.endswith(where)
    assert message in finding.message


def test_the_nearest_column_is_named_and_all_mistakes_are_told_at_once():
    schema = Schema("table", "class", numbers=("height", "width"), categories=("colour",))
    specs = [{"name": "Impute", "columns": ["hight"]}, {"name": "OneHot", "columns": ["color", "width"]}]
    with pytest.raises(InputError) as caught:
        Pipeline(specs, schema)
    assert [(finding.where, finding.fix) for finding in caught.value.findings] == [
        ("data.transform[0].columns", "did you mean 'height'?"),
        ("data.transform[1].columns[0]", "did you mean 'colour'?"),
        ("data.transform[1].columns[1]", "list the column in data.source.categories, if its numbers are categories"),
    ]


def test_the_steps_are_told_with_their_columns():
    schema = Schema("table", "class", numbers=("height", "width"), categories=("colour", "size"))
    specs = [
        {"name": "Impute", "strategy": "median"},
        {"name": "Ordinal", "columns": ["size"]},
        {"name": "Standardize", "columns": ["width"]},
    ]
    assert Pipeline(specs, schema).describe() == [
        "Impute(median)",
        "Ordinal(unknown: error): size",
        "Standardize(): width",
        "OneHot(unknown: error): colour",
    ]
