"""The same command over and over comes to the end of one run, wherever it was cut off."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import torchwork
from quick_runs import STEPS, Told, config, make_quick, outcome, quick, stopped  # noqa: F401
from torchwork import rundir
from torchwork.types import InputError

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        make_quick(patched)
        return outcome(torchwork.train(config(), out=tmp_path_factory.mktemp("straight") / "run").path)


def auto(settings, **options):
    return torchwork.train(settings, resume="auto", **options)


def test_the_same_call_begins_goes_on_and_leaves_what_is_complete(straight, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for step in (1, STEPS, STEPS + 3):
        with pytest.raises(KeyboardInterrupt):
            auto(config(), progress=Told(step))
    run = auto(config())
    assert outcome(run.path) == straight
    told = Told()
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.is_file()}
    assert auto(config(), progress=told).path == run.path
    assert told.said == [f"{run.path} is complete: nothing is left to do"]
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.is_file()} == before
    assert [path.name for path in (tmp_path / "runs" / "iris").iterdir()] == ["1"]


def test_without_out_the_run_of_the_greatest_number_is_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parent = tmp_path / "runs" / "iris"
    for number in ("2", "10"):
        stopped(config(), parent / number, 2)
    (parent / "11").mkdir()  # somebody else's
    (parent / "11" / "notes.txt").touch()
    (parent / "best").symlink_to("2")
    assert auto(config()).path == rundir.newest("iris") == parent.relative_to(tmp_path) / "10"
    assert not rundir.is_complete(parent / "2")
    assert torchwork.train(config()).path.name == "12"


@pytest.mark.parametrize("given", [True, False], ids=["out", "number"])
@pytest.mark.parametrize("at", range(4))
def test_a_directory_whose_beginning_was_cut_off_is_begun_again(at, given, straight, tmp_path, monkeypatch):
    """Whatever was killed there left no run; what stands there is written anew, and nothing of it is believed."""
    monkeypatch.chdir(tmp_path)
    options = {"out": tmp_path / "run"} if given else {}
    places = ["torchwork.rundir.locked", "torchwork.rundir.write_csv", "torchwork.beginning.contact_sheet"]
    place = [*places, "torchwork.config.dump"][at]

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(place, cut)
        with pytest.raises(KeyboardInterrupt):
            auto(config(), **options)
    directory = tmp_path / "run" if given else tmp_path / "runs" / "iris" / "1"
    assert rundir.cut_off(directory)
    with pytest.raises(InputError, match="is not a run directory"):
        torchwork.resume(directory)
    (directory / rundir.SET_ASIDE).write_text("id\n")
    (directory / ".config.yaml.0123abcd.partial").touch()
    assert auto(config(), **options).path.resolve() == directory
    assert outcome(directory) == straight
    assert not (directory / rundir.SET_ASIDE).exists()
    assert not list(directory.glob(".*.partial"))


def test_files_that_no_run_left_are_never_written_over(tmp_path):
    for names in (["split.csv"], [rundir.LOCK, "notes.txt"], ["samples"]):
        out = tmp_path / names[-1]
        out.mkdir()
        for name in names:
            (out / name).touch()
        with pytest.raises(InputError, match="is already there and not empty"):
            auto(config(), out=out)


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(straight, tmp_path):
    out = stopped(config(), tmp_path / "run", 1)
    shutil.rmtree(out / rundir.CHECKPOINTS)
    (out / rundir.CHECKPOINTS).mkdir()
    assert outcome(auto(config(), out=out).path) == straight


def test_wrong_input_leaves_no_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        auto(config(model={"name": "MLP", "depth": 3}))
    assert not (tmp_path / "runs").exists()


def test_another_config_is_refused_and_more_epochs_are_trained(tmp_path):
    out = auto(config(), out=tmp_path / "run").path
    with pytest.raises(InputError, match="seed: the run has 0, and this would be 1"):
        auto(config(seed=1), out=out)
    assert len(auto(config(train={"epochs": 4}), out=out).history) == 4


def test_only_auto_is_known_and_changes_belong_to_it(tmp_path):
    for options in ({"resume": "always"}, {"allow_changes": ["seed"]}):
        with pytest.raises(InputError):
            torchwork.train(config(), out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_run_that_another_process_made_in_the_meantime_is_gone_on_with(straight, tmp_path, monkeypatch):
    other = stopped(config(), tmp_path / "other", 5)
    real = rundir.create

    def late(out, name):
        shutil.copytree(other, out)
        return real(out, name)

    monkeypatch.setattr(rundir, "create", late)
    assert outcome(auto(config(), out=tmp_path / "run").path) == straight
    with pytest.raises(InputError, match="go on with that run"):
        torchwork.train(config(), out=tmp_path / "plain")


def test_of_many_that_make_one_directory_at_once_none_is_told_that_it_is_taken(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        for number in range(50):
            out, barrier = tmp_path / str(number), threading.Barrier(8)

            def make(_, out=out, barrier=barrier):
                barrier.wait(60)
                return rundir.create(out, "digits")

            assert list(pool.map(make, range(8))) == [out] * 8
            assert rundir.cut_off(out)
