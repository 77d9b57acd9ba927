"""The metrics that a config adds under ``metrics``: those of torchmetrics, and a user's own functions.

They are computed at the end of a run, on the predictions of each split, and stand in ``metrics.json`` with the others;
history.csv has none of them.

A function takes what it names: ``target``, ``prediction``, ``scores`` and ``names`` are NumPy arrays, of sequences
lists of texts (see `torchwork.metrics.custom_arrays`); scikit-learn's ``y_true``, ``y_pred`` and ``y_score`` mean the
same. Its other parameters are options. It returns a number, a mapping from names to numbers, or one number for each
class, label or target. In ``my_metrics.py`` beside the config::

    def cost(target, prediction, *, miss=10.0, alarm=1.0):
        return float((miss * ((target == 1) & (prediction == 0)) + alarm * ((target == 0) & (prediction == 1))).mean())

and in the config::

    metrics: [{name: "my_metrics:cost", miss: 5}, CohenKappa, {name: FBetaScore, beta: 2, as: f2}]
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from torchwork import catalog
from torchwork.metrics import METRICS, custom_arrays
from torchwork.metrics.custom_arrays import Arrays
from torchwork.metrics.direction import direction
from torchwork.metrics.found import Found
from torchwork.types import Finding, InputError

Component = Mapping[str, Any]

_GIVEN = {
    "target": "target",
    "prediction": "prediction",
    "scores": "scores",
    "names": "names",
    "y_true": "target",
    "y_pred": "prediction",
    "y_score": "scores",
}
_OWN_KEYS = ("name", "as")
_TASKS = {"classification": "multiclass", "embedding": "multiclass", "binary": "binary", "multilabel": "multilabel"}


class Metric(NamedTuple):
    """A metric under the name that it has in metrics.json, ready to be called."""

    name: str
    compute: Callable[[Arrays], Any]


def load(specs: Sequence[Component], data: Mapping[str, Any], where: str = "metrics") -> list[Metric]:
    """Return the metrics of a config, each tried on 32 made-up samples of the kind that the task gives.

    Args:
        specs: Components: ``name``, options, and ``as``, the name in metrics.json (by default the class's or
            function's).
        data: What is known of the data: ``task``, ``loss``, ``classes``, ``target_names``.
        where: The path of the components in the config.

    Raises:
        InputError: with every mistake: what cannot be imported, options that are not there, two metrics of one name, a
            metric that cannot take the task's arrays.
    """
    findings: list[Finding] = []
    found: list[Metric] = []
    for index, spec in enumerate(specs):
        at = f"{where}[{index}]"
        try:
            metric = load_one(spec, data, at)
            _try(metric, data, at)
        except InputError as error:
            findings += error.findings
            continue
        if metric.name in [other.name for other in found]:
            message = f"{metric.name!r} is the name of another one"
            findings.append(Finding("name-taken", "error", at, message, "give one of them a name: as: ..."))
        found.append(metric)
    if findings:
        raise InputError(findings)
    return found


def of_split(specs: Sequence[Component], path: Path, data: Mapping[str, Any]) -> Found:
    """Return the metrics of a config on a split's predictions; one that fails is not defined, with what it said.

    Args:
        specs: Components, as for `load`.
        path: A ``predictions-<split>.csv``; arrays of outputs stand beside it.
        data: The content of the run's ``data.json``.
    """
    if not specs:
        return Found({}, {})
    found = Found({}, {})
    arrays = custom_arrays.read(path, data)
    for index, spec in enumerate(specs):
        try:
            metric = load_one(spec, data, f"metrics[{index}]")
        except InputError as error:  # it was there when the run began
            found |= Found({}, {_name_of(spec): str(error.findings[0].message)})
            continue
        found |= _computed(metric, arrays)
    return found


def _computed(metric: Metric, arrays: Arrays) -> Found:
    if not len(arrays.target):
        return Found({}, {metric.name: "there are no samples"})
    try:
        values = _numbers(metric, arrays)
    except Exception as error:  # another's code, which may fail in any way and must not lose the run
        return Found({}, {metric.name: _said(error)})
    known = {name: value for name, value in values.items() if math.isfinite(value)}
    return Found(known, {name: f"it gave {value}" for name, value in values.items() if name not in known})


def called(metric: Metric, arrays: Arrays) -> dict[str, float]:
    """Return a metric's numbers by name; none where it fails, as it may on samples drawn anew."""
    try:
        return _numbers(metric, arrays)
    except Exception:  # another's code, which may fail in any way
        return {}


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"it failed: {type(error).__name__}{f': {lines[0]}' if lines else ''}"


def _name_of(spec: Component) -> str:
    return str(spec.get("as") or spec["name"].rpartition(":")[2].rpartition(".")[2])


def load_one(spec: Component, data: Mapping[str, Any], where: str) -> Metric:
    """Import a metric, check its options and bind them.

    Raises:
        InputError: with every mistake, as `load`.
    """
    path = str(METRICS.get(spec["name"], spec["name"]))
    if path.split(":")[0].split(".")[0] == "torchmetrics" and importlib.util.find_spec("torchmetrics") is None:
        message = f"{spec['name']} is of torchmetrics, which is not installed"
        fix = "install it: pip install 'torchwork[torchmetrics]'"
        raise InputError(Finding("not-installed", "error", where, message, fix))
    component = catalog.load(spec["name"], METRICS, "metric", where)
    name = _name_of(spec)
    if direction(name) is not None or "/" in name or name == "support":
        message = f"{name!r} is a name of Torchwork's own" if "/" not in name else f"{name!r} has a / in it"
        raise InputError(Finding("name-taken", "error", where, message, "give it another name: as: ..."))
    _check_kind(component, spec, data, where)
    supplied = _supplied(component, data)
    options = {key: value for key, value in spec.items() if key not in _OWN_KEYS}
    findings = catalog.check_options(component, options, where, supplied=(*supplied, *_arguments(component)))
    if findings:
        raise InputError(findings)
    bound = _bound(component, {key: v for key, v in supplied.items() if key not in options} | options)
    if inspect.isclass(component):
        return Metric(name, _of_class(component, bound, where))
    if not callable(component):
        message = f"{spec['name']} is {type(component).__name__!r}, no function"
        raise InputError(Finding("no-function", "error", where, message, "name a function or a metric of torchmetrics"))
    return Metric(name, _of_function(component, bound, data, where))


def _bound(component: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as the signature asks for them: 2 as 2.0, on which torchmetrics insists."""
    known = catalog.parameters(component)
    floats = {name for name, parameter in known.items() if parameter.annotation is float}
    converted = catalog.convert(component, options)
    return {name: float(value) if name in floats else value for name, value in converted.items()}


def _check_kind(component: Any, spec: Component, data: Mapping[str, Any], where: str) -> None:
    """Refuse what torchmetrics has for classes and labels where there are none."""
    task = custom_arrays.task_of(data)
    if _is_torchmetrics(component) and "task" in catalog.parameters(component) and task not in _TASKS:
        message = f"{spec['name']} is for classes or labels, and this is a {task}"
        raise InputError(Finding("misfit", "error", where, message, "take a metric for this task"))


def _supplied(component: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of torchmetrics that follow from the data, as far as the component has them."""
    if not _is_torchmetrics(component):
        return {}
    task, names = custom_arrays.task_of(data), data.get("classes") or data.get("target_names") or ()
    values: dict[str, Any] = {"task": _TASKS.get(task)}
    if task in ("classification", "embedding"):
        values["num_classes"] = len(names)
    elif task == "multilabel":
        values |= {"num_labels": len(names)} if len(names) > 1 else {"task": "binary"}
    elif task == "regression" and len(names) > 1:
        values["num_outputs"] = len(names)
    known = catalog.parameters(component)
    return {key: value for key, value in values.items() if key in known and value is not None}


def _is_torchmetrics(component: Any) -> bool:
    of_class = inspect.isclass(component) and all(hasattr(component, part) for part in ("update", "compute", "forward"))
    return of_class or str(getattr(component, "__module__", "")).split(".")[0] == "torchmetrics"


def _arguments(component: Any) -> tuple[str, ...]:
    """Return the parameters of a function that are given to it, and are no options."""
    if inspect.isclass(component):
        return ()
    own = ("preds", "target") if _is_torchmetrics(component) else tuple(_GIVEN)
    return tuple(name for name in catalog.parameters(component) if name in own)


def _of_class(component: Any, options: Mapping[str, Any], where: str) -> Callable[[Arrays], Any]:
    if not _is_torchmetrics(component):
        message = f"{component.__name__} is a class with no update, compute and forward"
        fix = "name a function of target, prediction and scores, or a metric of torchmetrics"
        raise InputError(Finding("no-metric", "error", where, message, fix))

    def compute(arrays: Arrays) -> Any:
        made = component(**options)  # torchmetrics' wrappers return another class's instance
        made.update(*_tensors(arrays))
        return made.compute()

    return compute


def _of_function(
    component: Callable[..., Any], options: Mapping[str, Any], data: Mapping[str, Any], where: str
) -> Callable[[Arrays], Any]:
    if _is_torchmetrics(component):
        return lambda arrays: component(*_tensors(arrays), **options)
    taken = _arguments(component)
    if not taken:
        message = f"{getattr(component, '__name__', component)} has no parameter that a metric is given"
        fix = "name its parameters target, prediction, scores or names, as it needs them"
        raise InputError(Finding("no-arguments", "error", where, message, fix))
    if any(_GIVEN[name] == "scores" for name in taken) and custom_arrays.sample(data).scores is None:
        message = f"{getattr(component, '__name__', component)} asks for scores, and a {data.get('task')} has none"
        raise InputError(Finding("no-scores", "error", where, message, "take prediction in their place"))
    return lambda arrays: component(**{name: getattr(arrays, _GIVEN[name]) for name in taken}, **options)


def _tensors(arrays: Arrays) -> tuple[Any, Any]:
    """Return what torchmetrics calls preds and target: scores where there are such, else predictions."""
    preds, target = arrays.prediction if arrays.scores is None else arrays.scores, arrays.target
    if isinstance(preds, list) or isinstance(target, list):
        return preds, target
    if arrays.task == "multilabel" and len(arrays.names) == 1:  # one label is two classes there
        preds, target = preds[:, 0], target[:, 0]
    if not np.isfinite(preds).all():  # a class would be made of NaN without a word
        raise ValueError("predictions or scores are NaN or infinite")
    return torch.from_numpy(np.ascontiguousarray(preds)), torch.from_numpy(np.ascontiguousarray(target))


def _try(metric: Metric, data: Mapping[str, Any], where: str) -> None:
    arrays = custom_arrays.sample(data)
    try:
        _numbers(metric, arrays)
    except Exception as error:  # another's code, which may fail in any way
        shape = "texts" if isinstance(arrays.target, list) else f"targets of shape {list(arrays.target.shape)}"
        message = f"{metric.name} cannot take the arrays of the task {arrays.task}, tried on {shape}: {_said(error)}"
        fix = "take a metric for this task, or give it the options that it needs"
        raise InputError(Finding("metric-fails", "error", where, message, fix)) from error


def _numbers(metric: Metric, arrays: Arrays) -> dict[str, float]:
    """Return a metric's number; where it gives several, each by name, and their mean where they are of the names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what memory torchmetrics needs, and classes that do not occur
        value = metric.compute(copy.deepcopy(arrays))  # a function may change what it is given
    if isinstance(value, Mapping):
        return {f"{metric.name}/{key}": _number(part) for key, part in value.items()}
    flat = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
    if flat.size == 1 and flat.dtype != object:
        return {metric.name: _number(flat)}
    if flat.shape != (len(arrays.names),):
        message = f"it gave a {type(value).__name__}{f' of shape {list(flat.shape)}' if flat.shape else ''}"
        raise TypeError(f"{message}, not a number, a mapping, or {len(arrays.names)} numbers")
    each = {f"{metric.name}/{name}": _number(part) for name, part in zip(arrays.names, flat, strict=True)}
    return {metric.name: sum(each.values()) / len(each)} | each


def _number(value: Any) -> float:
    found = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
    if found.size != 1 or found.dtype.kind not in "bifu":
        raise TypeError(f"it gave {type(value).__name__} {str(value)[:60]!r}, not a number")
    return float(found.reshape(-1)[0])
