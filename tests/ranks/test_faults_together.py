"""What goes wrong on one of several processes: all of them do the same about it, at the same step."""

from __future__ import annotations

import json
import re

import pytest

from ranks.runs import CONFIG, Launch
from ranks.test_runs import rows, with_small_units
from torchwork import rundir
from torchwork.training import checkpoint

NAN = {
    **CONFIG,
    "model": {"name": "ranks.net:Net"},
    "train": {**CONFIG["train"], "epochs": 2, "nonfinite": "skip", "checkpoint_every_steps": 2},
    "distributed": {"sync_batchnorm": True},
}


def with_policy(policy, **distributed):
    return {
        **NAN,
        "train": {**NAN["train"], "nonfinite": policy},
        "distributed": {**NAN["distributed"], **distributed},
    }


def skipped(out):
    return checkpoint.progress_of(checkpoint.latest(out / rundir.CHECKPOINTS)).skipped


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "run"
    assert Launch(1, out, [NAN]).join() == [0]
    return out


@pytest.mark.parametrize(
    ("policy", "strategy"),
    [
        ("rollback", "auto"),
        pytest.param("rollback", "ddp", marks=pytest.mark.slow),
        pytest.param("skip", "fsdp", marks=pytest.mark.slow),
        pytest.param("skip", "ddp", marks=pytest.mark.slow),
        pytest.param("rollback", "fsdp", marks=pytest.mark.slow),
    ],
)
def test_where_the_loss_is_nan_on_one_process_all_skip_or_go_back_as_one_does(alone, tmp_path, policy, strategy):
    out = tmp_path / "run"
    launch = Launch(2, out, [with_policy(policy, strategy=strategy)], prepare=with_small_units)
    assert launch.join() == [0, 0], launch.said
    assert len(skipped(out)) >= 3
    assert skipped(out) == skipped(alone)
    assert rows(out / rundir.HISTORY, but=("seconds", "waited")) == rows(alone / rundir.HISTORY)
    found = [f for f in json.loads((out / rundir.FINDINGS).read_text()) if f["code"] == "not-finite"]
    assert [int(f["where"].split()[1]) for f in found] == skipped(out)
    if strategy != "fsdp":  # where it came from is known on the first process, whichever of them had the sample
        told = [f["message"] for f in json.loads((alone / rundir.FINDINGS).read_text()) if f["code"] == "not-finite"]
        module = [re.search(r"the output of (\S+)", message)[1] for message in told]
        assert [re.search(r"the output of (\S+)", f["message"])[1] for f in found] == module


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["auto", "ddp", "fsdp"])
def test_where_the_policy_is_to_stop_all_end_and_the_first_says_which_samples(tmp_path, strategy):
    launch = Launch(2, tmp_path / "run", [with_policy("stop", strategy=strategy)])
    assert launch.join() == [1, 1]
    assert "step 3 (epoch 1): the loss is nan" in launch.said[0]
    assert "135" in launch.said[0]
    assert ("body.0" in launch.said[0]) == (strategy != "fsdp")
    assert "Traceback" not in "".join(launch.said)


@pytest.mark.parametrize("strategy", ["auto", *(pytest.param(one, marks=pytest.mark.slow) for one in ("ddp", "fsdp"))])
def test_where_memory_runs_out_on_one_process_all_end_and_name_it(tmp_path, strategy):
    config = {**CONFIG, "model": {"name": "ranks.net:Short"}, "distributed": {"strategy": strategy}}
    launch = Launch(2, tmp_path / "run", [config])
    assert launch.join() == [1, 1]
    for said in launch.said:
        assert re.search(r"rank 1 ran out of memory at step \d .*take a smaller data.batch_size", said), said
        assert "Traceback" not in said
