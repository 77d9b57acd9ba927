"""Optimizers and counting of operations do without torch._dynamo, and with it where it is there."""

import json
import subprocess
import sys
import textwrap

import pytest

from torchwork.optim import OPTIMIZERS

TRAIN = """
import json, sys
import torch
from torchwork.optim.build import build
from torchwork.optim.direct import Stepper

def trained(name, between=lambda model: model):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    spec = [{"name": "Muon", "match": "*.weight"}, {"name": "AdamW"}] if name == "Muon" else {"name": name, "lr": 0.01}
    if name == "SparseAdam":
        model = torch.nn.EmbeddingBag(8, 2, sparse=True)
    optimizer = build(spec, model)
    stepper, x = Stepper(optimizer), torch.arange(8).view(2, 4)
    for step in range(4):
        if step == 2:
            model = between(model)
        stepper.clear_gradients()
        model(x if name == "SparseAdam" else x.float()).square().sum().backward()
        if name == "LBFGS":
            optimizer.step(lambda: model(x.float()).square().sum())
        else:
            stepper.step()
    return [p.tolist() for p in model.parameters()]
"""


def run(code: str) -> object:
    """Run code in a process of its own, and return the JSON that it prints last."""
    done = subprocess.run([sys.executable, "-c", TRAIN + textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_no_optimizer_imports_it_but_the_one_that_calls_the_model_and_all_end_at_the_same_weights():
    names = sorted(OPTIMIZERS)
    code = """
        found = {name: (trained(name), "torch._dynamo" in sys.modules) for name in NAMES}
        import torch._dynamo
        print(json.dumps([found, {name: trained(name) for name in NAMES}]))
    """
    without, beside = run(f"NAMES = {[name for name in names if name != 'LBFGS']}\n" + textwrap.dedent(code))
    assert len(without) == len(names) - 1
    assert {name: loaded for name, (_, loaded) in without.items()} == dict.fromkeys(without, False)
    assert {name: weights for name, (weights, _) in without.items()} == beside


@pytest.mark.parametrize("when", ["before", "between"])
def test_what_imports_it_gets_the_module_itself(when):
    code = """
        def look(model):
            import torch._dynamo.config
            assert torch._dynamo.__file__ and torch._dynamo.config.recompile_limit
            return model

        WHEN == "before" and look(None)
        weights = trained("Adagrad", look)
        import torch._dynamo
        assert torch._dynamo.disable.__module__.startswith("torch._dynamo")
        print(json.dumps(weights == trained("Adagrad")))
    """
    assert run(f"WHEN = {when!r}\n" + textwrap.dedent(code)) is True


def test_a_function_that_was_called_without_it_is_not_compiled_when_there_is_something_that_compiles():
    code = """
        from torchwork.without_dynamo import without_dynamo
        kept_out, taken_in = [], []
        probe = torch._disable_dynamo(lambda: kept_out.append(torch.compiler.is_compiling()))
        with without_dynamo():
            probe()
        assert "torch._dynamo" not in sys.modules

        @torch.compile(backend="eager")
        def step(x):
            taken_in.append(torch.compiler.is_compiling())
            probe()
            return x + 1

        step(torch.ones(2, 4))
        print(json.dumps([kept_out, taken_in, bool(torch._dynamo.__file__)]))
    """
    assert run(code) == [[False, False], [True], True]


def test_a_summary_counts_without_it():
    code = """
        from torchwork.models.summary import summarise
        layers = summarise(torch.nn.Conv2d(1, 2, 3), torch.zeros(1, 1, 8, 8))
        assert layers.multiply_adds == 2 * 9 * 36, layers
        print(json.dumps("torch._dynamo" in sys.modules))
    """
    assert run(code) is False


def test_what_else_is_asked_of_the_stand_in_is_the_modules_own():
    code = """
        from torchwork.without_dynamo import without_dynamo
        with without_dynamo():
            found = sys.modules["torch._dynamo"].config
        import torch._dynamo
        print(json.dumps(found is torch._dynamo.config))
    """
    assert run(code) is True


def test_it_stays_away_where_it_is_not_wanted_or_the_module_is_there():
    import torch._dynamo

    from torchwork.without_dynamo import without_dynamo

    with without_dynamo():
        assert sys.modules["torch._dynamo"] is torch._dynamo
        assert torch._dynamo.__file__
