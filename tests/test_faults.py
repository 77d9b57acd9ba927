"""What goes wrong inside of a run's training: what it leaves, says, and goes on from."""

import json
import shutil

import pytest
import torch

import torchwork
from torchwork import rundir
from torchwork.cli import main
from torchwork.report import drawings
from torchwork.training import checkpoint
from torchwork.training.nonfinite import NonFiniteError
from torchwork.training.weights import read

CONFIG = {
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 16},
    "model": {"name": "ranks.net:Net"},
    "optimizer": {"name": "Adam", "lr": 1e-2},
    "train": {"epochs": 2, "threads": 1},
}


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(drawings, "KINDS", dict.fromkeys(drawings.KINDS, ()))


def train(out, policy, **more):
    return torchwork.train({**CONFIG, "train": {**CONFIG["train"], "nonfinite": policy, **more}}, out=out)


def last(out):
    place = checkpoint.latest(out / rundir.CHECKPOINTS)
    progress = checkpoint._progress(place)
    return progress["skipped"], [(place / name).read_bytes() for name in (checkpoint.MODEL, checkpoint.OPTIMIZER)]


def test_stop_names_step_samples_and_module_and_leaves_what_replays_it(tmp_path, capsys):
    with pytest.raises(NonFiniteError) as caught:
        train(tmp_path / "run", "stop")
    said = str(caught.value)
    assert "step 3 (epoch 1): the loss is nan; samples 95, 138" in said
    assert "The first that is not finite is the output of body.0 (Linear), in sample 135 (row 136)" in said
    place = tmp_path / "run" / rundir.FAULTS / "00000003"
    assert f"torchwork replay {place}" in said
    found = json.loads((tmp_path / "run" / rundir.FINDINGS).read_text())[-1]
    assert (found["code"], found["severity"], found["where"]) == ("not-finite", "error", "step 3 (epoch 1)")
    moved = tmp_path / "moved"
    shutil.copytree(place, moved)
    shutil.rmtree(tmp_path / "run")  # it needs neither the run nor the data
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(moved)])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() in said


def test_a_replay_that_finds_something_else_says_so(tmp_path, capsys):
    with pytest.raises(NonFiniteError):
        train(tmp_path / "run", "stop")
    place = tmp_path / "run" / rundir.FAULTS / "00000003"
    content = json.loads((place / "fault.json").read_text())
    content["origin"]["name"] = "head"
    (place / "fault.json").write_text(json.dumps(content))
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(place)])
    assert ended.value.code == 1
    assert "error: the replay finds something else: in the run: " in capsys.readouterr().err


def test_a_place_that_is_no_bundle_is_wrong_input(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(tmp_path)])
    assert ended.value.code == 2
    assert "is no bundle to replay" in capsys.readouterr().err


def test_skip_and_rollback_end_with_the_same_bits_and_tell_of_every_window(tmp_path):
    skip, back = train(tmp_path / "skip", "skip"), train(tmp_path / "back", "rollback", checkpoint_every_steps=2)
    skipped, bits = last(skip.path)
    assert len(skipped) >= 4
    assert last(back.path) == (skipped, bits)
    strip = [{k: v for k, v in row.items() if k not in ("seconds", "waited")} for row in skip.history]
    assert strip == [{k: v for k, v in row.items() if k not in ("seconds", "waited")} for row in back.history]
    for run in (skip, back):
        found = [f for f in json.loads((run.path / rundir.FINDINGS).read_text()) if f["code"] == "not-finite"]
        assert [int(f["where"].split()[1]) for f in found] == skipped
        assert all(path.name == f"{index:08d}" for path, index in zip(bundles(run.path), skipped, strict=False))
        assert len(bundles(run.path)) == min(5, len(skipped))
        assert f"step {skipped[0]} " in (run.path / rundir.REPORT).read_text()
        assert (run.path / rundir.LAYERS).read_text() == (skip.path / rundir.LAYERS).read_text()


def bundles(path):
    return sorted((path / rundir.FAULTS).iterdir())


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_a_run_that_skipped_and_was_stopped_goes_on_to_the_same_bits(policy, tmp_path, monkeypatch):
    straight = train(tmp_path / "straight", policy)
    from torchwork.training import interrupt, loop

    asked = []

    def stopping(*values):
        if values[0] == 4 and not asked:
            asked.append(1)
            request[0].signal = 2
        return real(*values)

    request, real, listen = [], loop.Step, interrupt.StopRequest.__call__
    monkeypatch.setattr(loop, "Step", stopping)
    monkeypatch.setattr(interrupt.StopRequest, "__call__", lambda self: request.insert(0, self) or listen(self))
    with pytest.raises(interrupt.Interrupted):
        train(tmp_path / "run", policy)
    done = torchwork.resume(tmp_path / "run")
    assert last(done.path) == last(straight.path)


def test_weights_that_an_update_spoilt_are_gone_back_from_to_the_step_that_did_it(tmp_path, monkeypatch):
    """Nothing but the weights tells, at the end of the epoch; the run goes back and finds the step."""
    from torchwork.training import loop

    def spoiling(state, *rest):
        loss = real(state, *rest)
        if state.progress.index == 5:
            hook = state.optimizer.register_step_post_hook(lambda *_: (spoil(state.model), hook.remove()))
        return loss

    def spoil(model):
        with torch.no_grad():
            model.head.bias[0] = torch.inf

    real = loop.cut_backward
    monkeypatch.setattr(loop, "cut_backward", spoiling)
    run = torchwork.train(
        {
            **CONFIG,
            "model": {"name": "ranks.net:Net", "above": 99.0},
            "train": {"epochs": 1, "threads": 1, "nonfinite": "rollback"},
        },
        out=tmp_path / "run",
    )
    assert last(run.path)[0] == [5]
    assert "step 5 (epoch 1): the update made weights NaN or infinite" in (run.path / rundir.LOG).read_text()
    assert all(torch.isfinite(value).all() for value in read(run.path / rundir.MODEL).values())
