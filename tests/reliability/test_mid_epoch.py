"""A run that is stopped after any step goes on to the same bits, with another number of workers, whatever it uses."""

import functools
import os
import random
import shutil

import pytest

from reliability import midway, runs
from reliability.amount import FULL
from torchwork import rundir
from torchwork.optim import OPTIMIZERS, SCHEDULES
from torchwork.training import checkpoint

CASES = range(100 if FULL else 15)  # which have every optimizer


def test_the_cases_have_every_optimizer_schedule_precision_and_change_of_workers():
    found = [midway.case(number) for number in range(30)]
    optimizers = [spec for config, _ in found for spec in _listed(config["optimizer"])]
    assert {spec["name"] for spec in optimizers} == set(OPTIMIZERS)
    assert set(OPTIMIZERS) == {spec["name"] for number in range(15) for spec in _optimizers(number)}
    assert {config["schedule"]["name"] for config, _ in found if config["schedule"]} == set(SCHEDULES)
    assert {config["train"]["precision"] for config, _ in found} == {"fp32", "bf16", "fp16"}
    assert {config["train"]["accumulate"] for config, _ in found} == {1, 2, 3}
    counts = {(config["data"]["num_workers"], after) for config, after in found}
    assert {count for pair in counts for count in pair} == {0, 1, 2, 4}
    together = [config for config, _ in found if config["train"]["ema"] and config["data"]["sampling"]]
    assert {config["train"]["precision"] for config in together} == {"fp32", "bf16", "fp16"}


def _optimizers(number):
    return _listed(midway.case(number)[0]["optimizer"])


def _listed(spec):
    return spec if isinstance(spec, list) else [spec]


@pytest.mark.parametrize("number", CASES)
def test_a_run_stopped_in_the_middle_of_an_epoch_ends_as_if_it_had_not_been(number, tmp_path, scale, counted):
    config, workers = midway.case(number)
    assert runs.finish(config, tmp_path / "straight", midway.light) == 0
    expected = midway.result(tmp_path / "straight")
    last = midway.steps(config)
    chance = random.Random(os.urandom(8))
    middle = [step for step in range(1, last) if step != last // midway.EPOCHS]
    for step in chance.sample(middle, min(scale(1, 3), len(middle))):
        out = tmp_path / f"{step}"
        assert runs.finish(config, out, functools.partial(midway.stopped, step)) == 143, (config, step)
        place = checkpoint.latest(out / rundir.CHECKPOINTS)
        assert place.name == f"{step:08d}", "not in the middle of an epoch"
        assert runs.finish(config, out, functools.partial(midway.with_workers, workers)) == 0, (config, step)
        found = midway.result(out)
        differing = [name for name in expected if found[name] != expected[name]]
        assert not differing, (config, step)
        shutil.rmtree(out)
        counted("Mid-epoch resume", 1)
