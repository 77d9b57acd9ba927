"""Which loss goes with which task and which targets, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from torchwork.losses import criterion as losses
from torchwork.losses.contracts import CONTRACTS
from torchwork.losses.criterion import Criterion
from torchwork.tasks import TASKS, members, mining, target_rules
from torchwork.tasks.binary import Binary
from torchwork.tasks.classification import Classification
from torchwork.tasks.custom import Custom
from torchwork.tasks.embedding import Embedding
from torchwork.tasks.multilabel import Multilabel
from torchwork.tasks.ranking import Ranking
from torchwork.tasks.regression import Regression
from torchwork.tasks.sequence import Sequence as Reading
from torchwork.types import Finding, InputError

# What each task's targets are, the first the usual one; a distribution over classes may come as columns of numbers.
TARGETS_OF_TASK = {
    "classification": ("class",),
    "binary": ("class",),
    "multilabel": ("number",),
    "regression": ("number",),
    "ranking": ("number",),
    "embedding": ("class",),
    "sequence": ("sequence",),
}
DEFAULT_LOSS = {
    "classification": "CrossEntropyLoss",
    "binary": "BCEWithLogitsLoss",
    "multilabel": "BCEWithLogitsLoss",
    "regression": "MSELoss",
    "ranking": "MarginRankingLoss",
    "embedding": "TripletMarginLoss",
    "sequence": "CTCLoss",
}
_USUAL_TASK = {"class": "classification", "number": "regression", "sequence": "sequence"}
_OF_DISTRIBUTIONS = ("KLDivLoss", "CrossEntropyLoss")
_IN_WORDS = {"class": "classes", "number": "numbers", "sequence": "sequences"}


def choose(
    task: str | None,
    loss: Mapping[str, Any] | None,
    *,
    target: str,
    classes: Sequence[str] | None,
    target_names: Sequence[str],
    mining: mining.Mining = "none",
    given: bool = False,
    dimensions: int = 64,
) -> Any:
    """Return the task that the config, the loss or else the targets decide, with its loss built.

    Args:
        task: The name of a task, or None to let the loss and the targets decide.
        loss: A loss component, or None for the task's usual one.
        target: What the targets are: ``class``, ``number`` or ``sequence``.
        classes: The class names where targets are classes; the symbols where they are sequences.
        target_names: The columns where targets are numbers.
        mining: How triplets are chosen within a batch: ``none`` (they are drawn before), ``hard`` or ``semi-hard``.
        given: Whether a file says which samples go together, and what is to come out of each pair.
        dimensions: The length of an embedding's vectors.

    Returns:
        A `torchwork.tasks.supervised.WholeTask`.

    Raises:
        InputError: task, loss, targets and mining contradict each other.
    """
    criterion = losses.build(loss) if loss else None
    own = CONTRACTS[criterion.name].task if criterion is not None and criterion.kind is not None else ()
    columns = len(target_names)
    findings = _check_mining(mining, criterion)
    chosen = task or _by_targets(own, criterion, target, columns)
    if chosen not in TASKS:
        raise InputError(
            Finding("unknown-task", "error", "task", f"there is no task {chosen!r}", f"known: {_any(TASKS)}")
        )
    if own and chosen not in own:
        message = f"{_name(criterion)} is a loss for {_any(own)}, the task is {chosen}"
        fix = f"take {DEFAULT_LOSS[chosen]}, or task: {own[0]}"
        findings.append(Finding("loss-task", "error", "loss", message, fix))
    soft = chosen == "classification" and _takes_distributions(criterion, target, columns)
    if given and chosen in ("ranking", "embedding"):
        pass  # what the samples' own targets are does not matter
    elif target not in TARGETS_OF_TASK[chosen] and not soft:
        findings.append(_wrong_target(chosen, criterion, target, classes or (), target_names))
    elif chosen == "binary" and len(classes or ()) != 2:
        message = f"{_name(criterion) or 'binary'} tells two classes apart, the data have {len(classes or ())}"
        fix = "take CrossEntropyLoss, or give the labels as columns of 0 and 1 for a multilabel task"
        findings.append(Finding("not-binary", "error", "loss" if criterion else "task", message, fix))
    elif chosen == "ranking" and columns != 1:
        message = f"samples are ordered by one number, the targets have {columns}: {_some(target_names)}"
        findings.append(Finding("loss-target", "error", "task", message, "choose one target column"))
    target_rules.refuse(findings)
    criterion = criterion or losses.build({"name": DEFAULT_LOSS[chosen]})
    return _built(
        chosen, criterion, tuple(classes or ()), tuple(target_names), mining, "file" if given else "no", dimensions
    )


def _built(
    task: str,
    criterion: Criterion,
    classes: tuple[str, ...],
    names: tuple[str, ...],
    mining: mining.Mining,
    given: members.Given,
    dimensions: int,
) -> Any:
    if task == "classification":
        classes = classes or names
        _check_class_weights(criterion, classes)
        return Classification(criterion, classes)
    if task == "binary":
        return Binary(criterion, classes)
    if task == "multilabel":
        return Multilabel(criterion, names)
    if task == "regression":
        return Regression(criterion, names)
    if task == "ranking":
        return Ranking(criterion, given)
    if task == "embedding":
        return Embedding(criterion, classes, mining, given, dimensions)
    return Reading(criterion, classes)


def _by_targets(own: tuple[str, ...], criterion: Criterion | None, target: str, columns: int) -> str:
    """Return the first of a loss's tasks that takes such targets, or else its first; without a loss the usual one."""
    if not own:
        return _USUAL_TASK[target]
    if "classification" in own and _takes_distributions(criterion, target, columns):
        return "classification"
    return next((name for name in own if target in TARGETS_OF_TASK[name]), own[0])


def _takes_distributions(criterion: Criterion | None, target: str, columns: int) -> bool:
    return criterion is not None and criterion.name in _OF_DISTRIBUTIONS and target == "number" and columns > 1


def _wrong_target(
    task: str, criterion: Criterion | None, target: str, classes: Sequence[str], names: Sequence[str]
) -> Finding:
    where = "loss" if criterion is not None else "task"
    subject = f"{_name(criterion)} ({task})" if criterion is not None else task
    wanted = TARGETS_OF_TASK[task][0]
    message = f"{subject} needs targets that are {_IN_WORDS[wanted]}, these are {_IN_WORDS[target]}"
    if target == "class" and classes:
        message += f" ({_some(classes)})"
    elif names:
        message += f" ({', '.join(names)})"
    fix = f"take {DEFAULT_LOSS[_USUAL_TASK[target]]}"
    if {wanted, target} == {"class", "number"}:
        fix += f", or say in data.source that the target is a {wanted}"
    return Finding("loss-target", "error", where, message, fix)


def _check_mining(how: str, criterion: Criterion | None) -> list[Finding]:
    if how == "none" or criterion is None or criterion.name == "TripletMarginLoss":
        return []
    message = f"got {how!r}, and {_name(criterion)} takes no triplets"
    return [Finding("mining", "error", "data.pairs.mining", message, "remove it, or take TripletMarginLoss")]


def _name(criterion: Criterion | None) -> str:
    return criterion.name if criterion is not None else ""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _any(names: Any) -> str:
    names = list(names)
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def task_of(criterion: Criterion) -> str | None:
    """Return the task of a loss of torch.nn whose targets come as torch takes them; None for a loss of one's own."""
    return CONTRACTS[criterion.name].task[-1] if criterion.kind is not None else None


def num_members(criterion: Criterion) -> int:
    """Return how many samples a loss compares with each other: 3 or 2, and 1 where it takes them one by one."""
    if task_of(criterion) not in ("ranking", "embedding"):
        return 1
    return 3 if criterion.name == "TripletMarginLoss" else 2


def of_module(criterion: Criterion, output: Tensor, target: Tensor | None = None) -> Any:
    """Return the task of a loss object, with classes and targets named by their places in an output [B, ...].

    Targets are then as torch's loss takes them: labels in the output's shape, ±1 for pairs, symbols beside the blank.

    Args:
        criterion: The loss.
        output: Of the model, for a batch; of pairs and triplets with the members along the first axis.
        target: Of that batch, where it is known.
    """
    task = task_of(criterion)
    axis = -1 if task == "sequence" else 1
    width = output.shape[axis] if output.ndim > 1 else 1
    places = tuple(str(place) for place in range(width))
    if task == "classification":
        _check_class_weights(criterion, places)
        return Classification(criterion, places)
    if task == "multilabel":
        return Multilabel(criterion, places)
    if task == "regression":
        return Regression(criterion, places[: width // 2] if criterion.name == "GaussianNLLLoss" else places)
    if task == "ranking":
        return Ranking(criterion, given="rows")
    if task == "embedding":
        most = int(target.max()) if target is not None and not target.is_floating_point() and target.numel() else -1
        return Embedding(criterion, tuple(map(str, range(most + 1))), given="rows", num_outputs=width)
    return Reading(criterion, places[:-1], raw=True) if task == "sequence" else Custom(criterion)


def check_loss(loss: Mapping[str, Any] | None) -> None:
    """Raise InputError where a loss's name or options are wrong, whatever the data are."""
    if loss is not None:
        losses.build(loss)


def check_soft(task: Any, giver: str, where: str) -> None:
    """Refuse soft targets for a loss that takes whole ones only: shares of classes, as MixUp or a teacher gives them.

    Args:
        task: With its loss. A loss of one's own is let be.
        giver: What gives such targets, in words.
        where: Its place in the config.

    Raises:
        InputError: at ``where``, with the losses of the same task that take them.
    """
    criterion = task.criterion
    if criterion.kind is None:
        return
    contract = CONTRACTS[criterion.name]
    message = fix = ""
    if not contract.soft:
        message = f"{criterion.name} does not: its target is {contract.target}"
        others = [name for name, other in CONTRACTS.items() if other.soft and set(other.task) & set(contract.task)]
        fix = f"remove it, or take {_any(others)}" if others else "remove it"
    elif criterion.name == "CrossEntropyLoss" and criterion.module.ignore_index >= 0:
        message = "CrossEntropyLoss with ignore_index does not"
        fix = "remove one of them"
    elif getattr(criterion.module, "log_target", False):
        message = f"{criterion.name} with log_target does not: logarithms do not mix"
        fix = "remove it, or give probabilities without log_target"
    if message:
        said = f"{giver} gives targets between those of the data (shares of classes), which {message}"
        raise InputError(Finding("soft-targets", "error", where, said, fix))


def _check_class_weights(criterion: Criterion, classes: Sequence[str]) -> None:
    weight = getattr(criterion.module, "weight", None)
    if weight is not None and weight.shape != (len(classes),):
        message = f"has {weight.numel()} numbers for {len(classes)} classes"
        fix = f"give one number for each of {', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''}"
        raise InputError(Finding("class-weights", "error", "loss.weight", message, fix))
