"""Asked to stop, a run saves within a step, wherever it is, and says by its exit code what asked."""

import functools
import signal

import pytest

from reliability import runs, signalling
from reliability.amount import parts
from torchwork import rundir
from torchwork.training import checkpoint

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGUSR1: 75}
DATA = {"source": "reliability.signalling:Slow", "batch_size": 16, "split": {"train": 0.7, "val": 0.2, "test": 0.1}}
CONFIG = {**runs.CONFIG, "data": DATA}


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    out = tmp_path_factory.mktemp("straight") / "run"
    assert runs.finish(CONFIG, out) == 0
    return runs.result(out)


@pytest.mark.parametrize("part", parts(12))
@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("moment", signalling.MOMENTS)
def test_a_run_that_is_asked_to_stop_saves_and_goes_on_to_the_same_result(
    moment, number, part, straight, tmp_path, counted
):
    out = tmp_path / "run"
    prepare = functools.partial(signalling.stopping, moment, (number,), part)
    assert runs.finish(CONFIG, out, prepare) == CODES[number]
    place = checkpoint.latest(out / rundir.CHECKPOINTS)
    assert place is not None
    assert checkpoint.damaged(out / rundir.CHECKPOINTS) == []
    assert not (out / rundir.METRICS).exists()
    if moment == "validation":  # not the whole evaluation is waited for
        assert "epoch" not in place.name
    assert runs.finish(CONFIG, out) == 0
    assert runs.result(out) == straight
    counted("SIGTERM, SIGINT, SIGUSR1, twice, in step, validation, save, loader wait, first batch", 1)


@pytest.mark.parametrize("part", parts(12))
@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)])
def test_asked_twice_it_ends_at_once_and_goes_on_from_what_was_whole(numbers, part, straight, tmp_path, counted):
    out = tmp_path / "run"
    assert runs.finish(CONFIG, out, functools.partial(signalling.stopping, "step", numbers, part)) == CODES[numbers[0]]
    assert checkpoint.damaged(out / rundir.CHECKPOINTS) == []
    assert runs.finish(CONFIG, out) == 0
    assert runs.result(out) == straight
    counted("SIGTERM, SIGINT, SIGUSR1, twice, in step, validation, save, loader wait, first batch", 1)
