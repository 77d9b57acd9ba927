"""From what a config says about a schedule to torch's schedulers: options, defaults from the run's length, nesting."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, LRScheduler, OneCycleLR, ReduceLROnPlateau, SequentialLR

from torchwork import catalog
from torchwork.optim import SCHEDULES, options
from torchwork.types import Finding, InputError

_BY_STEP = ("OneCycleLR", "CyclicLR")
_OURS = ("name", "every", "warmup_steps", "schedulers")
_FUNCTIONS = ("lr_lambda", "scale_fn")
# torch divides by these and looks at none of them
_DIVISORS = ("step_size", "T_max", "step_size_up")
# lists of these have an item for each group
_BY_GROUP = ("lr_lambda", "max_lr", "base_lr", "min_lr", "base_momentum", "max_momentum")
# a schedule is tried before training for so many steps at most, which takes milliseconds
_REHEARSED = 500


class Plan(NamedTuple):
    """One scheduler: its class, its options, the plans of those inside of it; ``length`` in steps or epochs."""

    where: str
    component: Any
    options: dict[str, Any]
    inner: list[Plan]
    every: str
    warmup_steps: int
    length: int


def plan(spec: Mapping[str, Any], epochs: int, steps_per_epoch: int, where: str) -> Plan:
    """Read a schedule; raise InputError with everything that is wrong."""
    findings = _own_findings(spec, where)
    every = spec.get("every") or ("step" if _goes_by_step(spec) else "epoch")
    length = epochs * steps_per_epoch if every == "step" else epochs
    made, wrong = _plan(spec, every, length, steps_per_epoch, where)
    findings += wrong
    if made and made.component is ReduceLROnPlateau and spec.get("every") == "step":
        message = "ReduceLROnPlateau goes on after each evaluation, not after each update"
        findings.append(Finding("bad-value", "error", f"{where}.every", message, "remove it"))
    if findings or made is None:
        raise InputError(findings)
    return made._replace(warmup_steps=spec.get("warmup_steps", 0))


def _own_findings(spec: Mapping[str, Any], where: str) -> list[Finding]:
    findings = []
    every, warmup = spec.get("every"), spec.get("warmup_steps", 0)
    if every not in (None, "epoch", "step"):
        findings.append(Finding("bad-value", "error", f"{where}.every", f"got {every!r}", "expected epoch or step"))
    if not isinstance(warmup, int) or isinstance(warmup, bool) or warmup < 0:
        fix = "expected a whole number of updates, 0 or more"
        findings.append(Finding("bad-value", "error", f"{where}.warmup_steps", f"got {warmup!r}", fix))
    return findings


def _goes_by_step(spec: Any) -> bool:
    if not isinstance(spec, Mapping):
        return False
    inner = spec.get("schedulers")
    return spec.get("name") in _BY_STEP or (isinstance(inner, list) and any(map(_goes_by_step, inner)))


def _plan(
    spec: Mapping[str, Any], every: str, length: int, steps_per_epoch: int, where: str
) -> tuple[Plan | None, list[Finding]]:
    try:
        component = catalog.load(spec["name"], SCHEDULES, "schedule", f"{where}.name")
    except InputError as error:
        return None, error.findings
    nests = component in (SequentialLR, ChainedScheduler)
    given = {name: value for name, value in spec.items() if name not in _OURS}
    supplied = ("schedulers",) if nests else _lengths(component, given)
    functions = [name for name in _FUNCTIONS if name in given]
    others = {name: value for name, value in given.items() if name not in functions}
    findings = options.check(component, others, where, (*supplied, *functions))
    if spec["name"] in SCHEDULES:
        findings += _length_findings(others, {finding.where for finding in findings}, every, where)
    for name in functions:
        given[name], wrong = _function(given[name], f"{where}.{name}")
        findings += wrong
    if findings:
        return None, findings
    ready = {**options.ready(component, given), **{name: given[name] for name in functions}}
    ready = _fill_lengths(component, ready, every, length, steps_per_epoch)
    inner: list[Plan] = []
    if nests:
        inner, findings = _inner(spec, component, every, length, steps_per_epoch, where)
    elif "schedulers" in spec:
        message, fix = f"{component.__name__} holds no schedulers", "SequentialLR and ChainedScheduler do"
        findings = [Finding("unknown-option", "error", f"{where}.schedulers", message, fix)]
    made = Plan(where, component, ready, inner, every, 0, length)
    return made, findings or _total_findings(made)


def _lengths(component: Any, given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options that the run's length can fill in."""
    return ("T_max",) if "T_max" in catalog.parameters(component) and "T_max" not in given else ()


def _length_findings(given: Mapping[str, Any], told: Collection[str], every: str, where: str) -> list[Finding]:
    return [
        Finding("bad-value", "error", f"{where}.{name}", f"got {given[name]!r}", f"expected 1 {every} or more")
        for name in _DIVISORS
        if name in given and f"{where}.{name}" not in told and given[name] < 1
    ]


def _fill_lengths(
    component: Any, given: dict[str, Any], every: str, length: int, steps_per_epoch: int
) -> dict[str, Any]:
    known = catalog.parameters(component)
    if "T_max" in known:
        return {"T_max": length, **given}
    if "total_steps" in known and given.get("total_steps") is None:
        if given.get("epochs") is None and given.get("steps_per_epoch") is None:
            return {**given, "total_steps": length}
        an_epoch = steps_per_epoch if every == "step" else 1
        epochs = given["epochs"] if given.get("epochs") is not None else max(1, length // an_epoch)
        steps = given["steps_per_epoch"] if given.get("steps_per_epoch") is not None else an_epoch
        return {**given, "epochs": epochs, "steps_per_epoch": steps}
    return given


def _total_findings(made: Plan) -> list[Finding]:
    """OneCycleLR raises once it is past its end, which would be in the middle of the run."""
    if made.component is not OneCycleLR:
        return []
    name = "total_steps" if made.options.get("total_steps") is not None else "epochs"
    total = made.options.get("total_steps") or made.options["epochs"] * made.options["steps_per_epoch"]
    if total <= 0 or total >= made.length:
        return []
    message = f"OneCycleLR ends after {total} {made.every}s, but it has to go on for {made.length}"
    return [Finding("bad-value", "error", f"{made.where}.{name}", message, "leave it out: it is the run's length then")]


def _function(value: Any, where: str) -> tuple[Any, list[Finding]]:
    """Import a function, or one for each group."""
    paths = value if isinstance(value, list) else [value]
    found, findings = [], []
    for path in paths:
        if not isinstance(path, str):
            fix = "expected package.module:function, or a list with one for each group"
            findings.append(Finding("wrong-type", "error", where, f"got {path!r}", fix))
            continue
        try:
            found.append(catalog.load(path, {}, "function", where))
        except InputError as error:
            findings += error.findings
            continue
        if not callable(found[-1]):
            findings.append(Finding("wrong-type", "error", where, f"{path!r} is no function", "name a function"))
    return (found if isinstance(value, list) else found[0] if found else None), findings


def _inner(
    spec: Mapping[str, Any], component: Any, every: str, length: int, steps_per_epoch: int, where: str
) -> tuple[list[Plan], list[Finding]]:
    specs = spec.get("schedulers")
    at = f"{where}.schedulers"
    if not isinstance(specs, list) or not specs or not all(isinstance(s, Mapping) and "name" in s for s in specs):
        fix = "expected a list of schedules as [{name: LinearLR, total_iters: 5}, {name: CosineAnnealingLR}]"
        return [], [Finding("wrong-type", "error", at, f"got {specs!r}", fix)]
    lengths = [length] * len(specs)
    findings: list[Finding] = []
    if component is SequentialLR:
        milestones = spec["milestones"]
        borders = [0, *milestones]
        if len(borders) != len(specs) or any(b <= a for a, b in pairwise(borders)):
            fix = f"expected {len(specs) - 1} rising numbers of {every}s above 0, where the next schedule begins"
            return [], [Finding("bad-value", "error", f"{where}.milestones", f"got {milestones!r}", fix)]
        ends = [*milestones, max(length, borders[-1] + 1)]
        lengths = [end - start for start, end in zip(borders, ends, strict=True)]
    plans = []
    for index, (inner, span) in enumerate(zip(specs, lengths, strict=True)):
        here = f"{at}[{index}]"
        for name in ("every", "warmup_steps"):
            if name in inner:
                message, fix = "belongs to the whole schedule", f"move it to {where}.{name}"
                findings.append(Finding("misplaced", "error", f"{here}.{name}", message, fix))
        made, wrong = _plan(inner, every, span, steps_per_epoch, here)
        findings += wrong
        if made and made.component is ReduceLROnPlateau:
            message = "ReduceLROnPlateau cannot stand inside of another schedule"
            findings.append(
                Finding("misplaced", "error", here, message, "use it alone, with warmup_steps for a warm-up")
            )
        plans += [made] if made else []
    return plans, findings


def build(plan: Plan, optimizers: Sequence[Optimizer]) -> list[LRScheduler]:
    """Return one scheduler for each optimizer, after a rehearsal on copies of their groups.

    Raises:
        InputError: torch refuses a value, or the schedule would fail within its first steps.
    """
    num_groups = [len(optimizer.param_groups) for optimizer in optimizers]
    starts = [sum(num_groups[:index]) for index in range(len(optimizers))]
    shares = [_share(plan, start, count, sum(num_groups)) for start, count in zip(starts, num_groups, strict=True)]
    for mine, optimizer in zip(shares, optimizers, strict=True):
        _rehearse(mine, optimizer)
    return [_construct(mine, optimizer) for mine, optimizer in zip(shares, optimizers, strict=True)]


def _share(plan: Plan, start: int, count: int, total: int) -> Plan:
    """Cut lists that have an item for each group of all optimizers down to those of one."""

    def cut(name: str, value: Any) -> Any:
        whole = name in _BY_GROUP and isinstance(value, list) and len(value) == total
        return value[start : start + count] if whole else value

    mine = {name: cut(name, value) for name, value in plan.options.items()}
    return plan._replace(options=mine, inner=[_share(inner, start, count, total) for inner in plan.inner])


def _construct(plan: Plan, optimizer: Optimizer) -> LRScheduler:
    inner = [_construct(each, optimizer) for each in plan.inner]
    # torch warns of a schedule that goes on before the first update; Torchwork's loop keeps the order, and an epoch
    # whose updates were all skipped is no mistake
    optimizer._opt_called = True  # type: ignore[attr-defined]
    try:
        if plan.component is ChainedScheduler:
            return ChainedScheduler(inner, optimizer=optimizer)
        if plan.component is SequentialLR:
            return SequentialLR(optimizer, inner, **plan.options)
        made = plan.component(optimizer, **plan.options)
    except Exception as error:  # torch's refusals, and whatever a function of the user's raises
        raise InputError(_refused(plan, error)) from error
    if not isinstance(made, LRScheduler):
        message = f"gives a {type(made).__name__}, not a torch.optim.lr_scheduler.LRScheduler"
        raise InputError(Finding("no-schedule", "error", f"{plan.where}.name", message, "name a scheduler"))
    return made


def _rehearse(plan: Plan, optimizer: Optimizer) -> None:
    groups = []
    for group in optimizer.param_groups:
        others = {name: deepcopy(value) for name, value in group.items() if name not in ("params", "param_names")}
        groups.append({"params": [torch.zeros(1, requires_grad=True)], **others})
    scheduler = _construct(plan, Optimizer(groups, dict(optimizer.defaults)))
    try:
        for _ in range(min(plan.length, _REHEARSED)):
            if isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step(1.0)
            else:
                scheduler.step()
    except Exception as error:
        raise InputError(_refused(plan, error)) from error


def _refused(plan: Plan, error: Exception) -> Finding:
    """Blame the option that the message names, if it names one, and of a plan with schedulers inside the whole."""
    names = [name for name in catalog.parameters(plan.component) if name != "optimizer"]
    named = [n for n in names if re.search(rf"\b{re.escape(n)}s?\b", str(error), re.IGNORECASE)]
    where = f"{plan.where}.{named[0]}" if len(named) == 1 else plan.where
    fix = "see torch.optim.lr_scheduler for what is allowed"
    if "cycle_momentum" in str(error):
        fix = "set cycle_momentum: false, or choose an optimizer with momentum or betas"
    said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return Finding("bad-value", "error", where, f"{plan.component.__name__}: {said}", fix)
