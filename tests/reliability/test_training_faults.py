"""NaN and too little memory at random steps: a run ends as one by hand that left the window out, or had enough."""

import gc
import json
import math
import os
import random
import sys

import pytest
import torch

import torchwork
from reliability import little_memory, runs
from torchwork import assembly, course, rng, rundir
from torchwork.tasks.classification import Classification
from torchwork.training import checkpoint, interrupt, loop, micro_batches
from torchwork.training.weights import read

ROW = "NaN and out-of-memory injected at random steps"
STEPS = 21
CONFIG = {
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 16},
    "model": {"name": "MLP", "hidden": [8]},
    "optimizer": {"name": "Adam", "lr": 1e-2},
    "train": {"epochs": 3, "threads": 1},
}
ERRORS = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    MemoryError(),
)


@pytest.fixture(autouse=True)
def _training_alone(monkeypatch):
    """Leave out the end of a run, its evaluation and report, of which nothing is asked here."""
    monkeypatch.setattr(course.finishing, "finish", lambda *_, **__: None)
    monkeypatch.setattr(course.rundir, "read_metrics", lambda _: {})
    gc.freeze()  # each time that memory runs out rubbish is collected, among all that the tests have loaded
    yield
    gc.unfreeze()


def config(**train):
    return {**CONFIG, "train": {**CONFIG["train"], **train}}


def by_hand(settings, left_out=()):
    """Return the weights of a loop as anybody writes it, on the batches of the run."""
    from torchwork.config import load

    parts = assembly.assemble(load(settings))
    model = parts.model.train()
    optimizer, index = parts.state.optimizer, 0
    for epoch in range(settings["train"]["epochs"]):
        for batch in parts.data.loaders["train"].batches(epoch):
            index += 1
            if index in left_out:
                continue
            torch.default_generator.manual_seed(rng.seed(0, "layers", index))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(batch.inputs), batch.target).backward()
            optimizer.step()
    parts.data.close()
    assert index == STEPS
    return model.state_dict()


def run(settings, out, stop_after, monkeypatch):
    """Train, asked to stop after a step where one is given, and resumed to the end; return the last checkpoint."""
    with monkeypatch.context() as patch:
        real = loop.Step
        requests = []

        def stopping(index, *rest):
            if index == stop_after and requests:
                requests.pop().signal = 2
            return real(index, *rest)

        init = interrupt.StopRequest()
        patch.setattr(interrupt, "StopRequest", lambda: requests.append(init) or init)
        patch.setattr(loop, "Step", stopping)
        try:
            torchwork.train(settings, out=out)
        except interrupt.Interrupted:
            assert stop_after
    if stop_after:
        torchwork.resume(out)
    place = checkpoint.latest(out / rundir.CHECKPOINTS)
    assert checkpoint._progress(place)["index"] == STEPS
    return place


def spoiling(faulty, kind, real):
    """Make the loss, or one gradient, of some steps NaN or infinite."""

    def cut_backward(state, *rest):
        loss = real(state, *rest)
        if state.progress.index in faulty:
            if kind == "loss":
                return loss * math.nan
            parameter = random.Random(state.progress.index).choice(list(state.model.parameters()))
            parameter.grad.view(-1)[-1] = math.nan if kind == "gradient" else -math.inf
        return loss

    return cut_backward


def test_nan_at_random_steps_leaves_out_these_windows_and_nothing_else(tmp_path, monkeypatch, scale, counted):
    chance, real = random.Random(os.urandom(8)), loop.cut_backward
    trials = scale(12, 100)
    for trial in range(trials):
        faulty = {chance.randint(1, STEPS) for _ in range(chance.choice((1, 1, 2, 3)))}
        kind, policy = chance.choice(("loss", "gradient", "infinite")), ("skip", "rollback")[trial % 2]
        stop = chance.choice((None, chance.randint(1, STEPS - 1)))
        monkeypatch.setattr(loop, "cut_backward", spoiling(faulty, kind, real))
        settings = config(nonfinite=policy, checkpoint_every_steps=chance.choice((None, 2, 5)))
        place = run(settings, tmp_path / f"{trial}", stop, monkeypatch)
        case = (faulty, kind, policy, stop)
        assert checkpoint._progress(place)["skipped"] == sorted(faulty), case
        expected = by_hand(CONFIG, faulty)
        assert all(torch.equal(value, expected[name]) for name, value in read(place / checkpoint.MODEL).items()), case
    counted(ROW, trials)


def rows(place):
    """Return the history of a checkpoint, metrics of training and of val, without its times."""
    history = checkpoint._progress(place)["history"]
    return [{key: value for key, value in row.items() if key not in ("seconds", "waited")} for row in history]


class Memory:
    """So many samples fit, fewer and fewer from some steps on; the way to an error is now and then half gone."""

    def __init__(self, limits, error, chance):
        self.limits, self.error, self.chance, self.fails, self.index = limits, error, chance, 0, 0
        self.backward, self.evaluate = micro_batches.backward, Classification.evaluate_batch

    def most(self):
        return min([limit for step, limit in self.limits.items() if self.index >= step], default=99)

    def limited(self, task, model, window, *rest):
        if max(len(batch.ids) for batch in window) > self.most():
            if self.chance.random() < 0.5:
                self.backward(task, model, window[:1], *rest)  # gradients that must be gone
            self.fail()
        return self.backward(task, model, window, *rest)

    def evaluating(self, task, model, batch):
        if len(batch.ids) > self.most():
            self.fail()
        return self.evaluate(task, model, batch)

    def fail(self):
        self.fails += 1
        raise type(self.error)(*self.error.args)


def test_memory_that_runs_out_at_random_steps_changes_no_more_than_rounding(tmp_path, monkeypatch, scale, counted):
    chance, real = random.Random(os.urandom(8)), loop.cut_backward
    trials, settings = scale(12, 100), config(precision="fp64")
    expected = by_hand(settings)
    history = rows(run(settings, tmp_path / "straight", None, monkeypatch))
    for trial in range(trials):
        limits = {
            chance.randint(1, STEPS - 1): chance.choice((15, 8, 4, 2, 1)) for _ in range(chance.choice((1, 1, 2)))
        }
        memory = Memory(limits, chance.choice(ERRORS), chance)

        def noting(state, *rest, memory=memory):
            memory.index = state.progress.index
            return real(state, *rest)

        stop = chance.choice((None, chance.randint(1, STEPS - 1)))
        with monkeypatch.context() as patch:
            patch.setattr(loop, "cut_backward", noting)
            patch.setattr(micro_batches, "backward", memory.limited)
            patch.setattr(Classification, "evaluate_batch", lambda *rest, memory=memory: memory.evaluating(*rest))
            place = run(settings, tmp_path / f"{trial}", stop, monkeypatch)
        progress, case = checkpoint._progress(place), (limits, memory.error, stop)
        parts = 2 ** math.ceil(math.log2(16 / memory.most())) if memory.most() < 16 else 1
        assert progress["micro_batches"] == parts, case
        for name, value in read(place / checkpoint.MODEL).items():
            assert (value - expected[name]).abs().max() < 1e-10, case
        assert rows(place) == [pytest.approx(row, abs=1e-9) for row in history], case
        cut = parts.bit_length() - 1 + progress["evaluation_micro_batches"].bit_length() - 1
        assert memory.fails == cut, case  # what was found is kept, over a resume too
        found = json.loads((tmp_path / f"{trial}" / rundir.FINDINGS).read_text())
        assert bool(cut) == any(f["code"] == "micro-batches" for f in found), case
    counted(ROW, trials)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for its memory")
def test_memory_that_the_system_refuses_is_made_do_with(counted):
    process = runs.context().Process(target=little_memory.train)
    process.start()
    process.join(240)
    assert process.exitcode == 0
    counted(ROW, 1)
