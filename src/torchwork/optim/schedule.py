"""Learning-rate schedules: torch's schedulers by name, stepped where torch's own examples step them, and warm-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from torchwork.optim import schedulers
from torchwork.optim.encoding import decode, encode
from torchwork.optim.schedulers import Plan
from torchwork.optim.several import Optimizers, members
from torchwork.types import Finding, InputError

# lists with an item for each group, which the config fixes: kept as built where the groups are others than saved
_BY_GROUP = ("base_lrs", "max_lrs", "min_lrs", "base_momentums", "max_momentums", "_last_lr")


class Schedule:
    """Moves the learning rates of an optimizer: call ``after_update`` and ``after_epoch``, and nothing else.

    With ``warmup_steps`` = w, update u (from 0) runs at the scheduled learning rate times min(1, (u + 1) / w): the
    first at lr / w, the w-th and all later ones at the full one. The schedule itself runs from the first update on.
    """

    def __init__(self, groups: list[dict[str, Any]], torch_schedulers: list[LRScheduler], plan: Plan | None) -> None:
        self._groups = groups
        self._schedulers = torch_schedulers
        self._by_step = plan is not None and plan.every == "step"
        self._warmup_steps = plan.warmup_steps if plan else 0
        self._updates = 0
        self._lrs = _lrs(groups)  # as scheduled, before warm-up
        self._warm()

    @property
    def needs_metric(self) -> bool:
        """Whether ``after_epoch`` must be given the monitored metric."""
        return any(isinstance(scheduler, ReduceLROnPlateau) for scheduler in self._schedulers)

    def after_update(self) -> None:
        """Go on by one update; call it once after each step of the optimizer."""
        warming = self._updates < self._warmup_steps
        self._updates += 1
        if self._by_step:
            self._step(None)
        elif warming:
            self._warm()

    def after_epoch(self, metric: float | None = None) -> None:
        """Go on by one epoch; call it once after each epoch's evaluation.

        Raises:
            ValueError: the schedule is ReduceLROnPlateau and there is no metric.
        """
        if not self._by_step:
            self._step(metric)

    def catch_up(self, updates: int, metrics: Sequence[float | None]) -> None:
        """Go on from the start to where so many updates lead, and epochs with these metrics, however it came about."""
        for _ in range(updates):
            self.after_update()
        for metric in metrics:
            self.after_epoch(metric)

    def _step(self, metric: float | None) -> None:
        if not self._schedulers:
            return
        if self._warmup_steps:  # torch's schedulers go on from the value that they left
            _set_lrs(self._groups, self._lrs)
        for scheduler in self._schedulers:
            if isinstance(scheduler, ReduceLROnPlateau):
                if metric is None:
                    raise ValueError("ReduceLROnPlateau needs the monitored metric of each epoch, and there is none")
                scheduler.step(metric)
            else:
                scheduler.step()
        if self._warmup_steps:
            self._lrs = _lrs(self._groups)
            self._warm()

    def _warm(self) -> None:
        if self._updates > self._warmup_steps or not self._warmup_steps:
            return
        factor = min(1.0, (self._updates + 1) / self._warmup_steps)
        _set_lrs(self._groups, [lr * factor for lr in self._lrs])

    def state_dict(self) -> dict[str, Any]:
        """Return where the schedule stands as plain data for JSON. Functions are not in it: the config names them."""
        return {
            "updates": self._updates,
            "groups": [group.get("match") for group in self._groups],
            "lrs": list(self._lrs) if self._warmup_steps else _lrs(self._groups),
            "schedulers": [_encode_state(scheduler) for scheduler in self._schedulers],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where another schedule of the same config stood.

        The learning rates of the groups are set too; momenta that OneCycleLR and CyclicLR move belong to the
        optimizer's own state. A group that the other schedule did not have keeps the start of its own.

        Raises:
            ValueError: the state is that of another number of schedulers.
        """
        if len(state["schedulers"]) != len(self._schedulers):
            raise ValueError(f"the state is of {len(state['schedulers'])} schedulers, not of {len(self._schedulers)}")
        self._updates = state["updates"]
        names = [group.get("match") for group in self._groups]
        same = names == state["groups"]
        for scheduler, saved in zip(self._schedulers, state["schedulers"], strict=True):
            decoded = decode(saved)
            scheduler.load_state_dict(decoded if same else _without_groups(decoded))
        found = dict(zip(state["groups"], state["lrs"], strict=True))
        self._lrs = list(state["lrs"]) if same else list(map(found.get, names, self._lrs))
        _set_lrs(self._groups, self._lrs)
        self._warm()


def _lrs(groups: Sequence[Mapping[str, Any]]) -> list[float]:
    return [float(group["lr"]) for group in groups]


def _set_lrs(groups: Sequence[dict[str, Any]], lrs: Sequence[float]) -> None:
    for group, lr in zip(groups, lrs, strict=True):
        if isinstance(group["lr"], Tensor):  # a captured graph reads this very tensor
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def _encode_state(scheduler: LRScheduler) -> Any:
    return encode(scheduler.state_dict(), type(scheduler).__name__)


def _without_groups(state: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what has an item for each group, in nested schedulers too."""
    kept = {name: value for name, value in state.items() if name not in _BY_GROUP}
    if "lr_lambdas" in kept:
        kept["lr_lambdas"] = []
    if "_schedulers" in kept:
        kept["_schedulers"] = [_without_groups(inner) for inner in kept["_schedulers"]]
    return kept


def follows_length(spec: Mapping[str, Any] | None, epochs: int, other: int, steps_per_epoch: int) -> bool:
    """Tell whether a schedule gives other rates in a run of ``other`` epochs, as its options follow the run's length.

    >>> follows_length({"name": "ExponentialLR", "gamma": 0.9}, 4, 6, 10)
    False
    >>> follows_length({"name": "CosineAnnealingLR"}, 4, 6, 10)
    True
    """
    if spec is None:
        return False
    plans = [schedulers.plan(spec, length, steps_per_epoch, "schedule") for length in (epochs, other)]
    return not _same(*plans)


def _same(one: Plan, other: Plan) -> bool:
    return one.options == other.options and all(map(_same, one.inner, other.inner))


def build(
    spec: Mapping[str, Any] | None,
    optimizer: Optimizer | Optimizers,
    *,
    epochs: int,
    steps_per_epoch: int,
    where: str = "schedule",
) -> Schedule:
    """Return the schedule that a config names, at its start; it sets the optimizer's first learning rates.

    Args:
        spec: ``{"name": ..., **options}`` with torch's options and three of ours, or None for none.
            ``every``: ``epoch`` or ``step``, when the schedule goes on; by default each update for OneCycleLR and
            CyclicLR (and what holds one of them), else each epoch. ``warmup_steps``: updates of linear warm-up.
            ``schedulers``: the components that SequentialLR and ChainedScheduler are made of. Functions
            (``lr_lambda``, ``scale_fn``) are ``package.module:function``.
        optimizer: Whose learning rates are moved; several optimizers have one scheduler each.
        epochs: Of the whole run.
        steps_per_epoch: Updates (not batches) an epoch.
        where: The path in the config, for the findings.

    ``T_max``, ``total_steps`` and ``epochs`` with ``steps_per_epoch`` default to the run's length, counted as
    ``every`` says; inside of SequentialLR to that of the part between the milestones.

    Raises:
        InputError: with every mistake; a schedule that would fail later in the run is one (OneCycleLR shorter than
            the run).

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = build({"name": "StepLR", "step_size": 1, "warmup_steps": 2}, optimizer, epochs=2, steps_per_epoch=2)
    >>> lrs = []
    >>> for update in range(4):
    ...     lrs.append(optimizer.param_groups[0]["lr"])
    ...     schedule.after_update()
    ...     if update % 2 == 1:
    ...         schedule.after_epoch()
    >>> lrs
    [0.5, 1.0, 0.1, 0.1]
    """
    if spec is None:
        return Schedule(optimizer.param_groups, [], None)
    plan = schedulers.plan(spec, epochs, steps_per_epoch, where)
    built = schedulers.build(plan, members(optimizer))
    try:
        for scheduler in built:
            _encode_state(scheduler)
    except (
        TypeError,
        AttributeError,
    ) as error:  # torch looks for the __dict__ of functions, and built-in ones have none
        message = f"could not be saved and resumed: {error}"
        fix = "use Python functions, and keep plain numbers, texts, lists and dicts in the scheduler"
        raise InputError(Finding("unsaveable", "error", f"{where}.name", message, fix)) from error
    return Schedule(optimizer.param_groups, built, plan)


def rates_ahead(
    schedule: Schedule, optimizer: Optimizer | Optimizers, *, epochs: int, steps_per_epoch: int, most: int = 200_000
) -> list[list[float]]:
    """Return the learning rates that a schedule will give: for each update one for each group of parameters.

    The schedule and the rates of the optimizer are moved on by this, so both must be built for it. What depends on a
    metric (ReduceLROnPlateau) stays where warm-up leaves it. At most ``most`` updates, which take seconds.

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = build({"name": "StepLR", "step_size": 1}, optimizer, epochs=2, steps_per_epoch=2)
    >>> rates_ahead(schedule, optimizer, epochs=2, steps_per_epoch=2)
    [[1.0], [1.0], [0.1], [0.1]]
    """
    rates: list[list[float]] = []
    for step in range(1, min(epochs * steps_per_epoch, most) + 1):
        rates.append(_lrs(optimizer.param_groups))
        schedule.after_update()
        if step % steps_per_epoch == 0 and not schedule.needs_metric:
            schedule.after_epoch()
    return rates
