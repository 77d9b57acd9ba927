"""An audit of tables finds what was planted in real ones, by row and column, and nothing in them as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from torchwork.data.audit import giveaway, tables
from torchwork.data.audit.records import Seen
from torchwork.data.builtin import BreastCancer, Diabetes, Iris, Wine
from torchwork.data.table import Table

Plant = Callable[[pd.DataFrame], tuple[str, str, list[int]]]
RNG = np.random.default_rng(0)


def _wine() -> pd.DataFrame:
    frame = datasets.load_wine(as_frame=True).frame[["ash", "hue", "proline", "magnesium", "target"]]
    return frame.sample(frac=1, random_state=0, ignore_index=True)


def _seen(frame: pd.DataFrame, tmp_path: Path, target: str = "target", **options: object) -> dict[str, Seen]:
    frame.to_csv(tmp_path / "a.csv", index=False)
    found = tables.findings(Table(str(tmp_path / "a.csv"), target, **options))  # type: ignore[arg-type]
    return {seen.finding.code: seen for seen in found}


def _empty(frame):
    frame.loc[[3, 50], "ash"] = np.nan
    frame.loc[[3], "hue"] = np.nan
    return "missing-cells", "3 cells are empty: column 'ash' (2): row 4, row 51; column 'hue' (1): row 4", [3, 50]


def _infinite(frame):
    frame.loc[7, "hue"] = np.inf
    return "infinite-cells", "1 cell is infinite: column 'hue' (1): row 8", [7]


def _one_value(frame):
    frame["unit"] = 1.5
    frame["place"] = "here"
    return "constant-column", "2 columns hold one value only: 'unit', 'place'", []


def _mixed(frame):
    frame["depth"] = RNG.choice(["1.5", "2", "7", "deep"], len(frame), p=[0.3, 0.2, 0.2, 0.3])
    frame.loc[4, "depth"] = "shallow"
    return "mixed-types", "'shallow' in row 5", list(np.flatnonzero(frame["depth"].isin(["deep", "shallow"])))


def _kinds(frame):
    frame["region"] = RNG.integers(1, 6, len(frame))
    return "integer-categories", "'region' (1, 2, 3, 4, 5)", []


def _counter(frame):
    frame["number"] = RNG.permutation(len(frame)) * 13 + 100
    frame["label"] = [f"bottle {row}" for row in RNG.permutation(len(frame))]
    return "identifier", "2 columns have another value in each row: 'number', 'label'", []


def _twice(frame):
    frame.loc[20] = frame.loc[10]
    frame.loc[21] = frame.loc[10]
    return "duplicate-rows", "3 rows are there more than once: row 11 = row 21 = row 22", [10, 20, 21]


def _far(frame):
    frame.loc[9, "ash"] = 40.0
    return "outliers", "row 10 ('ash' is", [9]


def _odd_together(frame):
    numbers = frame.columns.drop("target")
    frame.loc[9, numbers] = frame[numbers].median() + 6 * frame[numbers].std()
    return "outliers", "the isolation forest gives the row", [9]


def _code_of_class(frame):
    frame["grower"] = frame["target"].map({0: "Rossi", 1: "Bruno", 2: "Conti"})
    return "gives-target-away", "'grower' alone avoids 100.0% of the errors", []


def _known_after(frame):
    frame["proline"] = frame["target"] * 10 + RNG.normal(0, 1, len(frame))
    return "gives-target-away", "'proline' alone avoids 99", []


def _missing_says_it(frame):
    frame["award"] = np.where(frame["target"] == 1, RNG.normal(size=len(frame)), np.nan)
    frame["target"] = (frame["target"] == 1).astype(int)
    return "gives-target-away", "'award' alone avoids 100.0% of the errors", []


PLANTED = [
    _empty, _infinite, _one_value, _mixed, _kinds, _counter, _twice, _far, _odd_together, _code_of_class,
    _known_after, _missing_says_it,
]  # fmt: skip


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__.strip("_"))
def test_what_is_planted_is_found_by_row_and_column(plant, tmp_path):
    frame = _wine()
    code, message, rows = plant(frame)
    found = _seen(frame, tmp_path)
    assert message in found[code].finding.message
    assert sorted(row for group in found[code].groups for row in group) == rows
    caused = {_missing_says_it: {"missing-cells"}, _code_of_class: set()}
    assert set(found) == {code} | caused.get(plant, set())


def test_nothing_is_said_of_real_tables_but_what_is_there():
    assert {kind: [seen.finding.code for seen in tables.findings(kind())] for kind in (Iris, Wine, Diabetes)} == {
        Iris: ["duplicate-rows"],  # rows 102 and 143, as is well known
        Wine: [],
        Diabetes: [],
    }
    (seen,) = tables.findings(BreastCancer())
    assert (seen.finding.code, len(seen.groups)) == ("outliers", 15)


def test_of_numbers_the_target_in_other_units_and_equal_inputs_with_other_targets_are_found(tmp_path):
    frame = datasets.load_diabetes(as_frame=True, scaled=False).frame.sample(frac=1, random_state=0, ignore_index=True)
    frame["in_months"] = frame["target"] * 12
    assert "'in_months' alone avoids" in _seen(frame, tmp_path, kind="number")["gives-target-away"].finding.message
    inputs = frame.columns.drop(["target", "in_months"])
    frame.loc[30, inputs] = frame.loc[5, inputs]
    found = _seen(frame, tmp_path, columns=list(inputs), kind="number")
    assert found["two-targets"].groups == ((5, 30),)
    assert "row 6 = row 31" in found["two-targets"].finding.message
    assert "duplicate-rows" not in found


def test_a_column_that_says_much_but_not_all_does_not_give_the_target_away():
    random = np.random.default_rng(1)
    target = random.integers(0, 2, 1000)
    noise = random.random((1000, 3))
    x = np.where(noise < [0.001, 0.05, 0.2], 1 - target[:, None], target[:, None])
    found = giveaway.skills(x.astype(float), target)
    skill = 1 - (x != target[:, None]).sum(0) / min(target.sum(), (1 - target).sum())
    np.testing.assert_allclose(found, skill, atol=0.1)  # those that say little are judged by a fifth of the rows
    assert found[0] == pytest.approx(skill[0])
    assert (found >= giveaway.NEARLY).tolist() == [True, False, False]


def test_rows_learnt_by_heart_are_no_skill():
    random = np.random.default_rng(0)
    numbers, target = random.permutation(500).astype(float), random.integers(0, 2, 500)
    assert giveaway.skills(numbers[:, None], target)[0] < 0.2
    assert giveaway.skills(numbers[:, None], random.normal(size=500))[0] < 0.2
    assert np.isnan(giveaway.skills(numbers[:, None], np.zeros(500, int)))


def test_the_facts_of_columns_are_those_of_pandas(tmp_path):
    frame = _wine()
    frame["colour"] = np.where(frame["hue"] > 1, "red", "blue")
    frame.loc[[1, 2], "ash"] = np.nan
    frame.loc[3, "ash"] = np.inf
    frame.loc[4, "colour"] = None
    frame.to_csv(tmp_path / "a.csv", index=False)
    found = {column.name: column for column in tables.columns(Table(str(tmp_path / "a.csv"), "target"))}
    ash = frame["ash"].replace(np.inf, np.nan).dropna()
    assert found["ash"].facts == {
        "missing": 2,
        "infinite": 1,
        "distinct": ash.nunique(),
        "min": ash.min(),
        "median": ash.median(),
        "max": ash.max(),
    }
    histogram = found["ash"].histogram
    assert histogram.counts == tuple(np.histogram(ash, bins=len(histogram.counts))[0])
    assert (histogram.low, histogram.high) == (ash.min(), ash.max())
    red = (frame["colour"] == "red").sum()
    most = f"red ({red})" if red > 88 else f"blue ({177 - red})"
    assert found["colour"].facts == {"missing": 1, "distinct": 2, "most frequent": most}
    assert found["target"].kind == "target"


def test_tables_of_extreme_numbers_are_looked_at_too(tmp_path):
    frame = pd.DataFrame({"x": [1e308, -1e308, 1e-308] * 20, "y": [0.1] * 60, "target": [0, 1, 1] * 20})
    found = _seen(frame, tmp_path)
    assert {"constant-column", "gives-target-away", "duplicate-rows"} <= set(found)
