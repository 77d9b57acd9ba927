"""What `check` says of the time is of what a run does."""

import pytest

import torchwork
from torchwork import plan
from torchwork.config import load


def test_the_time_of_an_evaluation_is_that_of_as_many_batches_as_a_run_evaluates(monkeypatch):
    seen = []

    def evaluated(model, task, batches):
        seen.append(len(batches.batch.ids))

    class Clock:
        @staticmethod
        def perf_counter():
            return 10.0 * len(seen)  # ten seconds for each batch that is evaluated

    monkeypatch.setattr(plan, "evaluate", evaluated)
    monkeypatch.setattr(plan, "time", Clock)
    data = {"source": "Iris", "batch_size": 2}
    config = {"data": data, "model": "MLP", "optimizer": "Adam", "train": {"epochs": 3}}
    found = torchwork.check(load(config))
    batches = -(-found.splits["val"] // seen[0])
    assert seen == [8]
    training = found.steps * found.step_time.whole
    assert found.estimated_seconds - training == pytest.approx(3 * 10 * batches)
