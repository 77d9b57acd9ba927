"""Runs of several processes from end to end: what is written, stopping, dying, going on with another number."""

from __future__ import annotations

import csv
import functools
import signal
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from ranks.runs import CONFIG, Launch, at_step
from torchwork import rundir
from torchwork.training import checkpoint


def rows(path: Path, but: tuple[str, ...] = ("seconds", "waited")) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if name not in but} for row in csv.DictReader(file)]


def names(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}


def assert_alike(out: Path, other: Path, tolerance: float = 1e-10) -> None:
    """Compare two finished runs: the same files, the same figures but for rounding."""
    assert names(out) == names(other)
    for name in (rundir.HISTORY, rundir.predictions("val"), rundir.predictions("test")):
        for row, wanted in zip(rows(out / name), rows(other / name), strict=True):
            for key, value in row.items():
                assert_equal_cells(value, wanted[key], f"{name} {key}")
    one, two = (safetensors.numpy.load_file(place / rundir.MODEL) for place in (out, other))
    for name, tensor in one.items():
        np.testing.assert_allclose(tensor, two[name], rtol=tolerance, atol=tolerance, err_msg=name)
    last, wanted = (checkpoint.latest(place / rundir.CHECKPOINTS) for place in (out, other))
    assert last is not None
    assert wanted is not None
    assert last.name == wanted.name
    a, b = (safetensors.numpy.load_file(place / checkpoint.OPTIMIZER) for place in (last, wanted))
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        np.testing.assert_allclose(tensor, b[name], rtol=tolerance, atol=tolerance, err_msg=name)


def assert_equal_cells(value: str, wanted: str, where: str) -> None:
    try:
        np.testing.assert_allclose(float(value), float(wanted), rtol=1e-8, err_msg=where)
    except ValueError:
        assert value == wanted, where


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "run"
    assert Launch(1, out).join() == [0]
    return out


def test_a_run_of_three_processes_is_the_run_of_one(alone, tmp_path):
    assert Launch(3, tmp_path / "run").join() == [0, 0, 0]
    assert_alike(tmp_path / "run", alone)


def test_a_run_goes_on_with_another_number_of_processes_whichever_of_them_was_asked_to_stop(alone, tmp_path):
    out = tmp_path / "run"
    first = Launch(2, out, prepare=functools.partial(at_step, 9, 1, signal.SIGTERM))
    assert first.join() == [143, 143]
    last = checkpoint.latest(out / rundir.CHECKPOINTS)
    assert last is not None
    assert last.name.startswith("00000010")  # the second process was asked when the ninth step was over
    assert Launch(1, out, prepare=functools.partial(at_step, 6, 0, signal.SIGINT)).join() == [130]
    assert Launch(3, out).join() == [0, 0, 0]
    assert_alike(out, alone)


@pytest.mark.parametrize(
    "strategy", ["auto", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ddp", "fsdp"))]
)
def test_where_a_process_is_killed_the_others_name_it_and_started_again_they_come_to_the_same_bits(tmp_path, strategy):
    three = {**CONFIG, "train": {**CONFIG["train"], "precision": "fp32", "checkpoint_every_steps": 2}}
    three["distributed"] = {"strategy": strategy}
    assert Launch(3, tmp_path / "whole", [three]).join() == [0, 0, 0]
    killed = Launch(3, tmp_path / "run", [three], prepare=functools.partial(at_step, 11, 2, signal.SIGKILL))
    assert killed.join() == [1, 1, -signal.SIGKILL]
    for said in killed.said[:2]:
        assert f"rank 2 (process {killed.processes[2].pid} on " in said
        assert "is gone" in said
        assert "Traceback" not in said
    assert Launch(3, tmp_path / "run", [three], restart=1).join() == [0, 0, 0]
    for name in (rundir.MODEL, rundir.METRICS, rundir.predictions("test")):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert rows(tmp_path / "run" / rundir.HISTORY) == rows(tmp_path / "whole" / rundir.HISTORY)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["auto", "ddp"])
def test_where_a_process_stands_still_the_others_give_it_up_and_name_it(tmp_path, strategy):
    config = {**CONFIG, "distributed": {"strategy": strategy}}
    launch = Launch(2, tmp_path / "run", [config], prepare=functools.partial(at_step, 5, 1, signal.SIGSTOP))
    launch.processes[0].join(40)
    launch.processes[1].kill()
    assert launch.join() == [1, -signal.SIGKILL]
    assert f"rank 1 (process {launch.processes[1].pid} on " in launch.said[0]
    assert "is gone" in launch.said[0]
    assert "Traceback" not in launch.said[0]


def test_processes_with_other_configs_are_refused_at_the_start(tmp_path):
    other = {**CONFIG, "train": {**CONFIG["train"], "epochs": 3}, "seed": 1}
    launch = Launch(2, tmp_path / "run", [CONFIG, other])
    assert launch.join() == [2, 2]
    said = launch.said[0]
    assert "train.epochs: train.epochs on rank 1" in said
    assert "3 there, 4 here" in said
    assert "data: samples of train on rank 1" in said
    assert not (tmp_path / "run").exists()


def test_a_mistake_that_one_process_alone_finds_is_told_on_all(tmp_path):
    other = {**CONFIG, "model": {"name": "MLP", "hiden": [8]}}
    launch = Launch(2, tmp_path / "run", [CONFIG, other])
    assert launch.join() == [2, 2]
    for said in launch.said:
        assert "hiden" in said
        assert "(on rank 1)" in said


# with smaller units, so that a tiny model has several
SHARED = {**CONFIG, "distributed": {"strategy": "fsdp", "activation_checkpointing": True}}


def with_small_units(rank):
    from torchwork.training import sharding, units

    units.recompute.__defaults__ = (1,)
    sharding.Sharding.__init__.__defaults__ = (None, 1)


def small_units_at_step(number, rank, what, own):
    with_small_units(own)
    at_step(number, rank, what, own)


@pytest.mark.slow
def test_a_run_whose_processes_hold_parts_of_the_model_is_that_of_one_process(alone, tmp_path):
    launch = Launch(2, tmp_path / "run", [SHARED], prepare=with_small_units)
    assert launch.join() == [0, 0], launch.said
    assert_alike(tmp_path / "run", alone)


def test_such_a_run_goes_on_with_one_process_and_again_with_two(alone, tmp_path):
    out = tmp_path / "run"
    stop = functools.partial(small_units_at_step, 9, 1, signal.SIGTERM)
    assert Launch(2, out, [SHARED], prepare=stop).join() == [143, 143]
    assert Launch(1, out, prepare=functools.partial(small_units_at_step, 6, 0, signal.SIGINT)).join() == [130]
    assert Launch(2, out, prepare=with_small_units).join() == [0, 0]
    assert_alike(out, alone)


@pytest.mark.slow
def test_averaged_weights_of_two_processes_are_those_of_one_also_where_the_run_was_stopped(tmp_path):
    averaged = {**CONFIG, "train": {**CONFIG["train"], "ema": 0.8}}
    assert Launch(1, tmp_path / "alone", [averaged]).join() == [0]
    stop = functools.partial(at_step, 9, 1, signal.SIGTERM)
    assert Launch(2, tmp_path / "run", [averaged], prepare=stop).join() == [143, 143]
    assert Launch(2, tmp_path / "run").join() == [0, 0]
    assert_alike(tmp_path / "run", tmp_path / "alone")
    last = [checkpoint.latest(tmp_path / name / rundir.CHECKPOINTS) for name in ("run", "alone")]
    one, two = (safetensors.numpy.load_file(place / checkpoint.AVERAGED) for place in last)
    for name, tensor in one.items():
        np.testing.assert_allclose(tensor, two[name], rtol=1e-12, atol=1e-12, err_msg=name)
