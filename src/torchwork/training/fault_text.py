"""What is said of a window whose loss or gradient is not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torchwork.training.diagnosis import Answer, Fault, Origin, origin_of


def describe(fault: Fault, answer: Answer) -> str:
    """Return what is known of a fault as an error's text; going through its window again costs a step."""
    found = origin_of(fault)
    return f"{place(fault)}: {told(fault, found)}. {fate(answer)}"


def place(fault: Fault) -> str:
    """Return where in the run it happened: ``step 12 (epoch 3)``."""
    return f"step {fault.index} (epoch {fault.epoch + 1})"


def short(fault: Fault) -> str:
    """Return what is not finite."""
    return {
        "loss": f"the loss is {fault.loss}",
        "gradient": f"the loss is {fault.loss:.4g}, but its gradient is not finite",
        "weights": "the update made weights NaN or infinite",
    }[fault.what]


def told(fault: Fault, found: Origin, name: Callable[[int], str] = str) -> str:
    """Return what is not finite, where it came from and which samples were there; names where they tell most."""
    ids = fault.ids
    located = found.ids or found.inputs or found.kind == "unknown"
    shown = _some(ids, str, 20) if located or name is str else _some(ids, name, 5)
    return f"{short(fault)}; samples {shown}. {where(found, name)}"


def where(found: Origin, name: Callable[[int], str] = str) -> str:
    """Return where the first that was not finite came from."""
    rows = f", in {_samples(found.ids, name)}" if found.ids else ""
    module = f"{found.name or 'the model'} ({found.module})"
    first = {
        "weight": f"{found.name} was not finite before this step: an earlier update spoilt it",
        "output": f"The first that is not finite is the output of {module}{rows}",
        "loss": "All outputs are finite: the loss function itself gives it",
        "output gradient": f"Going back from the loss, the first that is not finite is the gradient at the output of "
        f"{module}{rows}",
        "weight gradient": f"Going back from the loss, the first that is not finite is the gradient of {found.name}",
        "unknown": "Where it came from is not known, as no process holds the whole model (distributed.strategy: fsdp)",
        "nothing": "Its loss and gradients are finite when it is gone through again: the step itself was too large",
    }[found.kind]
    given = f"{_samples(found.inputs, name)} came in with numbers that are not finite" if found.inputs else ""
    return f"{first}. {given[0].upper()}{given[1:]}" if given else first


def fate(answer: Answer) -> str:
    """Return what became of the window, or what may help."""
    if answer == "skip":
        return "This window is skipped: nothing was learnt from it"
    return "This step was not taken. A smaller learning rate, train.clip_norm or a look at these samples may help"


def _samples(ids: Iterable[int], name: Callable[[int], str]) -> str:
    held = list(ids)
    return f"sample{'s' if len(held) > 1 else ''} {_some(held, name, 5)}"


def _some(ids: list[int], name: Callable[[int], str], most: int) -> str:
    return ", ".join(map(name, ids[:most])) + (f", ... ({len(ids)} in all)" if len(ids) > most else "")
