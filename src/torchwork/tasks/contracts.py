"""Which loss goes with which task and which targets, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from torchwork.losses import criterion as losses
from torchwork.losses.criterion import Criterion
from torchwork.tasks.classification import Classification
from torchwork.tasks.custom import Custom
from torchwork.tasks.regression import Regression
from torchwork.types import Finding, InputError

TASK_OF_LOSS = {
    "CrossEntropyLoss": "classification",
    "MSELoss": "regression",
    "L1Loss": "regression",
    "SmoothL1Loss": "regression",
}
_TARGET_OF_TASK = {"classification": "class", "regression": "number"}
_DEFAULT_LOSS = {"classification": "CrossEntropyLoss", "regression": "MSELoss"}
_IN_WORDS = {"class": "classes", "number": "numbers"}


def choose(
    task: str | None,
    loss: Mapping[str, Any] | None,
    *,
    target: str,
    classes: Sequence[str] | None,
    target_names: Sequence[str],
) -> Classification | Regression:
    """Return the task that the config, the loss or else the targets decide, with its loss built.

    Args:
        task: The name of a task, or None to let the loss or the targets decide.
        loss: A loss component, or None for the task's usual one: CrossEntropyLoss or MSELoss.
        target: What the targets are: ``class`` or ``number``.
        classes: The class names where targets are classes.
        target_names: The columns where targets are numbers.

    Raises:
        InputError: task, loss and targets contradict each other.
    """
    if task is None:
        by_loss = TASK_OF_LOSS.get(loss["name"]) if loss else None
        task = by_loss or next(name for name, kind in _TARGET_OF_TASK.items() if kind == target)
    findings = []
    asked = TASK_OF_LOSS.get(loss["name"], task) if loss else task
    if loss and asked != task:
        message = f"{loss['name']} is a loss for {asked}, the task is {task}"
        fix = f"take {_DEFAULT_LOSS[task]}, or task: {asked}"
        findings.append(Finding("loss-task", "error", "loss", message, fix))
    if _TARGET_OF_TASK[task] != target:
        where = "loss" if loss and asked == task else "task"
        subject = f"{loss['name']} ({task})" if where == "loss" and loss else task
        message = f"{subject} needs targets that are {_IN_WORDS[_TARGET_OF_TASK[task]]}, these are {_IN_WORDS[target]}"
        if target == "class" and classes:
            message += f" ({', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''})"
        elif target_names:
            message += f" ({', '.join(target_names)})"
        wanted = next(name for name, kind in _TARGET_OF_TASK.items() if kind == target)
        fix = f"take {_DEFAULT_LOSS[wanted]}, or say in data.source that the target is a {_TARGET_OF_TASK[task]}"
        findings.append(Finding("loss-target", "error", where, message, fix))
    if findings:
        raise InputError(findings)
    criterion = losses.build(loss or {"name": _DEFAULT_LOSS[task]})
    if task == "classification":
        _check_class_weights(criterion, classes or ())
        return Classification(criterion, tuple(classes or ()))
    return Regression(criterion, tuple(target_names))


def of_module(criterion: Criterion, output: Tensor) -> Classification | Regression | Custom:
    """Return the task of a loss object, with classes and targets named by their places in an output [B, ...]."""
    task = TASK_OF_LOSS.get(criterion.name)
    places = tuple(str(place) for place in range(output.shape[1] if output.ndim > 1 else 1))
    if task == "classification":
        return Classification(criterion, places)
    return Regression(criterion, places) if task == "regression" else Custom(criterion)


def check_loss(loss: Mapping[str, Any] | None) -> None:
    """Raise InputError where a loss's name or options are wrong, whatever the data are."""
    if loss is not None:
        losses.build(loss)


def _check_class_weights(criterion: Criterion, classes: Sequence[str]) -> None:
    weight = getattr(criterion.module, "weight", None)
    if weight is not None and weight.shape != (len(classes),):
        message = f"has {weight.numel()} numbers for {len(classes)} classes"
        fix = f"give one number for each of {', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''}"
        raise InputError(Finding("class-weights", "error", "loss.weight", message, fix))
