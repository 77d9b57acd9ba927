"""From a file, a text or a dict to a checked config, with every mistake at once; and back to YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from torchwork import catalog
from torchwork.config import components, sharing, text
from torchwork.config.overrides import apply
from torchwork.config.sections import (
    CleanConfig,
    Config,
    DataConfig,
    PairsConfig,
    SplitConfig,
    TargetConfig,
    TrainConfig,
)
from torchwork.types import Finding, InputError

SECTIONS: dict[str, type[BaseModel]] = {
    "": Config,
    "data": DataConfig,
    "data.split": SplitConfig,
    "data.clean": CleanConfig,
    "data.target": TargetConfig,
    "data.pairs": PairsConfig,
    "train": TrainConfig,
}

# Where people look for a thing under another name.
_ELSEWHERE = {
    **dict.fromkeys(("lr", "learning_rate"), "optimizer.lr"),
    **{key: f"optimizer.{key}" for key in ("weight_decay", "momentum", "betas", "groups")},
    **dict.fromkeys(("loss_fn", "loss_function", "criterion"), "loss"),
    **dict.fromkeys(("scheduler", "lr_scheduler"), "schedule"),
    **dict.fromkeys(("optim", "optimiser"), "optimizer"),
    **dict.fromkeys(("num_epochs", "max_epochs", "n_epochs"), "train.epochs"),
    **dict.fromkeys(("dataset", "datasets"), "data.source"),
    **dict.fromkeys(("root", "path"), "data.source.root"),
    **dict.fromkeys(("bs", "batchsize"), "data.batch_size"),
    **dict.fromkeys(("workers",), "data.num_workers"),
    **dict.fromkeys(("transforms",), "data.transform"),
    **dict.fromkeys(("augmentation", "augmentations"), "data.augment"),
    **dict.fromkeys(("arch", "architecture", "network", "net"), "model"),
    **dict.fromkeys(("random_state", "random_seed"), "seed"),
    **dict.fromkeys(("early_stopping", "early_stopping_patience"), "train.patience"),
    **dict.fromkeys(("grad_clip", "clip_grad_norm", "gradient_clip_val", "max_norm"), "train.clip_norm"),
    **dict.fromkeys(("accumulate_grad_batches", "gradient_accumulation_steps"), "train.accumulate"),
    **dict.fromkeys(("stratify", "stratified"), "data.split.by"),
    **dict.fromkeys(("group_column", "group_by"), "data.split.group"),
    **dict.fromkeys(("k_folds", "n_splits", "num_folds", "kfold"), "data.split.folds"),
}


def load(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Config:
    """Read a config, check it, and write in every default.

    Args:
        source: The path of a YAML, TOML or JSON file, a dict, or a YAML text (a str of several lines).
        overrides: ``section.key=value`` each, applied in this order before anything is checked.

    Raises:
        InputError: holds every mistake: unknown keys and names with the nearest right one, wrong types, values out of
            range, a missing file, syntax errors with file, line and column. Options of components are checked later,
            where the component is loaded, since that needs torch; the names are checked here. Where a name among
            several metrics is all that is wrong, it is told there too, with what is wrong with the other metrics.

    >>> load({"data": {"source": "Digits"}, "model": "LeNet", "optimizer": "Adam"}, ["optimizer.lr=1e-3"]).optimizer
    {'name': 'Adam', 'lr': 0.001}
    """
    findings: list[Finding] = []
    tree = _tree(source, findings)
    objects = list(findings)  # that no config holds: what stands in their place is no mistake of its own
    findings += apply(tree, overrides)
    for section in ("data", "train"):  # a section whose keys are all commented out is an empty one
        if section in tree and tree[section] is None:
            tree[section] = {}
    for section in ("split", "clean"):
        if isinstance(tree.get("data"), dict) and section in tree["data"] and tree["data"][section] is None:
            tree["data"][section] = {}
    for required in ("model", "optimizer"):
        if required in tree and tree[required] is None:
            del tree[required]
    findings += components.normalise(tree)
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        findings += [_finding(details) for details in error.errors(include_url=False)]
    else:
        findings += sharing.check(config.data.split) + _pairs(config) + _fill(config)
    if not all(_told_with_metrics(finding, tree) for finding in findings):
        places = {finding.where for finding in objects}
        raise InputError(_in_order([*objects, *(f for f in findings[len(objects) :] if f.where not in places)]))
    return config


def _told_with_metrics(finding: Finding, tree: Mapping[str, Any]) -> bool:
    """Tell whether a mistake is found again where the metrics are imported, among others that are found only there."""
    named = finding.where.startswith("metrics[") and finding.code in ("unknown-name", "import-path")
    return named and len(tree["metrics"]) > 1


def _tree(source: str | Path | Mapping[str, Any], findings: list[Finding]) -> dict[str, Any]:
    if isinstance(source, Mapping):
        content, name = source, "config"
    elif isinstance(source, str) and "\n" in source:
        content, name = text.parse(source), "config"
    else:
        content, name = text.read(Path(source)), str(source)
    if not isinstance(content, Mapping):
        found = "is empty" if content is None else f"holds {text.said(content)}, not a mapping"
        fix = "a config has at least data, model and optimizer"
        raise InputError(Finding("no-mapping", "error", name, found, fix))
    try:
        tree: dict[str, Any] = text.plain(content, "", findings)
    except RecursionError:
        raise InputError(Finding("syntax", "error", name, "is nested too deeply to be a config")) from None
    return tree


def dump(config: Config) -> str:
    """Write a config as YAML with every default; ``load`` of that text gives an equal config.

    >>> config = load({"data": {"source": "Digits"}, "model": "LeNet", "optimizer": "Adam"})
    >>> load(dump(config)) == config
    True
    """
    return text.to_yaml(config.model_dump())


def _place(location: Iterable[str | int]) -> str:
    place = ""
    for step in location:
        place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else str(step)
    return place


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "list_type": "a list",
}


def _finding(details: Any) -> Finding:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    where = _place(details["loc"])
    parent = _place(details["loc"][:-1])
    if kind == "extra_forbidden":
        return _unknown_key(str(details["loc"][-1]), parent, where)
    if kind == "missing":
        field = SECTIONS[parent].model_fields[str(details["loc"][-1])]
        return Finding("missing-key", "error", where, "is missing", f"add it: {field.description}")
    if kind == "literal_error":
        expected = f"one of {context['expected']}"
    elif kind == "greater_than_equal":
        expected = f"a number of at least {context['ge']:g}"
    elif kind == "greater_than":
        expected = f"a number above {context['gt']:g}"
    elif kind == "less_than_equal":
        expected = f"a number of at most {context['le']:g}"
    elif kind in ("string_pattern_mismatch", "string_too_long"):
        expected = _pattern_in_words(where)
    else:
        expected = _EXPECTED.get(kind, details["msg"])
    return Finding("wrong-value", "error", where, f"got {text.said(value)}", f"expected {expected}")


def _pattern_in_words(where: str) -> str:
    if where == "device":
        return "auto, cpu, cuda, cuda:1 or mps"
    return "up to 100 characters that can be a directory's name: no spaces or slashes, no dot or dash in front"


def _unknown_key(key: str, parent: str, where: str) -> Finding:
    siblings = SECTIONS[parent].model_fields
    elsewhere = [
        f"{place}.{key}" if place else key for place, section in SECTIONS.items() if key in section.model_fields
    ]
    known = [key.lower()] if key.lower() in _ELSEWHERE else []
    if elsewhere:
        fix = f"it belongs at {' or '.join(elsewhere)}"
    elif catalog.nearest(key, siblings) and not known:
        fix = f"did you mean {catalog.nearest(key, siblings)!r}?"
    elif known:
        fix = f"write {_ELSEWHERE[known[0]]}"
    else:
        fix = f"known here: {', '.join(siblings)}"
    return Finding("unknown-key", "error", where, f"there is no key {key!r}{f' in {parent}' if parent else ''}", fix)


def _pairs(config: Config) -> list[Finding]:
    pairs = config.data.pairs
    if pairs is None or pairs.file is None or pairs.mining == "none":
        return []
    message = f"got {pairs.mining!r}, but data.pairs.file says which triplets there are"
    return [Finding("contradiction", "error", "data.pairs.mining", message, "leave out one of the two")]


def _fill(config: Config) -> list[Finding]:
    clean = config.data.clean
    if clean.missing == "constant" and clean.fill is None:
        fix = "give data.clean.fill, or take mean or median"
        return [Finding("missing-key", "error", "data.clean.fill", "missing: constant needs one", fix)]
    if clean.missing != "constant" and clean.fill is not None:
        message = f"got {clean.fill!r}, but missing is {clean.missing}"
        return [Finding("contradiction", "error", "data.clean.fill", message, "take missing: constant, or remove it")]
    return []


def _in_order(findings: list[Finding]) -> list[Finding]:
    """Findings in the order of the config's sections, those of the file and the overrides first."""
    keys = [*Config.model_fields]

    def rank(finding: Finding) -> int:
        section = finding.where.split(".")[0].split("[")[0]
        return keys.index(section) if section in keys else -1

    return sorted(findings, key=rank)
