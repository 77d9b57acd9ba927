"""Where memory runs out: micro-batches with the gradients of the whole batch, or a refusal with its reason."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from torchwork.losses.criterion import Criterion
from torchwork.tasks.classification import Classification
from torchwork.tasks.embedding import Embedding
from torchwork.tasks.regression import Regression
from torchwork.training.evaluate import OneBatch, evaluate
from torchwork.training.loop import updates
from torchwork.training.micro_batches import cut, ran_out
from torchwork.training.state import Progress, State
from torchwork.types import Batch, RunError

TASK = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b", "c"))
CPU = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
ERRORS = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError(CPU + "9000 bytes. Error code 12 (Cannot allocate memory)"),
    MemoryError(),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
)


class Memory(nn.Module):
    """Fails on more than so many samples at once, on the way there or only on the way back; fewer if there is none."""

    def __init__(self, most, error=ERRORS[0], back=False, only_forward=4):
        super().__init__()
        self.most, self.error, self.back, self.fails = most, error, back, 0
        self.only_forward = only_forward

    def forward(self, x):
        if not torch.is_grad_enabled():
            if len(x) > self.only_forward:
                self.fail()
        elif len(x) > self.most:
            if not self.back:
                self.fail()
            x = x * 1
            x.register_hook(lambda gradient: self.fail())
        return x

    def fail(self):
        self.fails += 1
        raise type(self.error)(*self.error.args)


def model(memory=None, dtype=torch.float32):
    torch.manual_seed(0)
    layers = [nn.Linear(6, 16), nn.Tanh(), *([memory] if memory else []), nn.Linear(16, 3)]
    return nn.Sequential(*layers).to(dtype).train()


def batch(size=12, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(size, 6, generator=generator, dtype=dtype)
    return Batch(inputs, torch.randint(0, 3, (size,), generator=generator), np.arange(size))


def whole(plain, held, loss=None):
    plain.zero_grad()
    value = (loss or nn.CrossEntropyLoss())(plain(held.inputs), held.target)
    value.backward()
    return value.detach(), [p.grad for p in plain.parameters()]


LOSSES = {
    "plain": nn.CrossEntropyLoss,
    "weighted": lambda: nn.CrossEntropyLoss(torch.tensor([0.2, 1.0, 3.0]), label_smoothing=0.1),
    "ignoring": lambda: nn.CrossEntropyLoss(ignore_index=1),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("most", "parts", "error", "back"),
    [(11, 2, ERRORS[0], True), (6, 2, ERRORS[1], False), (5, 4, ERRORS[2], True), (1, 16, ERRORS[3], False)],
)
def test_the_gradients_are_those_of_the_whole_batch(most, parts, loss, error, back):
    memory = Memory(most, error, back)
    ours, task, held = model(memory), Classification(Criterion(LOSSES[loss]()), ("a", "b", "c")), batch()
    state, told = State(ours, torch.optim.SGD(ours.parameters(), lr=0.0)), []
    (step,) = updates(state, [[held]], task, on_cut=told.append)
    value, gradients = whole(model(), held, LOSSES[loss]())
    assert step.loss.item() == pytest.approx(value.item(), rel=1e-6)
    for p, gradient in zip(ours.parameters(), gradients, strict=True):
        assert (p.grad - gradient).norm() <= 1e-6 * gradient.norm()
    assert state.progress.micro_batches == parts
    assert len(told) == memory.fails == parts.bit_length() - 1
    assert f"each batch of 12 is gone through in {min(parts, 12)} micro-batches" in told[-1].message


def test_the_number_found_is_kept_and_every_window_of_a_run_equals_the_whole_one():
    memory = Memory(3)
    ours, theirs = model(memory, torch.float64), model(None, torch.float64)
    state = State(ours, torch.optim.Adam(ours.parameters(), lr=1e-2))
    data = [batch(size, torch.float64, size) for size in (12, 12, 7, 12, 5)]
    list(updates(state, [[b] for b in data], TASK))
    assert memory.fails == 2  # all of them in the first window
    list(updates(State(theirs, torch.optim.Adam(theirs.parameters(), lr=1e-2)), [[b] for b in data], TASK))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (a - b).abs().max() < 1e-12


def test_windows_of_several_batches_are_cut_too():
    ours, data = model(Memory(3)), [batch(7), batch(5, seed=2)]
    state = State(ours, torch.optim.SGD(ours.parameters(), lr=0.0))
    list(updates(state, [data], TASK))
    together = Batch(torch.cat([b.inputs for b in data]), torch.cat([b.target for b in data]), np.arange(12))
    for p, gradient in zip(ours.parameters(), whole(model(), together)[1], strict=True):
        assert (p.grad - gradient).norm() <= 1e-6 * gradient.norm()


def test_lbfgs_goes_on_in_the_middle_of_its_search():
    ours, theirs = model(Memory(6), torch.float64), model(None, torch.float64)
    for net in (ours, theirs):
        optimizer = torch.optim.LBFGS(net.parameters(), lr=0.1, max_iter=5)
        list(updates(State(net, optimizer), [[batch(dtype=torch.float64)]] * 3, TASK))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (a - b).abs().max() < 1e-10


def test_dicts_and_pairs_are_cut_by_rows():
    inputs = {"a": torch.arange(10).reshape(5, 2), "b": torch.arange(5)}
    parts = cut(Batch(inputs, torch.arange(5), np.arange(5)), 3)
    assert [part.ids.tolist() for part in parts] == [[0], [1, 2], [3, 4]]
    assert torch.equal(torch.cat([part.inputs["a"] for part in parts]), inputs["a"])
    task = Embedding(Criterion(nn.CosineEmbeddingLoss()))
    pairs = Batch(torch.randn(6, 2, 6), torch.randint(0, 2, (6, 2)), np.arange(6))
    ours, theirs = model(Memory(6)), model()
    for net in (ours, theirs):
        list(updates(State(net, torch.optim.SGD(net.parameters(), lr=0.1)), [[pairs]], task))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (a - b).abs().max() < 1e-6


def refused(net, reason, task=TASK, held=None):
    state, before = State(net, torch.optim.SGD(net.parameters(), lr=0.1)), copy.deepcopy(list(net.parameters()))
    with pytest.raises(RunError, match=rf"memory ran out at step 1 \(.*\), and a batch cannot be cut .*{reason}"):
        list(updates(state, [[held or batch()]], task))
    assert state.progress.micro_batches == 1
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), before, strict=True))


class Drawing(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += 1
        return x


class Centred(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


REFUSED = {
    r"batch normalisation \(0\)": lambda: nn.BatchNorm1d(6),
    r"dropout \(0\)": lambda: nn.Dropout(0.1),
    "draws random numbers": Drawing,
    r"0\.seen changes in the forward pass": Counting,
    "treat the samples of a batch together": Centred,
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_would_change_the_meaning_is_refused(reason):
    refused(nn.Sequential(REFUSED[reason](), *model(Memory(6))).train(), reason)


@pytest.mark.parametrize("only_forward", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
def test_the_trial_before_the_first_cut_takes_as_few_samples_as_memory_does(only_forward):
    net = model(Memory(1, only_forward=only_forward))
    state = State(net, torch.optim.SGD(net.parameters(), lr=0.1))
    list(updates(state, [[batch()]], TASK))
    assert state.progress.micro_batches == 16
    if only_forward > 1:
        centred = nn.Sequential(Centred(), *model(Memory(1, only_forward=only_forward))).train()
        refused(centred, "of two samples")


def test_frozen_batch_normalisation_and_dropout_of_nothing_are_no_reason():
    net = nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.0), *model(Memory(6))).train()
    net[0].eval()
    state = State(net, torch.optim.SGD(net.parameters(), lr=0.1))
    list(updates(state, [[batch()]], TASK))
    assert state.progress.micro_batches == 2


def test_losses_that_compare_a_batch_with_itself_are_refused():
    mined = Embedding(Criterion(nn.TripletMarginLoss()), mining="hard")
    refused(model(Memory(6)), "compares the samples of a batch", mined)

    def spread(output, target):
        return -torch.cdist(output, output).mean()

    held = Batch(batch().inputs, torch.randn(12, 3), np.arange(12))
    refused(
        model(Memory(6)), "treat the samples of a batch together", Regression(Criterion(spread), tuple("abc")), held
    )


def test_one_sample_that_is_too_much_is_told():
    net = model(Memory(0))
    with pytest.raises(RunError, match="with one sample at a time; take smaller samples or a smaller model"):
        list(updates(State(net, torch.optim.SGD(net.parameters(), lr=0.1)), [[batch(1)]], TASK))


def test_other_errors_pass_as_they_are():
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory")):
        net = model(Memory(0, error))
        with pytest.raises(type(error), match=str(error)):
            list(updates(State(net, torch.optim.SGD(net.parameters(), lr=0.1)), [[batch()]], TASK))
        assert not ran_out(error)


def test_an_evaluation_is_cut_to_the_same_results():
    held, told, progress = batch(dtype=torch.float64), [], Progress()
    found = evaluate(
        model(Memory(12, only_forward=3), torch.float64), TASK, OneBatch(held), progress=progress, on_cut=told.append
    )
    expected = evaluate(model(None, torch.float64), TASK, OneBatch(held))
    assert (progress.evaluation_micro_batches, progress.micro_batches, len(told)) == (4, 1, 2)
    for name, column in vars(expected).items():
        assert torch.allclose(getattr(found, name), column, rtol=0, atol=1e-12)


def test_batch_normalisation_and_dropout_do_not_mind_in_an_evaluation():
    net = nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.5), *model(Memory(12, only_forward=3))).train()
    progress = Progress()
    evaluate(net, TASK, OneBatch(batch()), progress=progress)
    assert progress.evaluation_micro_batches == 4
    assert net.training


def test_triplets_mined_in_an_evaluation_are_refused():
    mined = Embedding(Criterion(nn.TripletMarginLoss()), mining="semi-hard")
    with pytest.raises(RunError, match=r"in an evaluation .* compares the samples of a batch"):
        evaluate(model(Memory(12, only_forward=3)), mined, OneBatch(batch()))


def test_what_the_failed_pass_held_is_free_before_the_next():
    import weakref

    alive = []

    class Held(nn.Module):
        def forward(self, x):
            assert not [ref for ref in alive if ref() is not None], "still held"
            y = x * 1
            if len(x) > 6:
                alive.append(weakref.ref(y))
                kept = y  # noqa: F841 (a local that the traceback holds)
                raise torch.OutOfMemoryError("CUDA out of memory")
            return y

    net = model(Held())
    list(updates(State(net, torch.optim.SGD(net.parameters(), lr=0.1)), [[batch()]], TASK))
    assert len(alive) == 1
