"""Training what torch.compile makes of a model: nearly the same numbers, the same bits where a run goes on."""

import pytest
import torch
from torch import nn

import torchwork
from torchwork.training import compiling, precision
from torchwork.training.forward import computing_eagerly
from torchwork.types import InputError, RunError

CPU = torch.device("cpu")


@pytest.fixture
def quick_backend(monkeypatch):
    """Trace as always, but leave the generation of C++ out, which takes half a minute."""
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")


def config(**train):
    return {
        "data": {"source": "Digits", "batch_size": 64},
        "model": {"name": "MLP", "hidden": [32]},
        "optimizer": {"name": "Adam", "lr": 0.01},
        "train": {"epochs": 2, "threads": 1, **train},
    }


def weights(path):
    return {name: value.detach() for name, value in torchwork.load(path).model.named_parameters()}


def assert_trains_nearly_the_same_and_goes_on_to_the_same(tmp_path, low):
    usual = torchwork.train(config(precision=low), out=tmp_path / "usual")
    straight = torchwork.train(config(precision=low, compile="on"), out=tmp_path / "straight")
    expected = weights(usual.path)
    for name, found in weights(straight.path).items():
        torch.testing.assert_close(found, expected[name], rtol=1e-3, atol=1e-3 if low == "fp32" else 0.03)
    begun = torchwork.train(config(precision=low, compile="on", epochs=1), out=tmp_path / "begun")
    longer = torchwork.resume(begun.path, overrides=["train.epochs=2"])
    assert longer.config.train.compile == "on"
    assert (longer.path / "model.safetensors").read_bytes() == (straight.path / "model.safetensors").read_bytes()


@pytest.mark.parametrize("low", [pytest.param("fp32", marks=pytest.mark.slow), "bf16"])
def test_trains_nearly_the_same_and_goes_on_to_the_same(tmp_path, quick_backend, low):
    assert_trains_nearly_the_same_and_goes_on_to_the_same(tmp_path, low)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # of torch itself
@pytest.mark.parametrize("low", ["fp32", "bf16"])
def test_generated_code_trains_nearly_the_same_and_goes_on_to_the_same(tmp_path, low):
    assert_trains_nearly_the_same_and_goes_on_to_the_same(tmp_path, low)


class Counted(nn.Module):
    """Counts how often Python goes through its forward pass: compiled, only while it is traced."""

    calls = 0

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        type(self).calls += not torch.compiler.is_compiling()
        return self.linear(x)


def test_forward_is_compiled_inside_only_and_copies_are_too(quick_backend):
    model, x = Counted(), torch.randn(4, 3)
    eager = model(x)
    before = Counted.calls
    with compiling.compiled(model, "on"):
        torch.testing.assert_close(model(x), eager)
        assert Counted.calls == before
        with computing_eagerly(model):
            model(x)
        assert Counted.calls == before + 1
    model(x)
    assert Counted.calls == before + 2
    with compiling.compiled(model, "off"):
        model(x)
    assert Counted.calls == before + 3
    assert "forward" not in model.__dict__


def test_a_short_run_is_not_tried_and_says_so(tmp_path):
    run = torchwork.train(config(compile="auto"), out=tmp_path / "run")
    assert run.config.train.compile == "off"
    assert "auto chose off: all forward and backward passes together take about" in (run.path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("eager", "compiled", "steps", "chosen"),
    [(0.2, 0.1, 1000, "on"), (0.2, 0.1, 700, "off"), (0.1, 0.2, 2000, "off"), (0.2, 0.1, 500, "off")],
)
def test_auto_compiles_where_it_saves_more_than_it_costs(monkeypatch, quick_backend, eager, compiled, steps, chosen):
    """Compiling takes 80 s here: 0.1 s are saved in each step."""

    def seconds(model, loss, device):
        return 80.0 if hasattr(model.__dict__.get("forward"), "torchwork_eager") else eager

    monkeypatch.setattr(precision, "seconds", seconds)
    monkeypatch.setattr(precision, "race", lambda *rest: precision.Trial(eager, compiled, eager / compiled))
    model = nn.Linear(2, 1)
    found, why = compiling.choose(model, lambda tried: tried(torch.ones(1, 2)).sum(), CPU, steps)
    assert found == chosen
    if eager * steps >= compiling.WORTH_TRYING:
        assert "and compiling 80 s" in why
        assert (
            f"{steps} of them take {abs(eager - compiled) * steps:.3g} s {'less' if eager > compiled else 'more'}"
            in why
        )
    else:
        assert why == "all forward and backward passes together take about 100 s uncompiled"
    assert "forward" not in model.__dict__


def test_the_trial_itself_leaves_no_trace(monkeypatch, quick_backend):
    monkeypatch.setattr(compiling, "WORTH_TRYING", 0.0)
    model, x = nn.Sequential(nn.Linear(8, 8), nn.Dropout()), torch.randn(4, 8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.random.get_rng_state()
    found, why = compiling.choose(model.eval(), lambda tried: tried(x).sum(), CPU, 10)
    assert found in ("on", "off")
    assert "ms compiled" in why
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.training


def test_without_a_compiler_it_is_refused(tmp_path):
    from torch._inductor import config as inductor
    from torch._inductor import cpp_builder

    cpp_builder.cpp_compiler_search.cache_clear()
    with (
        inductor.patch({"cpp.cxx": ("/no/such/compiler",)}),
        pytest.raises(InputError, match=r"needs a C\+\+ compiler"),
    ):
        torchwork.train(config(compile="on"), out=tmp_path / "run")


def test_a_model_that_cannot_be_compiled_ends_the_run_with_what_to_do(quick_backend, monkeypatch):
    def fails(graph, inputs):
        raise ValueError("no such kernel")

    monkeypatch.setattr(compiling, "BACKEND", fails)
    model = nn.Linear(2, 1)
    with (
        compiling.compiled(model, "on"),
        pytest.raises(RunError, match=r"torch.compile fails on this model: .*train.compile: off"),
    ):
        model(torch.ones(1, 2))


def test_where_a_loss_is_not_finite_its_origin_is_found_in_the_model_as_written(tmp_path, quick_backend):
    with pytest.raises(RunError, match="Linear"):
        torchwork.train({**config(compile="on"), "optimizer": {"name": "SGD", "lr": 1e30}}, out=tmp_path / "run")


def test_parts_of_a_model_are_not_compiled(tmp_path):
    with pytest.raises(InputError, match=r"train.compile does not go with distributed.strategy: fsdp"):
        torchwork.train({**config(compile="on"), "distributed": {"strategy": "fsdp"}}, out=tmp_path / "run")
