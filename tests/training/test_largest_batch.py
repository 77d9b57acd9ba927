"""``data.batch_size: auto``: the largest size whose steps fit, found, told and kept."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import torchwork
from torchwork import assembly, config, rundir
from torchwork.training import largest_batch
from torchwork.types import InputError

IRIS = {
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": "auto"},
    "model": {"name": "MLP", "hidden": [8]},
    "optimizer": {"name": "Adam", "lr": 2e-2},
    "train": {"epochs": 2, "threads": 1},
}
META = torch.device("meta")  # no CPU: what fits is told


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_the_size_fits_and_is_within_an_eighth_of_the_largest(fitting, most):
    found = largest_batch.largest(lambda size: size <= fitting, most, META)
    assert found.size <= min(fitting, most)
    assert 9 * found.size >= 8 * min(fitting, most) - 8
    assert len(found.tried) < 20
    if fitting >= most:
        assert found.size == most


def test_on_a_cpu_memory_is_measured_and_no_size_is_tried_that_would_need_more(monkeypatch):
    monkeypatch.setattr(largest_batch, "available", lambda: 4e8)  # half of it: 200 MB
    taken = []

    def fits(size):
        taken.append(size)
        torch.ones(size * 500_000)  # 2 MB for each
        return True

    found = largest_batch.largest(fits, 100_000, torch.device("cpu"))
    assert 70 <= found.size <= 105
    assert max(taken) <= 130
    assert "half of what is free" in found.why


def test_memory_that_runs_out_is_a_size_that_does_not_fit():
    parts = assembly.assemble(config.load({**IRIS, "data": {**IRIS["data"], "batch_size": 16}}))
    train = parts.data.loaders["train"]

    class Greedy(torch.nn.Module):
        def forward(self, x):
            if len(x) > 5:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return parts.model(x)

    def fits(size):
        train.batch_size = size
        return largest_batch.steps_fit(state, parts.task, train)

    from torchwork.training.state import State

    model = Greedy()
    model.inner = parts.model
    state = State(model, torch.optim.SGD(model.parameters(), 0.1))
    before = [parameter.clone() for parameter in model.parameters()]
    assert (fits(5), fits(6)) == (True, False)
    assert all(map(torch.equal, before, model.parameters()))  # the steps were a copy's


@pytest.mark.slow
def test_what_was_chosen_is_kept_told_and_gone_on_with(tmp_path):
    run = torchwork.train(IRIS, out=tmp_path / "auto", report=False)
    assert config.load(run.path / rundir.CONFIG).data.batch_size == 105
    (told,) = (found for found in rundir.read_json(run.path / rundir.FINDINGS) if found["code"] == "batch-size-auto")
    assert told["message"] == "auto chose 105: it is the whole training split"
    plain = torchwork.train({**IRIS, "data": {**IRIS["data"], "batch_size": 105}}, out=tmp_path / "plain", report=False)
    assert (run.path / rundir.MODEL).read_bytes() == (plain.path / rundir.MODEL).read_bytes()
    more = {**IRIS, "train": {"epochs": 3, "threads": 1}}
    assert len(torchwork.train(more, out=tmp_path / "auto", resume="auto", report=False).history) == 3


@pytest.mark.slow
def test_accumulated_batches_are_together_no_more_than_the_split():
    parts = assembly.assemble(config.load({**IRIS, "train": {**IRIS["train"], "accumulate": 3}}))
    assert parts.config.data.batch_size == 35


def test_the_mistakes_of_a_config_are_told_all_the_same():
    with pytest.raises(InputError, match="has no option"):
        torchwork.check(config.load({**IRIS, "model": {"name": "MLP", "hiden": [8]}}))
    with pytest.raises(InputError, match="expected a whole number"):
        config.load({**IRIS, "data": {**IRIS["data"], "batch_size": "automatic"}})
