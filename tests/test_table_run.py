"""Runs on tables as they are: with holes, rows without a target, rows far from all others."""

from __future__ import annotations

import signal

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
from sklearn import datasets
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import RobustScaler, StandardScaler

import torchwork
from torchwork import rundir
from torchwork.training.interrupt import Interrupted
from torchwork.types import InputError

HOLED = ["ash", "hue", "proline"]


class _StopAt:
    """A progress that stops a run after a step."""

    def __init__(self, last: int) -> None:
        self.last = last

    def step(self, step, epoch) -> None:
        if step.index == self.last:
            signal.raise_signal(signal.SIGTERM)

    def start(self, *_: object) -> None: ...
    def epoch(self, row: object) -> None: ...
    def message(self, text: str) -> None: ...
    def finding(self, found: object) -> None: ...
    def stop(self) -> None: ...


@pytest.fixture
def wine() -> pd.DataFrame:
    """Wine with a category column, and holes in a tenth of the cells of some columns."""
    random = np.random.default_rng(0)
    frame = datasets.load_wine(as_frame=True).frame
    frame["colour"] = np.where(frame["hue"] > 1, "red", "blue")
    for name in [*HOLED, "colour"]:
        frame.loc[random.random(len(frame)) < 0.1, name] = None
    return frame


def _settings(frame: pd.DataFrame, folder, clean=None, transform=("Normalize",), **data) -> dict:
    path = folder / "wine.csv"
    frame.to_csv(path, index=False)
    return {
        "data": {
            "source": {"name": "Table", "path": str(path), "target": "target"},
            "clean": clean or {},
            "transform": list(transform),
            "batch_size": 16,
            **data,
        },
        "model": {"name": "MLP", "hidden": [16]},
        "optimizer": {"name": "Adam", "lr": 1e-2},
        "train": {"epochs": 4, "threads": 1},
    }


def _train_rows(run) -> list[int]:
    return [int(row["id"]) for row in rundir.read_csv(run.path / rundir.SPLIT) if row["split"] == "train"]


def _fitted(run) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in safetensors.torch.load_file(run.path / rundir.FITTED).items()}


@pytest.mark.parametrize("policy", ["mean", "median"])
def test_figures_that_stand_in_are_scikit_learns_of_the_training_rows_only(policy, wine, tmp_path):
    run = torchwork.train(_settings(wine, tmp_path, {"missing": policy}), out=tmp_path / "run")
    numbers = wine.drop(columns=["target", "colour"]).to_numpy()
    train = _train_rows(run)
    imputer = SimpleImputer(strategy=policy).fit(numbers[train])
    scaler = StandardScaler().fit(imputer.transform(numbers[train]))
    fitted = _fitted(run)
    np.testing.assert_allclose(fitted["impute.values"], imputer.statistics_, rtol=1e-12)
    np.testing.assert_allclose(fitted["normalize.mean"], scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(fitted["normalize.std"], scaler.scale_, rtol=1e-12)
    everywhere = SimpleImputer(strategy=policy).fit(numbers).statistics_
    assert not np.allclose(fitted["impute.values"], everywhere, rtol=1e-9)
    assert run.data["levels"] == {"colour": ["blue", "missing", "red"]}
    counts = wine[[*HOLED, "colour"]].isna().sum()
    said = ", ".join(f"{name!r} ({counts[name]})" for name in counts.index)
    assert f"the transform fills in {counts.sum()} cells: {said}" in (run.path / rundir.LOG).read_text()
    assert run.metrics["test"]["accuracy"] > 0.8


def test_a_run_with_holes_predicts_files_with_holes_resumes_and_evaluates(wine, tmp_path):
    settings = _settings(wine, tmp_path, {"missing": "median"})
    run = torchwork.train(settings, out=tmp_path / "run")
    with pytest.raises(Interrupted):
        torchwork.train(settings, out=tmp_path / "stopped", progress=_StopAt(9))
    resumed = torchwork.resume(tmp_path / "stopped")
    for name in (rundir.MODEL, rundir.FITTED, rundir.predictions("test")):
        assert (resumed.path / name).read_bytes() == (run.path / name).read_bytes()
    before = run.metrics
    assert torchwork.evaluate(run.path) == before

    holed = wine.drop(columns="target")
    filled = holed.copy()
    numbers = list(filled.columns.drop("colour"))
    filled[numbers] = filled[numbers].fillna(wine.loc[_train_rows(run), numbers].median())
    filled["colour"] = filled["colour"].fillna("missing")
    holed.to_csv(tmp_path / "new.csv", index=False)
    expected = [row["scores"] for row in run.predict(filled)]
    for found in (run.predict(holed), run.predict(tmp_path / "new.csv")):
        for row, scores in zip(found, expected, strict=True):
            assert row["scores"] == pytest.approx(scores, abs=1e-6)
    one = holed.iloc[:1].assign(ash=np.inf)
    assert run.predict(one)[0]["scores"] == pytest.approx(run.predict(one.assign(ash=np.nan))[0]["scores"])


def test_holes_are_an_error_that_names_them_and_says_how_to_mend(wine, tmp_path):
    wine.loc[3, "proline"] = np.inf
    wine["target"] = wine["target"].astype(object)
    wine.loc[5, "target"] = None
    with pytest.raises(InputError) as caught:
        torchwork.train(_settings(wine, tmp_path), out=tmp_path / "run")
    cells, target = caught.value.findings
    ash = [f"row {row + 1}" for row in np.flatnonzero(wine["ash"].isna())]
    total = wine[[*HOLED, "colour"]].isna().sum().sum() + 1
    assert f"{total} cells are empty, NaN or infinite" in cells.message
    assert f"column 'ash' ({len(ash)}): {', '.join(ash[:10])} and {len(ash) - 10} more" in cells.message
    for policy in ("drop", "mean", "median", "constant"):
        assert policy in cells.fix
    assert target.message == "1 row has no target, which is never filled in: row 6"
    assert "unreadable to drop" in target.fix
    assert not (tmp_path / "run").exists()


def test_rows_with_holes_are_dropped_and_listed(wine, tmp_path):
    run = torchwork.train(_settings(wine, tmp_path, {"missing": "drop"}), out=tmp_path / "run")
    holes = np.flatnonzero(wine.isna().any(axis=1))
    listed = rundir.read_csv(run.path / rundir.SET_ASIDE)
    assert [int(row["id"]) for row in listed] == holes.tolist()
    assert {row["code"] for row in listed} == {"missing"}
    assert "is empty" in listed[0]["reason"]
    used = [int(row["id"]) for row in rundir.read_csv(run.path / rundir.SPLIT)]
    assert used == np.setdiff1d(np.arange(len(wine)), holes).tolist()
    with pytest.raises(InputError, match="column 'ash'"):
        run.predict(wine.iloc[[0]].assign(ash=np.nan))


def test_a_row_without_a_target_is_never_given_one(wine, tmp_path):
    wine["target"] = wine["target"].astype(object)
    wine.loc[[5, 60], "target"] = None
    with pytest.raises(InputError, match="2 rows have no target, which is never filled in: row 6, row 61"):
        torchwork.train(_settings(wine, tmp_path, {"missing": "median"}), out=tmp_path / "run")
    for clean in ({"missing": "median", "unreadable": "drop"}, {"missing": "drop"}):
        run = torchwork.train(_settings(wine, tmp_path, clean), out=tmp_path / clean["missing"])
        listed = {int(row["id"]): row["code"] for row in rundir.read_csv(run.path / rundir.SET_ASIDE)}
        assert listed[5] == listed[60] == "missing-target"
        assert run.data["classes"] == ["0", "1", "2"]
    assert len(listed) > 2


def test_numbers_as_targets_may_be_missing_too(tmp_path):
    frame = datasets.load_diabetes(as_frame=True, scaled=False).frame
    frame.loc[[7, 8], "target"] = np.nan
    settings = _settings(frame, tmp_path, {"missing": "drop"})
    settings["data"]["source"]["kind"] = "number"
    run = torchwork.train(settings, out=tmp_path / "run")
    assert [int(row["id"]) for row in rundir.read_csv(run.path / rundir.SET_ASIDE)] == [7, 8]
    assert np.isfinite(list(run.metrics["test"].values())).all()


def test_an_impute_step_covers_its_columns_and_clean_the_others(wine, tmp_path):
    steps = [{"name": "Impute", "strategy": "constant", "fill": 0, "columns": ["ash"]}, "RobustScale"]
    with pytest.raises(InputError) as caught:
        torchwork.train(_settings(wine, tmp_path, transform=steps), out=tmp_path / "run")
    assert "column 'hue'" in str(caught.value)
    assert "column 'ash'" not in str(caught.value)
    run = torchwork.train(_settings(wine, tmp_path, {"missing": "median"}, steps), out=tmp_path / "both")
    numbers = wine.drop(columns=["target", "colour"])
    train = numbers.iloc[_train_rows(run)]
    values = dict(zip(numbers.columns, _fitted(run)["impute.values"], strict=True))
    assert values["ash"] == 0
    assert values["hue"] == train["hue"].median()
    scaler = RobustScaler().fit(train.fillna(values))
    np.testing.assert_allclose(_fitted(run)["scale.center"][: numbers.shape[1]], scaler.center_, rtol=1e-12)
    np.testing.assert_allclose(_fitted(run)["scale.scale"][: numbers.shape[1]], scaler.scale_, rtol=1e-12)


def test_a_constant_fills_numbers_or_categories_by_its_type(wine, tmp_path):
    with pytest.raises(InputError, match="column 'ash'") as caught:
        torchwork.train(_settings(wine, tmp_path, {"missing": "constant", "fill": "grey"}), out=tmp_path / "run")
    assert "column 'colour'" not in str(caught.value)
    run = torchwork.train(_settings(wine, tmp_path, {"missing": "constant", "fill": -1}), out=tmp_path / "run")
    assert (_fitted(run)["impute.values"] == -1).all()
    assert run.data["fills"] == {"colour": "missing"}


def test_outliers_are_judged_by_the_training_rows_and_told_by_split(wine, tmp_path):
    wine = wine.dropna(ignore_index=True)
    plain = torchwork.train(_settings(wine, tmp_path), out=tmp_path / "plain")
    split = {int(row["id"]): row["split"] for row in rundir.read_csv(plain.path / rundir.SPLIT)}
    far = [next(i for i, part in split.items() if part == wanted) for wanted in ("train", "test")]
    wine.loc[far, "ash"] = 50.0
    with pytest.raises(InputError, match=r"2 rows lie far from all others \(1 of train's \d+, 1 of test's \d+\)"):
        torchwork.train(_settings(wine, tmp_path, {"outliers": "error"}), out=tmp_path / "run")
    run = torchwork.train(_settings(wine, tmp_path, {"outliers": "drop"}), out=tmp_path / "run")
    listed = rundir.read_csv(run.path / rundir.SET_ASIDE)
    assert sorted(int(row["id"]) for row in listed) == sorted(far)
    assert {row["code"] for row in listed} == {"outlier"}
    log = (run.path / rundir.LOG).read_text()
    assert "2 rows lie far from all others and are set aside: 1 of train's" in log
    left = {int(row["id"]) for row in rundir.read_csv(run.path / rundir.SPLIT)}
    assert left == set(range(len(wine))) - set(far)
    assert torchwork.evaluate(run.path) == run.metrics


def test_what_is_for_tables_is_refused_for_images(tmp_path):
    digits = {
        "data": {"source": "Digits", "clean": {"missing": "drop"}},
        "model": {"name": "MLP", "hidden": [4]},
        "optimizer": {"name": "Adam"},
    }
    with pytest.raises(InputError, match="missing: drop is for tables"):
        torchwork.train(digits, out=tmp_path / "run")
    digits["data"]["clean"] = {"outliers": "drop"}
    with pytest.raises(InputError, match="outliers: drop is for tables"):
        torchwork.train(digits, out=tmp_path / "run")
