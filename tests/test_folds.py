"""Cross-validation: a run for each fold, the same test for all, and mean and spread of what they reach."""

import multiprocessing
import shutil
import signal
import time

import numpy as np
import pytest
from scipy import stats

import torchwork
from torchwork import config, durable, folds, rundir
from torchwork.cli import comparing
from torchwork.report import repeated
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


@pytest.fixture(scope="module", autouse=True)
def _without_reports():
    """What is tested here are the numbers; the reports of so many runs would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torchwork.finishing.html.write", lambda directory: None)
        patch.setattr("torchwork.resuming.html.write", lambda directory: None)
        yield


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
    with pytest.raises(Interrupted, match=r"torchwork resume .*fold-2\nand with all runs by .*--out .*stopped"):
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


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return torchwork.train_folds(IRIS, 3, seeds=2, out=tmp_path_factory.mktemp("both") / "all")


def test_folds_of_several_seeds_are_the_runs_that_each_would_be_alone(done, both):
    assert [path.name for path in both.runs] == [f"seed-{seed}-fold-{fold}" for seed in (0, 1) for fold in (1, 2, 3)]
    for own, alone in zip(both.runs, done.runs, strict=False):
        assert (own / rundir.MODEL).read_bytes() == (alone / rundir.MODEL).read_bytes()
    assert [torchwork.load(path).config.seed for path in both.runs] == [0, 0, 0, 1, 1, 1]
    assert len({str(_sides(path)) for path in both.runs}) == 6


def test_the_interval_is_that_of_t_made_wider_for_what_training_sets_share(both, tmp_path):
    sizes = [list(_sides(path).values()) for path in both.runs]
    for figure in both.figures:
        if np.ptp(figure.values) < 1e-12:  # all the same: nothing to tell an interval from
            assert np.isnan([figure.low, figure.high]).all()
            continue
        ratio = np.mean([side.count(figure.split) / side.count("train") for side in sizes])
        half = stats.t.ppf(0.975, 5) * np.std(figure.values, ddof=1) * np.sqrt(1 / 6 + ratio)
        assert (figure.low, figure.high) == pytest.approx((figure.mean - half, figure.mean + half))


def test_seeds_on_one_split_have_the_plain_interval_of_t(done, tmp_path):
    data = {**IRIS["data"], "split": {"file": str(done.runs[0] / rundir.SPLIT)}}
    found = torchwork.train_folds({**IRIS, "data": data}, seeds=2, out=tmp_path / "seeds")
    assert [path.name for path in found.runs] == ["seed-0", "seed-1"]
    for figure in found.figures:
        if np.ptp(figure.values) > 1e-12:
            expected = stats.t.interval(0.95, 1, figure.mean, stats.sem(figure.values))
            assert (figure.low, figure.high) == pytest.approx(expected)


@pytest.mark.slow
def test_jobs_give_the_same_runs(both, tmp_path):
    found = torchwork.train_folds(IRIS, 3, seeds=2, jobs=2, out=tmp_path / "jobs")
    assert found.figures == both.figures
    for own, other in zip(found.runs, both.runs, strict=True):
        assert (own / rundir.MODEL).read_bytes() == (other / rundir.MODEL).read_bytes()


@pytest.mark.slow
def test_runs_that_are_done_are_not_run_again_by_jobs_and_a_missing_one_is(both):
    before = {path: (path / rundir.MODEL).stat().st_mtime_ns for path in both.runs[:5]}
    (both.runs[5] / rundir.METRICS).unlink()  # as if it had been cut off at its end
    said = Said()
    again = torchwork.train_folds(IRIS, 3, seeds=2, jobs=2, out=both.path, progress=said)
    assert [text for text in said.texts if "goes on" in text] == ["seed-1-fold-3 goes on"]
    assert again.figures == both.figures
    assert {path: (path / rundir.MODEL).stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
def test_jobs_that_are_killed_lose_no_run(both, tmp_path):
    out, context = tmp_path / "killed", multiprocessing.get_context("spawn")
    arguments = {"source": IRIS, "folds": 3, "seeds": 2, "jobs": 2, "out": out}
    process = context.Process(target=torchwork.train_folds, kwargs=arguments)
    process.start()
    while process.exitcode is None and not list(out.glob("*/checkpoints/*")):
        time.sleep(0.01)
    process.kill()
    process.join()
    while not _nobody_is_at_work(out):
        time.sleep(0.05)
    assert torchwork.train_folds(IRIS, 3, seeds=2, out=out).figures == both.figures


def _nobody_is_at_work(folder):
    try:
        for path in folder.glob(".*.lock"):
            with durable.lock(path):
                pass
    except durable.LockedError:
        return False
    return True


def test_configs_are_compared_over_the_same_seeds_and_folds(both, tmp_path, capsys):
    better = torchwork.train_folds({**IRIS, "train": {"epochs": 6, "threads": 1}}, 3, seeds=2, out=tmp_path / "b")
    found = torchwork.compare([both.path, better.path])
    first, second = found.groups
    assert (first.count, second.count) == ("2 seeds of 3 folds", "2 seeds of 3 folds")
    assert found.pairs == []
    by_metric = {figure.metric: figure for figure in better.figures if figure.split == found.split}
    assert second.interval == pytest.approx((by_metric[found.main].low, by_metric[found.main].high))
    differences = np.subtract(first.values, second.values)
    error = np.std(differences, ddof=1) * np.sqrt(1 / 6 + max(first.overlap, second.overlap))
    p = 2 * stats.t.sf(abs(differences.mean()) / error, 5)
    assert repeated.difference(first.values, second.values, first.overlap).p == pytest.approx(p)
    assert "(corrected t-test of pairs)" in found.said_of_seeds[1]
    comparing.compare_runs([both.path, better.path], tmp_path / "page.html", as_json=False)
    said = capsys.readouterr().out.splitlines()
    assert said[said.index("what differs in the config") + 1].split() == [both.path.name, "b"]


def test_the_corrected_test_keeps_its_level_where_training_sets_overlap():
    """Of two configs that do not differ, judged on overlapping halves, few are told apart: the plain t errs often."""
    draws = np.random.default_rng(0)
    rejected = {0.0: 0, 1.0: 0}
    for _ in range(400):
        common = draws.normal(0, 1)  # what overlapping training sets share, with a correlation of a half
        differences = common + draws.normal(0, 1, 10)
        for shared in rejected:
            rejected[shared] += repeated.difference(differences, np.zeros(10), shared).p < 0.05
    assert rejected[1.0] < 0.08 * 400
    assert rejected[0.0] > 0.3 * 400


def test_folders_whose_runs_have_not_all_ended_are_not_compared(done, tmp_path):
    shutil.copytree(done.path, tmp_path / "half")
    rundir.write_json(tmp_path / "half" / rundir.FOLDS, {"runs": []})
    with pytest.raises(InputError, match="have not all ended"):
        torchwork.compare([done.path, tmp_path / "half"])


@pytest.mark.parametrize(
    ("options", "where"), [({"seeds": 1}, "--seeds"), ({"seeds": 0}, "--seeds"), ({"folds": 3, "jobs": 0}, "--jobs")]
)
def test_numbers_of_seeds_and_jobs_that_make_no_sense_are_refused(options, where):
    with pytest.raises(InputError) as caught:
        torchwork.train_folds(IRIS, **options)
    assert [finding.where for finding in caught.value.findings] == [where]
