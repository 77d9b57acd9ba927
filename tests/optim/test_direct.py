"""Updates by the kernel alone are torch's own, to the bit."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW
from torch.optim.lr_scheduler import StepLR

from torchwork.optim.direct import Stepper
from torchwork.optim.several import Optimizers

MADE = [
    (Adam, {}),
    (Adam, {"lr": 0.02, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.1, "amsgrad": True}),
    (Adam, {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    (Adam, {"maximize": True}),
    (AdamW, {}),
    (AdamW, {"weight_decay": 0.2, "amsgrad": True, "maximize": True}),
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True}),
]
NAMES = [f"{kind.__name__}-{'-'.join(options)}" for kind, options in MADE]


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


def backward(model, step):
    generator = torch.Generator().manual_seed(step)
    model(torch.randn(4, 5, generator=generator)).square().sum().backward()


class Counted:
    """Counts how often a class's own step is called, without a hook that would be heard."""

    def __init__(self, monkeypatch, kind):
        self.calls = 0
        real = kind.step

        def step(*arguments, **options):
            self.calls += 1
            return real(*arguments, **options)

        step.hooked = True
        kind(net().parameters(), lr=0.1)  # torch wraps the class's step when the first is made
        real = kind.step
        monkeypatch.setattr(kind, "step", step)


def both(kind, options, groups=lambda model: model.parameters()):
    models = net(), net()
    return models, [kind(groups(model), fused=True, **options) for model in models]


def compared(models, optimizers, steps, between=lambda step, optimizer: None, first=0):
    stepper = Stepper(optimizers[1])
    for step in range(first, first + steps):
        for optimizer in optimizers:
            between(step, optimizer)
        optimizers[0].zero_grad()
        backward(models[0], step)
        optimizers[0].step()
        stepper.clear_gradients()
        assert all(parameter.grad is None for parameter in models[1].parameters())
        backward(models[1], step)
        stepper.step()
    equal(models, optimizers)
    return stepper


def equal(models, optimizers):
    assert len(optimizers[0].state) == len(optimizers[1].state)
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(one, other)
        for name, kept in optimizers[0].state.get(one, {}).items():
            found = optimizers[1].state[other][name]
            assert kept is found is None or torch.equal(kept, found), name


@pytest.mark.parametrize(("kind", "options"), MADE, ids=NAMES)
def test_every_update_is_torchs_and_its_step_is_called_once(kind, options, monkeypatch):
    models, optimizers = both(kind, options)
    counted = Counted(monkeypatch, kind)
    compared(models, optimizers, 8)
    assert counted.calls == 8 + 1


def test_groups_and_rates_that_change_are_followed():
    def groups(model):
        return [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.5, "weight_decay": 0.3}]

    def between(step, optimizer):
        for group in optimizer.param_groups:
            group["lr"] *= 0.9 + 0.02 * step

    models, optimizers = both(AdamW, {"lr": 0.01}, groups)
    compared(models, optimizers, 8, between)


def test_a_state_that_is_loaded_is_gone_on_from():
    models, optimizers = both(Adam, {"lr": 0.05})
    stepper = Stepper(optimizers[1])
    kept = []
    for step in range(9):
        if step == 3:
            kept = [copy.deepcopy((m.state_dict(), o.state_dict())) for m, o in zip(models, optimizers, strict=True)]
        if step == 6:
            for model, optimizer, (weights, state) in zip(models, optimizers, kept, strict=True):
                model.load_state_dict(weights)
                optimizer.load_state_dict(state)
        optimizers[0].zero_grad()
        backward(models[0], step)
        optimizers[0].step()
        stepper.clear_gradients()
        backward(models[1], step)
        stepper.step()
    equal(models, optimizers)


class Sometimes(nn.Module):
    """Uses its second layer every third time, from the third on."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two, self.calls = nn.Linear(5, 3), nn.Linear(5, 3), 0

    def forward(self, x):
        self.calls += 1
        return self.one(x) if self.calls % 3 else self.one(x) + self.two(x)


def test_a_parameter_without_a_gradient_stays_where_it_is_as_with_torch():
    models = Sometimes(), Sometimes()
    optimizers = [Adam(model.parameters(), lr=0.1, fused=True) for model in models]
    compared(models, optimizers, 10)


def test_a_momentum_that_begins_later_than_the_others_begins_as_without_the_kernel():
    models = Sometimes(), Sometimes()
    plain = SGD(models[0].parameters(), lr=0.1, momentum=0.9)
    fused = SGD(models[1].parameters(), lr=0.1, momentum=0.9, fused=True)
    stepper = Stepper(fused)
    for step in range(10):
        for model, optimizer in zip(models, (plain, stepper), strict=True):
            getattr(optimizer, "clear_gradients", plain.zero_grad)()
            backward(model, step)
            optimizer.step()
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert fused.param_groups[0]["fused"] is True


def test_who_listens_is_called_at_every_step():
    models, optimizers = both(Adam, {"lr": 0.05})
    heard = []
    stepper = compared(models, optimizers, 3)
    handle = optimizers[1].register_step_post_hook(lambda *_: heard.append("hook"))
    for step in range(4):
        backward(models[1], step)
        stepper.step()
        if step == 2:
            handle.remove()
    assert heard == ["hook"] * 3
    own = type(optimizers[1]).step
    optimizers[1].step = lambda *_: (heard.append("own"), own(optimizers[1]))
    stepper.step()
    assert heard[3:] == ["own"]
    del optimizers[1].step
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        stepper.step()
    assert any(event.key == "Optimizer.step#Adam.step" for event in profile.key_averages())


def test_a_schedule_of_torch_does_not_stand_in_the_way(monkeypatch):
    models, optimizers = both(SGD, {"lr": 0.1, "momentum": 0.9})
    counted = Counted(monkeypatch, SGD)
    schedules = [StepLR(optimizer, 2, 0.5) for optimizer in optimizers]
    stepper = Stepper(optimizers[1])
    for step in range(8):
        for model, optimizer, schedule in zip(models, optimizers, schedules, strict=True):
            optimizer.zero_grad()
            backward(model, step)
            optimizer.step() if optimizer is optimizers[0] else stepper.step()
            schedule.step()
    equal(models, optimizers)
    assert counted.calls == 8 + 1


@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: Adam(parameters, lr=torch.tensor(0.05), fused=True),
        lambda parameters: Adam(parameters, lr=0.05),
        lambda parameters: Adagrad(parameters, lr=0.05),
        lambda parameters: Optimizers([SGD(parameters[:2], lr=0.1, fused=True), Adam(parameters[2:], fused=True)]),
    ],
    ids=["a tensor as rate", "not fused", "another", "several"],
)
def test_what_cannot_be_called_directly_is_stepped_as_ever(make):
    models = net(), net()
    optimizers = [make(list(model.parameters())) for model in models]
    compared(models, optimizers, 5)


def test_gradients_are_cleared_as_the_optimizer_wants_it():
    class Keeping(SGD):
        def zero_grad(self, set_to_none=True):
            super().zero_grad(set_to_none=False)

    model = net()
    stepper = Stepper(Keeping(model.parameters(), lr=0.1))
    backward(model, 0)
    stepper.clear_gradients()
    assert all(torch.equal(parameter.grad, torch.zeros_like(parameter)) for parameter in model.parameters())
