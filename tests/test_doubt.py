"""A run writes the intervals of its own metrics, and what stayed whole in its split is drawn whole."""

from __future__ import annotations

import numpy as np
import pytest

import torchwork
from torchwork import config, rundir
from torchwork.data.source import open_source
from torchwork.run_split import as_begun, share_out


@pytest.fixture
def table(tmp_path):
    """Rows of 80 patients, five each, whose class is seen in two columns."""
    draws = np.random.default_rng(0)
    path = tmp_path / "rows.csv"
    kinds = draws.integers(2, size=80)
    rows = [
        [*(kinds[who] + draws.normal(size=2)).tolist(), f"p{who}", ("ill", "well")[kinds[who]]]
        for who in range(80)
        for _ in range(5)
    ]
    rundir.write_csv(path, ["a", "b", "patient", "state"], rows)
    return path


def settings(table, **split):
    source = {"name": "Table", "path": str(table), "target": "state", "ignore": ["patient"]}
    tree = {
        "data": {
            "source": source,
            "split": {"train": 0.4, "val": 0.1, "test": 0.5, **split},
            "transform": ["Normalize"],
        },
        "model": {"name": "MLP", "hidden": [4]},
        "optimizer": {"name": "SGD", "lr": 0.1},
        "train": {"epochs": 2},
        "device": "cpu",
    }
    return config.load(tree)


def test_a_grouped_run_records_its_groups_and_draws_them(table, tmp_path):
    run = torchwork.train(settings(table, group="patient"), out=tmp_path / "run")
    rows = rundir.read_csv(run.path / rundir.SPLIT)
    assert {row["group"] for row in rows} == {f"p{who}" for who in range(80)}
    assert rundir.read_groups(run.path / rundir.SPLIT)[7] == "p1"
    found = rundir.read_json(run.path / rundir.INTERVALS)
    tested = {row["group"] for row in rows if row["split"] == "test"}
    assert found["test"]["groups"] == {"by": "patient", "n": len(tested)}
    assert set(found["test"]["metrics"]) == set(rundir.read_json(run.path / rundir.METRICS)["test"])
    again = settings(table, by="manifest", file=str(run.path / rundir.SPLIT))
    source = open_source(again.data.source, where="data.source")
    shared = share_out(again, source)
    assert shared.groups == {int(row["id"]): row["group"] for row in rows}
    assert share_out(as_begun(again, run.path), source).groups == shared.groups


def test_a_run_without_groups_has_none(table, tmp_path):
    run = torchwork.train(settings(table, by="random"), out=tmp_path / "run")
    assert "group" not in rundir.read_csv(run.path / rundir.SPLIT)[0]
    found = rundir.read_json(run.path / rundir.INTERVALS)
    assert found["test"]["groups"] is None
    assert found["test"]["metrics"]["accuracy"]["method"] == "Wilson"
    assert torchwork.compare(
        [run.path, torchwork.train(settings(table, by="random"), out=tmp_path / "other").path]
    ).pairs
