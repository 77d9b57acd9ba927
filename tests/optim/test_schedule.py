"""Every schedule equals torch's own scheduler used by hand, and resumes exactly from any point."""

from __future__ import annotations

import json
import math
import warnings

import pytest
import torch
from torch.optim import lr_scheduler

from torchwork.optim import SCHEDULES, schedule
from torchwork.optim.several import Optimizers
from torchwork.types import InputError


def falling(step: int) -> float:
    """A factor that a config can name."""
    return 0.95**step


def by_third(step: int) -> float:
    return 0.5 if step % 3 == 0 else 1.0


def breaks_at_seven(step: int) -> float:
    return 1 / (7 - step)


class Staircase:
    """A callable with a state of its own."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, step: int) -> float:
        self.calls += 1
        return 1.0 / self.calls


STAIRCASE = Staircase()
HERE = "tests.optim.test_schedule"
LENGTH = 30

# the options of a config, and what a user of plain torch would write
CASES = {
    "ChainedScheduler": (
        {
            "schedulers": [
                {"name": "ConstantLR", "factor": 0.5, "total_iters": 7},
                {"name": "ExponentialLR", "gamma": 0.9},
            ]
        },
        lambda o: lr_scheduler.ChainedScheduler(
            [lr_scheduler.ConstantLR(o, 0.5, 7), lr_scheduler.ExponentialLR(o, 0.9)], optimizer=o
        ),
    ),
    "ConstantLR": ({"factor": 0.25, "total_iters": 9}, lambda o: lr_scheduler.ConstantLR(o, 0.25, 9)),
    "CosineAnnealingLR": ({"eta_min": 0.001}, lambda o: lr_scheduler.CosineAnnealingLR(o, LENGTH, 0.001)),
    "CosineAnnealingWarmRestarts": (
        {"T_0": 4, "T_mult": 2},
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4, 2),
    ),
    "CyclicLR": (
        {"base_lr": 0.01, "max_lr": [0.1, 0.2], "step_size_up": 4, "mode": "exp_range", "gamma": 0.99},
        lambda o: lr_scheduler.CyclicLR(o, 0.01, [0.1, 0.2], 4, mode="exp_range", gamma=0.99),
    ),
    "ExponentialLR": ({"gamma": 0.9}, lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
    "LambdaLR": ({"lr_lambda": f"{HERE}:falling"}, lambda o: lr_scheduler.LambdaLR(o, falling)),
    "LinearLR": (
        {"start_factor": 0.1, "total_iters": 12},
        lambda o: lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=12),
    ),
    "MultiStepLR": ({"milestones": [5, 5, 20]}, lambda o: lr_scheduler.MultiStepLR(o, [5, 5, 20])),
    "MultiplicativeLR": (
        {"lr_lambda": [f"{HERE}:falling", f"{HERE}:by_third"]},
        lambda o: lr_scheduler.MultiplicativeLR(o, [falling, by_third]),
    ),
    "OneCycleLR": ({"max_lr": 0.4}, lambda o: lr_scheduler.OneCycleLR(o, 0.4, total_steps=LENGTH)),
    "PolynomialLR": ({"total_iters": 25, "power": 2}, lambda o: lr_scheduler.PolynomialLR(o, 25, 2.0)),
    "ReduceLROnPlateau": (
        {"patience": 1, "cooldown": 1, "min_lr": [1e-3, 1e-4]},
        lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1, cooldown=1, min_lr=[1e-3, 1e-4]),
    ),
    "SequentialLR": (
        {"schedulers": [{"name": "LinearLR", "total_iters": 6}, {"name": "CosineAnnealingLR"}], "milestones": [6]},
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, total_iters=6), lr_scheduler.CosineAnnealingLR(o, LENGTH - 6)], [6]
        ),
    ),
    "StepLR": ({"step_size": 7, "gamma": 0.5}, lambda o: lr_scheduler.StepLR(o, 7, 0.5)),
}
NAMES = sorted(CASES)


def two_groups() -> torch.optim.Optimizer:
    groups = [{"params": [torch.zeros(2, requires_grad=True)], "match": name} for name in ("a", "b")]
    groups[1]["lr"] = 0.03
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9)


def one_group(lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)


def metric(epoch: int) -> float:
    return 1.0 / min(epoch + 1, 8) + (0.1 if epoch % 5 == 3 else 0.0)


def state_of(optimizer: torch.optim.Optimizer) -> list[tuple[float, float]]:
    return [(group["lr"], group["momentum"]) for group in optimizer.param_groups]


def advance(made: schedule.Schedule, optimizer: torch.optim.Optimizer, step: int, every: str) -> tuple:
    """What stands in the groups during one step (or epoch of one step) of a run, which then goes on."""
    seen = state_of(optimizer)
    optimizer.step()
    made.after_update()
    if every == "epoch":
        made.after_epoch(metric(step))
    return seen


def start(name: str, optimizer: torch.optim.Optimizer, **more: object) -> tuple[schedule.Schedule, str]:
    every = "step" if name in ("OneCycleLR", "CyclicLR") else "epoch"
    epochs, steps = (3, LENGTH // 3) if every == "step" else (LENGTH, 1)
    spec = {"name": name, **CASES[name][0], **more}
    return schedule.build(spec, optimizer, epochs=epochs, steps_per_epoch=steps), every


def test_catalog_holds_every_scheduler_of_torch():
    abstract = {"LRScheduler"}
    assert set(SCHEDULES) == set(lr_scheduler.__all__) - abstract
    assert set(CASES) == set(SCHEDULES)


@pytest.mark.parametrize("name", NAMES)
def test_learning_rates_and_momenta_equal_those_of_torch_used_by_hand(name):
    ours, theirs = two_groups(), two_groups()
    made, every = start(name, ours)
    by_hand = CASES[name][1](theirs)
    for step in range(LENGTH):
        expected = state_of(theirs)
        theirs.step()
        by_hand.step(metric(step)) if name == "ReduceLROnPlateau" else by_hand.step()
        assert advance(made, ours, step, every) == expected


@pytest.mark.parametrize("warmup", [0, 8])
@pytest.mark.parametrize("name", NAMES)
def test_resuming_at_any_point_equals_going_straight_on(name, warmup):
    straight = two_groups()
    made, every = start(name, straight, warmup_steps=warmup)
    expected, stops = [], []
    for step in range(LENGTH):
        # momenta belong to the optimizer's state, which its own saving restores
        stops.append((json.dumps(made.state_dict(), allow_nan=False), [dict(g) for g in straight.param_groups]))
        expected.append(advance(made, straight, step, every))
    for stop in range(0, LENGTH, 3):
        resumed = two_groups()
        again, _ = start(name, resumed, warmup_steps=warmup)
        for group, saved in zip(resumed.param_groups, stops[stop][1], strict=True):
            group.update({key: value for key, value in saved.items() if key not in ("params", "lr")})
        again.load_state_dict(json.loads(stops[stop][0]))
        assert [advance(again, resumed, step, every) for step in range(stop, LENGTH)] == expected[stop:]
        assert again.state_dict() == made.state_dict()


def test_a_callable_object_goes_on_with_its_own_state():
    spec = {"name": "LambdaLR", "lr_lambda": f"{HERE}:STAIRCASE"}
    optimizer = one_group()
    made = schedule.build(spec, optimizer, epochs=5, steps_per_epoch=1)
    made.after_epoch()
    saved, calls = json.loads(json.dumps(made.state_dict())), STAIRCASE.calls
    STAIRCASE.calls = 100
    made.load_state_dict(saved)
    assert STAIRCASE.calls == calls


@pytest.mark.parametrize("every", ["epoch", "step"])
def test_warm_up_scales_the_scheduled_rate_linearly_by_updates(every):
    ours, theirs = one_group(), one_group()
    spec = {"name": "StepLR", "step_size": 2, "every": every, "warmup_steps": 5}
    made = schedule.build(spec, ours, epochs=4, steps_per_epoch=3)
    by_hand = lr_scheduler.StepLR(theirs, 2)
    update = 0
    for _ in range(4):
        for _ in range(3):
            factor = min(1.0, (update + 1) / 5)
            assert ours.param_groups[0]["lr"] == theirs.param_groups[0]["lr"] * factor
            theirs.step()
            made.after_update()
            if every == "step":
                by_hand.step()
            update += 1
        made.after_epoch()
        if every == "epoch":
            by_hand.step()


def test_no_warning_even_where_an_epoch_made_no_update():
    optimizer = one_group()
    made = schedule.build({"name": "StepLR", "step_size": 1}, optimizer, epochs=3, steps_per_epoch=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.after_epoch()
        made.after_epoch()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.001)


def test_no_schedule_leaves_the_learning_rate_alone():
    optimizer = one_group()
    made = schedule.build(None, optimizer, epochs=3, steps_per_epoch=2)
    made.after_update()
    made.after_epoch(1.0)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert not made.needs_metric
    made.load_state_dict(json.loads(json.dumps(made.state_dict())))


def test_length_of_the_run_fills_in_by_epoch_or_by_step():
    for every, length in (("epoch", 6), ("step", 24)):
        ours, theirs = one_group(), one_group()
        made = schedule.build({"name": "CosineAnnealingLR", "every": every}, ours, epochs=6, steps_per_epoch=4)
        by_hand = lr_scheduler.CosineAnnealingLR(theirs, length)
        for _ in range(3):
            theirs.step()
            by_hand.step()
            made.after_update()
            if every == "epoch":
                made.after_epoch()
        assert ours.param_groups[0]["lr"] == theirs.param_groups[0]["lr"]


@pytest.mark.parametrize("given", [{"epochs": 6}, {"steps_per_epoch": 4}, {"total_steps": 24}, {}, {"pct_start": 0.3}])
def test_one_cycle_takes_what_is_given_and_the_run_gives_the_rest(given):
    ours, theirs = two_groups(), two_groups()
    made = schedule.build({"name": "OneCycleLR", "max_lr": 1, **given}, ours, epochs=6, steps_per_epoch=4)
    by_hand = lr_scheduler.OneCycleLR(theirs, 1.0, epochs=6, steps_per_epoch=4)
    for _ in range(24):
        assert state_of(ours) == state_of(theirs)
        theirs.step()
        by_hand.step()
        made.after_update()


def test_plateau_needs_a_metric_and_says_so():
    made = schedule.build({"name": "ReduceLROnPlateau"}, one_group(), epochs=3, steps_per_epoch=1)
    assert made.needs_metric
    made.after_update()
    with pytest.raises(ValueError, match="monitored metric"):
        made.after_epoch(None)


def test_groups_in_another_order_keep_their_rates_after_resuming():
    spec = {"name": "ExponentialLR", "gamma": 0.5}
    first = two_groups()
    made = schedule.build(spec, first, epochs=4, steps_per_epoch=1)
    made.after_epoch()
    groups = [{"params": [torch.zeros(2, requires_grad=True)], "match": name} for name in ("new", "b", "a")]
    groups[1]["lr"] = 0.03
    second = torch.optim.SGD(groups, lr=0.1)
    again = schedule.build(spec, second, epochs=4, steps_per_epoch=1)
    again.load_state_dict(made.state_dict())
    assert [group["lr"] for group in second.param_groups] == [0.1, 0.015, 0.05]
    made.after_epoch()
    again.after_epoch()
    assert [group["lr"] for group in second.param_groups[1:]] == [g["lr"] for g in reversed(first.param_groups)]


def test_several_optimizers_follow_one_schedule_each_with_its_own_lists():
    both = Optimizers([two_groups(), torch.optim.Adam([torch.zeros(1, requires_grad=True)])])
    spec = {"name": "OneCycleLR", "max_lr": [0.1, 0.2, 0.3], "cycle_momentum": True}
    made = schedule.build(spec, both, epochs=2, steps_per_epoch=5)
    for _ in range(3):  # OneCycleLR's highest point: 0.3 * 10 - 1 = 2 steps
        top = [group["lr"] for group in both.param_groups]
        made.after_update()
    assert top == pytest.approx([0.1, 0.2, 0.3])
    assert both.param_groups[2]["betas"][0] != 0.9
    saved = json.loads(json.dumps(made.state_dict()))
    assert len(saved["schedulers"]) == 2
    made.load_state_dict(saved)


@pytest.mark.parametrize(
    ("spec", "where", "said"),
    [
        ({"name": "StepLr", "step_size": 1}, "schedule.name", "'StepLR'"),
        ({"name": "StepLR"}, "schedule", "needs 'step_size'"),
        ({"name": "StepLR", "step_size": 0}, "schedule.step_size", "got 0; expected 1 epoch or more"),
        ({"name": "StepLR", "step_size": -2, "every": "step"}, "schedule.step_size", "expected 1 step or more"),
        ({"name": "CosineAnnealingLR", "T_max": 0}, "schedule.T_max", "got 0; expected 1 epoch or more"),
        (
            {"name": "CyclicLR", "base_lr": 0.1, "max_lr": 1.0, "step_size_up": 0, "cycle_momentum": False},
            "schedule.step_size_up",
            "got 0; expected 1 step or more",
        ),
        (
            {"name": "ChainedScheduler", "schedulers": [{"name": "StepLR", "step_size": 0}]},
            "schedule.schedulers[0].step_size",
            "got 0",
        ),
        ({"name": "StepLR", "step_size": True}, "schedule.step_size", "whole number"),
        ({"name": "StepLR", "step_size": 1, "last_epoch": 4}, "schedule.last_epoch", "resumed"),
        ({"name": "StepLR", "step_size": 1, "every": "day"}, "schedule.every", "epoch or step"),
        ({"name": "StepLR", "step_size": 1, "warmup_steps": -1}, "schedule.warmup_steps", "0 or more"),
        ({"name": "StepLR", "step_size": 1, "schedulers": []}, "schedule.schedulers", "SequentialLR"),
        ({"name": "ExponentialLR", "gamma": math.nan}, "schedule.gamma", "NaN"),
        ({"name": "CosineAnnealingWarmRestarts", "T_0": -3}, "schedule.T_0", "positive integer"),
        ({"name": "ReduceLROnPlateau", "factor": 1.5}, "schedule.factor", "< 1.0"),
        ({"name": "ReduceLROnPlateau", "mode": "least"}, "schedule.mode", "'min' or 'max'"),
        ({"name": "ReduceLROnPlateau", "every": "step"}, "schedule.every", "evaluation"),
        ({"name": "OneCycleLR", "max_lr": 1.0, "total_steps": 11}, "schedule.total_steps", "go on for 12"),
        ({"name": "OneCycleLR", "max_lr": 1.0, "epochs": 2}, "schedule.epochs", "go on for 12"),
        ({"name": "OneCycleLR", "max_lr": [1.0, 2.0]}, "schedule.max_lr", "same length"),
        ({"name": "OneCycleLR", "max_lr": 1.0}, "schedule.cycle_momentum", "momentum"),
        ({"name": "LambdaLR", "lr_lambda": "no.such:thing"}, "schedule.lr_lambda", "cannot import"),
        ({"name": "LambdaLR", "lr_lambda": 3}, "schedule.lr_lambda", "package.module:function"),
        ({"name": "LambdaLR", "lr_lambda": f"{HERE}:HERE"}, "schedule.lr_lambda", "no function"),
        ({"name": "LambdaLR", "lr_lambda": f"{HERE}:breaks_at_seven", "every": "step"}, "schedule", "ZeroDivision"),
        ({"name": "LambdaLR", "lr_lambda": "math:exp2"}, "schedule.name", "Python functions"),
        ({"name": "SequentialLR", "milestones": [1]}, "schedule.schedulers", "expected a list"),
        (
            {"name": "SequentialLR", "milestones": [2, 1], "schedulers": [{"name": "ConstantLR"}] * 3},
            "schedule.milestones",
            "rising",
        ),
        (
            {"name": "ChainedScheduler", "schedulers": [{"name": "ReduceLROnPlateau"}]},
            "schedule.schedulers[0]",
            "inside",
        ),
        (
            {"name": "ChainedScheduler", "schedulers": [{"name": "ConstantLR", "warmup_steps": 3}]},
            "schedule.schedulers[0].warmup_steps",
            "move it to schedule.warmup_steps",
        ),
        (
            {"name": "ChainedScheduler", "schedulers": [{"name": "ConstantLR", "factor": 3.0}]},
            "schedule.schedulers[0].factor",
            "between 0 and 1",
        ),
        ({"name": f"{HERE}:Staircase"}, "schedule", "Staircase"),
    ],
)
def test_wrong_schedules_are_refused_before_training(spec, where, said):
    optimizer = torch.optim.Adagrad([torch.zeros(1, requires_grad=True)])
    with pytest.raises(InputError) as caught:
        schedule.build(spec, optimizer, epochs=3, steps_per_epoch=4)
    assert [finding.where for finding in caught.value.findings] == [where]
    assert said in str(caught.value)


def test_a_length_of_zero_is_named_beside_an_unknown_option():
    with pytest.raises(InputError) as caught:
        schedule.build({"name": "StepLR", "step_size": 0, "gama": 0.1}, one_group(), epochs=3, steps_per_epoch=4)
    assert {finding.where for finding in caught.value.findings} == {"schedule.step_size", "schedule.gama"}


def test_all_mistakes_come_at_once():
    spec = {"name": "StepLR", "step_size": "a", "gama": 0.1, "every": "x", "warmup_steps": 1.5}
    with pytest.raises(InputError) as caught:
        schedule.build(spec, one_group(), epochs=3, steps_per_epoch=4)
    found = {finding.where for finding in caught.value.findings}
    assert found == {f"schedule.{name}" for name in ("step_size", "gama", "every", "warmup_steps")}


class Halving(lr_scheduler.LRScheduler):
    """A user's own scheduler, with a state that torch's do not have."""

    def __init__(self, optimizer: torch.optim.Optimizer, after: int) -> None:
        self.after, self.count = after, 0
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        self.count += 1
        if self.count > self.after:
            self.base_lrs = [lr / 2 for lr in self.base_lrs]
        return self.base_lrs


def test_a_scheduler_of_the_users_own_resumes_too():
    spec = {"name": f"{HERE}:Halving", "after": 2}
    straight = one_group()
    made = schedule.build(spec, straight, epochs=6, steps_per_epoch=1)
    for _ in range(3):
        made.after_epoch()
    resumed = one_group()
    again = schedule.build(spec, resumed, epochs=6, steps_per_epoch=1)
    again.load_state_dict(json.loads(json.dumps(made.state_dict())))
    for _ in range(3):
        made.after_epoch()
        again.after_epoch()
    assert resumed.param_groups[0]["lr"] == straight.param_groups[0]["lr"] == 0.1 / 2**5
