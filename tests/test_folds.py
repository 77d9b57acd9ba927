"""Cross-validation: a run for each fold, the same test for all, and mean and spread of what they reach."""

import signal

import numpy as np
import pytest

import torchwork
from torchwork import config, folds, rundir
from torchwork.training.interrupt import Interrupted
from torchwork.types import InputError

IRIS = {
    "name": "iris",
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 30},
    "model": {"name": "MLP", "hidden": [8]},
    "optimizer": {"name": "Adam", "lr": 2e-2},
    "train": {"epochs": 2, "threads": 1},
}


class Said:
    """Keeps what is said; asks to stop at a step of a fold, as a scheduler would."""

    def __init__(self, fold=None, step=None):
        self.texts, self.started, self._stop = [], [], (fold, step)

    def start(self, directory, *_):
        self.started.append(directory.name)

    def step(self, step, epoch):
        if (self.started[-1], step.index) == self._stop:
            signal.raise_signal(signal.SIGTERM)

    def message(self, text):
        self.texts.append(text)

    def finding(self, found):
        self.texts.append(f"{found.severity}: {found}")

    def epoch(self, row): ...
    def stop(self): ...


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return torchwork.train_folds(IRIS, 3, out=tmp_path_factory.mktemp("folds") / "all")


def _sides(path):
    return {int(row["id"]): row["split"] for row in rundir.read_csv(path / rundir.SPLIT)}


def test_every_sample_but_those_of_test_is_val_once_and_the_runs_are_whole(done):
    sides = [_sides(path) for path in done.runs]
    assert [path.name for path in done.runs] == ["fold-1", "fold-2", "fold-3"]
    for index in range(150):
        seen = [side[index] for side in sides]
        assert sorted(seen) in (["test"] * 3, ["train", "train", "val"])
    assert all(len(rundir.looks(path)) == 1 for path in done.runs)
    assert [torchwork.load(path).config.data.split.fold for path in done.runs] == [1, 2, 3]


def test_mean_and_spread_are_numpys_and_are_written(done):
    metrics = [torchwork.load(path).metrics for path in done.runs]
    written = rundir.read_json(done.path / rundir.FOLDS)["metrics"]
    table = {(row["split"], row["metric"]): row for row in rundir.read_csv(done.path / rundir.FOLDS_TABLE)}
    assert {figure.split for figure in done.figures} == {"val", "test"}
    assert len(table) == len(done.figures) > 6
    for figure in done.figures:
        values = [found[figure.split][figure.metric] for found in metrics]
        assert figure.values == values
        assert figure.mean == pytest.approx(np.mean(values))
        assert figure.std == pytest.approx(np.std(values, ddof=1))
        assert written[figure.split][figure.metric]["mean"] == pytest.approx(figure.mean)
        row = table[figure.split, figure.metric]
        assert [float(row[name]) for name in ("mean", "std", "fold-2")] == pytest.approx(
            [figure.mean, figure.std, values[1]]
        )


def test_a_fold_alone_is_the_run_that_all_folds_have(done, tmp_path):
    run = torchwork.train(folds.of_fold(config.load(IRIS), 2, 3), out=tmp_path / "run")
    assert (run.path / rundir.MODEL).read_bytes() == (done.runs[1] / rundir.MODEL).read_bytes()
    assert run.metrics == torchwork.load(done.runs[1]).metrics


def test_stopped_folds_go_on_where_they_stopped_to_the_same_result(done, tmp_path):
    out = tmp_path / "stopped"
    with pytest.raises(Interrupted, match=r"torchwork resume .*fold-2\nand with all folds by .*--out .*stopped"):
        torchwork.train_folds(IRIS, 3, out=out, progress=Said("fold-2", 3))
    (out / "fold-3").mkdir()  # as if the next had been cut off before it was a run
    (out / "fold-3" / rundir.LOCK).touch()
    (out / "fold-3" / rundir.SPLIT).write_text("id")
    weights = (out / "fold-1" / rundir.MODEL).stat().st_mtime_ns
    progress = Said()
    again = torchwork.train_folds(IRIS, 3, out=out, progress=progress)
    assert progress.started == ["fold-2", "fold-3"]
    assert (out / "fold-1" / rundir.MODEL).stat().st_mtime_ns == weights
    assert again.figures == done.figures
    assert torchwork.train_folds(IRIS, 3, out=out).figures == done.figures  # nothing is left to do


def test_without_a_folder_resume_goes_on_with_the_last_folds(done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torchwork.train({**IRIS, "train": {"epochs": 1}})  # a run of that name is no folds
    with pytest.raises(Interrupted):
        torchwork.train_folds(IRIS, 3, resume="auto", progress=Said("fold-2", 3))
    again = torchwork.train_folds(IRIS, 3, resume="auto")
    assert (again.path.name, again.figures) == ("2", done.figures)
    with pytest.raises(InputError, match="expected auto"):
        torchwork.train_folds(IRIS, 3, resume="yes")


def test_the_folds_of_another_config_are_not_gone_on_with(done, tmp_path):
    for settings, count in (({**IRIS, "seed": 1}, 3), (IRIS, 4)):
        with pytest.raises(InputError, match="holds the folds of another config"):
            torchwork.train_folds(settings, count, out=done.path)
    (tmp_path / "other").touch()
    with pytest.raises(InputError, match="already there and not empty"):
        torchwork.train_folds(IRIS, 3, out=tmp_path)


def test_mistakes_leave_no_folder(tmp_path):
    with pytest.raises(InputError, match="has no option"):
        torchwork.train_folds({**IRIS, "optimizer": {"name": "Adam", "lrr": 1}}, 3, out=tmp_path / "folds")
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_no_folds_are_refused():
    for fold, count, where in ((4, 3, "data.split.fold"), (1, 1, "data.split.folds"), (0, 3, "data.split.fold")):
        with pytest.raises(InputError) as caught:
            folds.of_fold(config.load(IRIS), fold, count)
        assert [finding.where for finding in caught.value.findings] == [where]
    with pytest.raises(InputError, match="says not how many folds"):
        torchwork.train_folds(IRIS)
