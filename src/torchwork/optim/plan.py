"""From what a config says about optimizers to a plan: which class, which options, which parameters in which group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from torchwork import catalog
from torchwork.optim import OPTIMIZERS, options
from torchwork.optim.groups import Claim, listed, parameter_names, read_match, share
from torchwork.optim.several import of_torch
from torchwork.types import Finding, InputError
from torchwork.without_dynamo import without_dynamo

Spec = Mapping[str, Any]

# torch builds the state from the optimizer's own value and never looks at the group's
_NOT_BY_GROUP = {"initial_accumulator_value": "PyTorch reads it for the whole optimizer only"}
_OURS = ("name", "match", "groups")


class Group(NamedTuple):
    """Parameters that share options; ``match`` is None where the config names no groups."""

    where: str
    match: str | None
    names: list[str]
    options: dict[str, Any]


class Part(NamedTuple):
    """One optimizer: its class, the options of all its groups, and its groups."""

    where: str
    name: str
    component: Any
    options: dict[str, Any]
    groups: list[Group]

    @property
    def names(self) -> list[str]:
        """The names of its parameters."""
        return [name for group in self.groups for name in group.names]


def plan(spec: Spec | Sequence[Spec], model: nn.Module, where: str) -> tuple[list[Part], list[Finding]]:
    """Read one optimizer, or a list of them, against a model; return the plan and everything that is wrong."""
    parameters = dict(model.named_parameters())
    names = parameter_names(model)
    trainable = {name: names[name] for name, parameter in parameters.items() if parameter.requires_grad}
    closed = {"frozen": {name: names[name] for name in names if name not in trainable}}
    if not trainable:
        fix = "unfreeze some, or choose a model with parameters"
        return [], [Finding("nothing-to-train", "error", where, "the model has no trainable parameter", fix)]
    if isinstance(spec, Mapping):
        findings = []
        if "match" in spec:
            fix = "write it inside `groups`, or make `optimizer` a list of optimizers that cover all parameters"
            findings = [Finding("lone-match", "error", f"{where}.match", "is only for several optimizers", fix)]
        part, wrong = _part(spec, trainable, closed, where)
        return [part] if part else [], findings + wrong
    return _several(spec, trainable, closed, where)


def _several(
    specs: Sequence[Spec],
    trainable: Mapping[str, Sequence[str]],
    closed: Mapping[str, Mapping[str, Sequence[str]]],
    where: str,
) -> tuple[list[Part], list[Finding]]:
    """Share the parameters out to a list of optimizers. The last may do without ``match``: it takes what is left."""
    if not specs:
        return [], [Finding("no-optimizer", "error", where, "the list is empty", "name an optimizer")]
    claims, findings = [], []
    for index, spec in enumerate(specs):
        at = f"{where}[{index}].match"
        if "match" in spec:
            claim, wrong = read_match(spec["match"], at)
            findings += wrong
        elif index == len(specs) - 1:
            claim = Claim(at, ("*",))
        else:
            claim = Claim(at, ())
            message = "an optimizer of a list needs the parameters that are its own"
            findings.append(Finding("missing-option", "error", at, message, "add match: a pattern, or a list of them"))
        claims.append(claim)
    shares, left, wrong = share(claims, trainable, closed=closed)
    if findings:  # nobody's parameters are known: each optimizer is checked against all of them
        shares, left, wrong = [list(trainable) for _ in specs], [], []
    findings += wrong
    if left:
        message = f"no optimizer has {listed(left)}"
        findings.append(Finding("no-owner", "error", where, message, "leave `match` out of the last, or freeze them"))
    parts = []
    for index, (spec, mine) in enumerate(zip(specs, shares, strict=True)):
        own = {name: trainable[name] for name in mine}
        others = {name: trainable[name] for name in trainable if name not in own}
        part, wrong = _part(spec, own, {**closed, "another optimizer's": others}, f"{where}[{index}]")
        findings += wrong
        parts += [part] if part else []
    return parts, findings


def _part(
    spec: Spec,
    names: Mapping[str, Sequence[str]],
    closed: Mapping[str, Mapping[str, Sequence[str]]],
    where: str,
) -> tuple[Part | None, list[Finding]]:
    try:
        component = catalog.load(spec["name"], OPTIMIZERS, "optimizer", f"{where}.name")
    except InputError as error:
        return None, error.findings
    given = {name: value for name, value in spec.items() if name not in _OURS}
    findings = options.check(component, given, where)
    common = _sound(component, given, findings, where)
    known = spec["name"] in OPTIMIZERS
    if known:
        findings += value_findings(component, {}, common, where, whole=not findings)
    base = common if not findings else {}
    groups, wrong = _groups(spec.get("groups"), names, closed, where)
    findings += wrong
    finished = []
    for group in groups:
        wrong = _group_findings(component, group)
        own = _sound(component, group.options, wrong, group.where)
        if known:
            wrong += value_findings(component, base, own, group.where, whole=base is common and not wrong)
        findings += wrong
        finished.append(group._replace(options=own))
    if len(finished) == 1 and finished[0].match is None and "match" in spec:
        claim, _ = read_match(spec["match"], where)
        finished = [finished[0]._replace(match=", ".join(claim.patterns))]
    return Part(where, spec["name"], component, common, finished), findings


def _sound(component: Any, given: Spec, findings: Sequence[Finding], where: str) -> dict[str, Any]:
    """Return the options that nothing was found against, as the constructor wants them."""
    told = {finding.where for finding in findings}
    return options.ready(component, {name: value for name, value in given.items() if f"{where}.{name}" not in told})


def _groups(
    given: Any,
    names: Mapping[str, Sequence[str]],
    closed: Mapping[str, Mapping[str, Sequence[str]]],
    where: str,
) -> tuple[list[Group], list[Finding]]:
    """Share the parameters of one optimizer out to its groups; what no pattern matches forms the last group."""
    if not given and given != {}:
        return [Group(where, None, list(names), {})], []
    if not isinstance(given, list | tuple) or not all(isinstance(group, Mapping) for group in given):
        fix = "expected a list as [{match: 'fc*', lr: 0.01}]"
        return [], [Finding("wrong-type", "error", f"{where}.groups", f"got {given!r}", fix)]
    claims, findings = [], []
    for index, group in enumerate(given):
        at = f"{where}.groups[{index}]"
        if "match" not in group:
            fix = "add match: a pattern of parameter names, or a list of them"
            claims.append(Claim(at, ()))
            findings.append(Finding("missing-option", "error", at, "a group needs 'match'", fix))
            continue
        claim, wrong = read_match(group["match"], f"{at}.match")
        claims.append(claim)
        findings += wrong
    shares, left, wrong = share(claims, names, closed=closed)
    findings += wrong
    groups = [
        Group(f"{where}.groups[{i}]", ", ".join(claim.patterns), mine, {k: v for k, v in own.items() if k != "match"})
        for i, (claim, mine, own) in enumerate(zip(claims, shares, given, strict=True))
    ]
    if left:
        groups.append(Group(where, "*", left, {}))
    return groups, findings


def _group_findings(component: Any, group: Group) -> list[Finding]:
    """Check a group's options; what the optimizer needs may stand outside of the group."""
    if not group.options:
        return []
    found = options.check(component, group.options, group.where)
    findings = [finding for finding in found if finding.code != "missing-option"]
    for name in group.options:
        if name in _NOT_BY_GROUP:
            at = f"{group.where}.{name}"
            findings.append(Finding("not-by-group", "error", at, _NOT_BY_GROUP[name], "set it beside `groups`"))
    return findings


def value_findings(component: Any, common: Spec, given: Spec, where: str, *, whole: bool = True) -> list[Finding]:
    """Let torch's own constructor judge the values, each alone, so that every mistake is found with its path.

    torch checks the options of the optimizer only; those of a group are put in their place here. Where the options are
    not the whole of what the user wrote, those that are true or false are passed over: what they need of others
    (Nesterov's momentum) may stand in a misspelt one.
    """
    if not whole:
        given = {name: value for name, value in given.items() if not isinstance(value, bool)}
    if not given or (said := _refusal(component, {**common, **given})) is None:
        return []
    findings = []
    for name, value in given.items():
        alone = _refusal(component, {**common, name: value})
        if alone is not None:
            findings.append(_value_finding(f"{where}.{name}", f"got {value!r}: {alone}"))
    return findings or ([_value_finding(where, said)] if whole else [])


def _value_finding(where: str, message: str) -> Finding:
    return Finding("bad-value", "error", where, message, "see torch.optim for what is allowed")


def _refusal(component: Any, given: Spec) -> str | None:
    try:
        with without_dynamo(of_torch(component)):
            component([nn.Parameter(torch.zeros(2, 2))], **given)
    except (ValueError, TypeError, RuntimeError, AssertionError) as error:
        return str(error)
    return None
