"""bf16 and fp16 against torch's own recipes written by hand, bit for bit; and the choice that auto makes."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import torchwork
from torchwork.losses.criterion import Criterion
from torchwork.optim.several import Optimizers
from torchwork.tasks.classification import Classification
from torchwork.training import checkpoint, precision
from torchwork.training.averaging import AveragedWeights
from torchwork.training.evaluate import OneBatch, evaluate
from torchwork.training.loop import updates, windows
from torchwork.training.nonfinite import NonFiniteError
from torchwork.training.state import State
from torchwork.types import Batch, InputError

CPU = torch.device("cpu")


def network(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 3))


def batches(count, size=8, factor=1.0):
    generator = torch.Generator().manual_seed(1)
    return [
        Batch(
            factor * torch.randn(size, 6, generator=generator),
            torch.randint(0, 3, (size,), generator=generator),
            np.arange(size),
        )
        for _ in range(count)
    ]


def task(loss=None):
    return Classification(Criterion(loss or nn.CrossEntropyLoss()), ("a", "b", "c"))


def state_in(name, model, optimizer):
    precision.compute_in(model, name)
    return State(model.train(), optimizer, scaler=precision.scaler(name, CPU))


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def sgd(model, lr=0.5):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def test_bf16_is_torchs_autocast_with_the_loss_in_float32():
    ours, theirs = network(), network()
    state = state_in("bf16", ours, sgd(ours))
    steps = list(updates(state, windows(batches(30), 1), task()))
    optimizer, losses = sgd(theirs), []
    for batch in batches(30):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            output = theirs(batch.inputs)
        assert output.dtype == torch.bfloat16
        loss = nn.functional.cross_entropy(output.float(), batch.target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert [step.loss.item() for step in steps] == losses
    assert same(ours, theirs)
    in_fp32 = network()
    list(updates(State(in_fp32.train(), sgd(in_fp32)), windows(batches(30), 1), task()))
    assert not same(ours, in_fp32)


@pytest.mark.parametrize("clip_norm", [None, 0.3])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_fp16_is_torchs_recipe_with_a_scaler_and_counts_what_overflows(accumulate, clip_norm):
    data = batches(60)
    ours, theirs = network(), network()
    state = state_in("fp16", ours, sgd(ours))
    state.scaler.load_state_dict({**state.scaler.state_dict(), "scale": 2.0**24, "growth_interval": 5})
    state.schedule = schedule = Counted()
    running = updates(state, windows(data, accumulate), task(), clip_norm=clip_norm)
    made = [(step.loss.item(), state.scaler.get_scale()) for step in running]
    optimizer, expected, skipped = sgd(theirs), [], 0
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=5)
    for window in windows(data, accumulate):
        optimizer.zero_grad()
        losses = []
        for batch in window:
            with torch.autocast("cpu", torch.float16):
                output = theirs(batch.inputs)
            loss = nn.functional.cross_entropy(output.float(), batch.target, reduction="sum") / (8 * len(window))
            if accumulate == 1:
                loss = nn.functional.cross_entropy(output.float(), batch.target)
            scaler.scale(loss).backward()
            losses.append(loss.detach())
        scaler.unscale_(optimizer)
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(theirs.parameters(), clip_norm)
        scaler.step(optimizer)
        before = scaler.get_scale()
        scaler.update()
        skipped += scaler.get_scale() < before
        expected.append((torch.stack(losses).sum().item(), scaler.get_scale()))
    assert made == expected
    assert same(ours, theirs)
    assert skipped > 1
    assert state.progress.overflows == skipped
    assert state.progress.index == len(made)
    assert schedule.updates == len(made) - skipped


class Counted:
    """A schedule that counts."""

    needs_metric, updates = False, 0

    def after_update(self):
        self.updates += 1


def overflowing(model, optimizer, first_scale=2.0**40):
    state = state_in("fp16", model, optimizer)
    state.scaler.load_state_dict({**state.scaler.state_dict(), "scale": first_scale})
    return state


def test_an_update_that_overflows_leaves_every_weight_every_optimizer_and_the_average_as_they_were():
    model = network()
    both = Optimizers([torch.optim.Adam(model[0].parameters()), sgd(model[3])])
    state = overflowing(model, both)
    state.averaged = AveragedWeights(model, 0.5)
    before = copy.deepcopy(model)
    running = updates(state, windows(batches(40), 1), task())
    next(running)
    assert state.progress.overflows == 1
    assert same(model, before)
    assert not both.state
    assert state.averaged.updates == 0
    list(running)
    assert state.averaged.updates == 40 - state.progress.overflows > 0
    assert not same(model, before)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_fused_kernels_leave_their_state_alone_where_gradients_overflow(kind):
    def trained(**options):
        model = network()
        options |= {"momentum": 0.9} if kind is torch.optim.SGD else {}
        state = overflowing(model, kind(model.parameters(), lr=0.01, **options))
        list(updates(state, windows(batches(40), 1), task()))
        return model, state

    fused, state = trained(fused=True)
    plain, other = trained()
    assert state.progress.overflows == other.progress.overflows > 1  # the very first among them
    for one, two in zip(fused.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)


def test_one_optimizers_overflow_holds_back_the_others_too():
    """torch's scaler judges each optimizer by itself, so that one would step and the other not."""
    model = network()
    both = Optimizers([sgd(model[0]), sgd(model[3])])
    state = state_in("fp16", model, both)
    model[3].bias.register_hook(lambda gradient: gradient * float("inf"))
    before = copy.deepcopy(model)
    next(updates(state, windows(batches(1), 1), task()))
    assert state.progress.overflows == 1
    assert same(model, before)


def test_gradients_that_overflow_at_any_scale_end_the_run():
    model = network()
    state = state_in("fp16", model, sgd(model))
    model[3].bias.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(NonFiniteError, match=r"overflow in fp16 at step 30 .* scaled by 6\.1e-05"):
        list(updates(state, windows(batches(99), 1), task()))
    assert state.progress.overflows == 30


def test_after_a_loss_that_is_not_finite_the_scaler_is_ready_for_the_next_update():
    model = network()
    state = state_in("fp16", model, sgd(model))
    bad = batches(1)[0]
    bad.inputs[0, 0] = float("nan")
    with pytest.raises(NonFiniteError):
        list(updates(state, [[bad]], task()))
    before = copy.deepcopy(model)
    list(updates(state, windows(batches(2), 1), task()))
    assert not same(model, before)


def test_a_scaler_goes_through_a_checkpoint(tmp_path):
    def fresh():
        model = network()
        return overflowing(model, torch.optim.Adam(model.parameters()), 2.0**20)

    straight, cut, resumed = fresh(), fresh(), fresh()
    data = batches(40)
    list(updates(straight, windows(data, 1), task()))
    list(updates(cut, windows(data[:3], 1), task()))
    assert cut.progress.overflows > 0
    checkpoint.save(cut, tmp_path)
    checkpoint.load(checkpoint.latest(tmp_path), resumed)
    list(updates(resumed, windows(data[3:], 1), task()))
    assert same(straight.model, resumed.model)
    assert straight.scaler.state_dict() == resumed.scaler.state_dict()
    assert straight.progress == resumed.progress


def test_copies_of_a_model_compute_in_its_precision_with_their_own_weights():
    model = network().eval()
    plain = copy.deepcopy(model)
    precision.compute_in(model, "bf16")
    twin = copy.deepcopy(model)
    inputs = batches(1)[0].inputs
    with torch.autocast("cpu", torch.bfloat16):
        expected = plain(inputs)
    assert torch.equal(model(inputs), expected.float())
    assert torch.equal(twin(inputs), model(inputs))
    nn.init.zeros_(twin[3].weight)
    nn.init.zeros_(twin[3].bias)
    assert not twin(inputs).any()
    assert model(inputs).any()
    assert list(model.state_dict()) == list(plain.state_dict())


def test_evaluation_is_in_the_models_precision_and_its_outputs_in_float32():
    model = network().eval()
    precision.compute_in(model, "bf16")
    batch = batches(1)[0]
    evaluation = evaluate(model, task(), OneBatch(batch))
    assert evaluation.outputs.dtype == torch.float32
    assert torch.equal(evaluation.outputs, model(batch.inputs))
    assert torch.equal(evaluation.outputs, evaluation.outputs.bfloat16().float())
    expected = nn.functional.cross_entropy(evaluation.outputs, batch.target)
    assert evaluation.loss == pytest.approx(expected.item(), rel=1e-6)


def test_outputs_of_every_shape_come_back_in_float32():
    low, number = torch.ones(1, dtype=torch.float16), torch.ones(1, dtype=torch.int64)
    found = precision.in_float32({"a": (low, [low, number, None]), "b": torch.return_types.max((low, number))})
    assert found["a"][0].dtype == found["a"][1][0].dtype == torch.float32
    assert found["a"][1][1].dtype == torch.int64
    assert isinstance(found["b"], tuple)


class Slow(nn.Module):
    """Takes long in one of the formats."""

    def __init__(self, slow):
        super().__init__()
        self.layer, self.slow, self.norm = nn.Linear(6, 3), slow, nn.BatchNorm1d(3)

    def forward(self, x):
        output = self.layer(x)
        if output.dtype == self.slow:
            for _ in range(200):
                torch.randn(100, 100) @ torch.randn(100, 100)
        return self.norm(output)


@pytest.mark.parametrize(("slow", "chosen"), [(torch.float32, "bf16"), (torch.bfloat16, "fp32")])
def test_auto_takes_what_is_faster_says_by_how_much_and_leaves_no_trace(slow, chosen):
    model, batch = Slow(slow), batches(1)[0]
    before, generator = copy.deepcopy(model), torch.random.get_rng_state()
    found, why = precision.choose(model, lambda tried: task().loss(tried, batch), CPU)
    assert found == chosen
    assert "ms in bf16" in why
    assert "ms in fp32" in why
    assert same(model, before)
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert all(p.grad is None for p in model.parameters())


def test_a_difference_within_the_noise_is_no_reason_for_bf16():
    assert not precision.Trial(0.0109, 0.01, 1.09).pays
    assert precision.Trial(0.0111, 0.01, 1.11).pays


class OnlyFloat32(nn.Module):
    def __init__(self, in_features=6):
        super().__init__()
        self.layer = nn.Linear(in_features, 3)

    def forward(self, x):
        return torch.zeros(len(x), 3).index_add(0, torch.arange(len(x)), self.layer(x))


def test_auto_takes_fp32_where_a_layer_cannot_do_bf16_and_says_so():
    batch = batches(1)[0]
    found, why = precision.choose(OnlyFloat32(), lambda tried: task().loss(tried, batch), CPU)
    assert found == "fp32"
    assert why.startswith("bf16 fails on this model:")


CONFIG = {
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 32},
    "model": {"name": "MLP", "hidden": [8]},
    "optimizer": {"name": "Adam", "lr": 0.01},
    "train": {"epochs": 2, "threads": 1, "precision": "bf16"},
}


def test_a_run_in_bf16_trains_evaluates_and_predicts_in_bf16(tmp_path):
    run = torchwork.train(CONFIG, out=tmp_path / "run")
    assert {p.dtype for p in run.model.parameters()} == {torch.float32}
    outputs = np.load(run.path / "arrays" / "outputs-test.npz")["output"]
    assert outputs.dtype == np.float32
    assert np.array_equal(outputs, torch.from_numpy(outputs).bfloat16().float().numpy())
    frame = pd.DataFrame(np.array([[5.1, 3.5, 1.4, 0.2], [6.0, 2.9, 4.5, 1.5]]), columns=run.data["numbers"])
    predicted = torchwork.load(run.path).predict(frame)
    model = run.model
    raw = {"numbers": torch.tensor(frame.to_numpy()), "categories": np.empty((2, 0), object)}
    inputs = run.pipeline.finish(run.pipeline.prepare(raw))
    del model.forward
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        expected = torch.softmax(model(inputs).double(), 1)
    assert [list(row["scores"].values()) for row in predicted] == expected.tolist()


def test_auto_is_written_down_as_what_it_chose(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "_try_out", lambda *arguments: precision.Trial(0.02, 0.01, 2.0))
    config = {**CONFIG, "train": {**CONFIG["train"], "precision": "auto"}}
    run = torchwork.train(config, out=tmp_path / "auto")
    assert run.config.train.precision == "bf16"
    said = (run.path / "log.txt").read_text()
    assert "auto chose bf16: a forward and backward pass takes 10 ms in bf16, 20 ms in fp32, 2.00 times as fast" in said
    straight = torchwork.train(CONFIG, out=tmp_path / "bf16")
    for name in ("model.safetensors", "metrics.json", "predictions-test.csv"):
        assert (run.path / name).read_bytes() == (straight.path / name).read_bytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": {"precision": "fp16"}, "device": "cpu"}, "train.precision: fp16 takes a CPU about ten times"),
        ({"train": {"precision": "int8"}}, "train.precision"),
        ({"train": {"ema": 1.0}}, "train.ema"),
    ],
)
def test_what_a_device_cannot_do_is_refused_before_anything_starts(changes, said, tmp_path):
    with pytest.raises(InputError, match=said):
        torchwork.train({**CONFIG, **changes}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_lbfgs_is_refused_with_a_scaler(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "check", lambda *arguments: None)
    config = {**CONFIG, "optimizer": "LBFGS", "train": {"precision": "fp16"}}
    with pytest.raises(InputError, match="optimizer: LBFGS cannot work with a gradient scaler"):
        torchwork.train(config, out=tmp_path / "run")


def test_a_function_call_computes_in_bf16_and_gives_the_module_back_as_it_was():
    data = torch.randn(64, 6), torch.randint(0, 3, (64,))
    model, plain = network(), network()
    torchwork.fit(model, data, loss=nn.CrossEntropyLoss(), optimizer="Adam", epochs=1, precision="bf16")
    torchwork.fit(plain, data, loss=nn.CrossEntropyLoss(), optimizer="Adam", epochs=1)
    assert not same(model, plain)
    assert "forward" not in vars(model)
    for wrong in ({"precision": "fp16"}, {"precision": "fp64"}, {"ema": 1.5}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            torchwork.fit(model, data, loss=nn.CrossEntropyLoss(), optimizer="Adam", **wrong)


def test_a_model_that_ends_in_log_probabilities_is_judged_by_what_it_is_in_float32(tmp_path):
    layers = [{"name": "Linear", "out_features": 3}, {"name": "LogSoftmax", "dim": 1}]
    config = {**CONFIG, "model": {"name": "Sequential", "layers": layers}, "loss": "NLLLoss"}
    run = torchwork.train(config, out=tmp_path / "run")
    outputs = torch.from_numpy(np.load(run.path / "arrays" / "outputs-test.npz")["output"])
    assert (outputs.exp().sum(1) - 1).abs().max() > 1e-4  # in bf16 they are no such thing
    assert torch.equal(outputs, outputs.bfloat16().float())


def test_a_model_that_fails_in_bf16_alone_is_refused_with_the_precision_as_the_reason(tmp_path):
    config = {**CONFIG, "model": {"name": f"{__name__}:OnlyFloat32"}}
    with pytest.raises(InputError, match=r"OnlyFloat32 fails in bf16 .* take train.precision: fp32"):
        torchwork.train(config, out=tmp_path / "run")
