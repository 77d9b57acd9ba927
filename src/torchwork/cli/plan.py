"""What ``torchwork check`` prints: the plan of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torchwork.cli import layout

if TYPE_CHECKING:
    from torchwork.plan import Plan

_MOST_CLASSES = 20


def print_plan(plan: Plan) -> None:
    """Print the data, the way to a batch, the model, the training and the warnings of a plan."""
    layout.title("data")
    _print_splits(plan)
    print(f"split {plan.split}")
    layout.title("from a sample to a batch")
    facts = [
        ["transform", " → ".join(plan.transform) or "nothing"],
        ["augment", " → ".join(plan.augment) or "nothing"],
        ["sample", _shape(plan.input_shape)],
        ["batch", _shape(plan.batch_shape)],
        ["output", _shape(plan.output_shape)],
    ]
    _print_facts(facts)
    layout.title("model")
    rows = [_layer_row(layer) for layer in plan.layers]
    layout.table(["layer", "type", "output", "parameters"], rows, right=["parameters"])
    frozen = plan.parameters - plan.trainable
    print(f"{plan.parameters:,} parameters{f', of which {frozen:,} are frozen' if frozen else ''}")
    layout.title("start, on one batch")
    columns = ["mean", "std", "activation_std", "gradient_std"]
    rows = [[str(row["name"]), *(_number(row[column]) for column in columns)] for row in plan.start]
    titles = [column.replace("_", " ") for column in columns]
    layout.table(["layer", *titles], rows, right=titles)
    layout.title("training")
    facts = [
        ["task", plan.task],
        ["loss", plan.loss],
        ["optimizer", plan.optimizer],
        ["schedule", plan.schedule],
        ["device", f"{plan.device}, {plan.threads} thread{'s' if plan.threads != 1 else ''}"],
        ["steps", f"{plan.steps:,} ({plan.steps_per_epoch:,} an epoch)"],
        ["time", f"about {duration(plan.estimated_seconds)} ({_milliseconds(plan.step_time.whole)} a step)"],
        ["of a step", ", ".join(f"{name} {share:.0%}" for name, share in plan.step_time.shares().items())],
        *(["" if place else "faster", said] for place, said in enumerate(plan.faster)),
    ]
    _print_facts(facts)
    if plan.findings:
        layout.title("worth a look")
        for finding in plan.findings:
            print(f"{finding.severity}: {finding}")


def duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> duration(0.4), duration(42), duration(312), duration(7500)
    ('1 s', '42 s', '5 min 12 s', '2 h 5 min')
    """
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _print_splits(plan: Plan) -> None:
    classes = list(dict.fromkeys(name for counts in plan.class_counts.values() for name in counts))
    if not classes or len(classes) > _MOST_CLASSES:
        layout.table(["split", "samples"], [[s, f"{n:,}"] for s, n in plan.splits.items()], right=["samples"])
        if classes:
            least = min(count for counts in plan.class_counts.values() for count in counts.values())
            print(f"{len(classes)} classes, of each at least {least:,} samples in every split")
        return
    splits = list(plan.splits)
    rows = [[name, *(f"{plan.class_counts.get(s, {}).get(name, 0):,}" for s in splits)] for name in classes]
    rows.append(["all", *(f"{plan.splits[split]:,}" for split in splits)])
    layout.table(["class", *splits], rows, right=splits)


def _print_facts(rows: Sequence[Sequence[str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, fact in rows:
        print(f"{name.ljust(width)}  {fact}")


def _layer_row(layer: dict[str, object]) -> list[str]:
    count = layer["parameters"]
    shown = f"{count:,}" if count else ""
    frozen = " frozen" if count and not layer["trainable"] else ""
    return [str(layer["name"]), str(layer["type"]), _shape(layer["output_shape"]), f"{shown}{frozen}"]


def _shape(shape: object) -> str:
    return " × ".join(map(str, shape)) if isinstance(shape, list | tuple) and shape else str(shape)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
