"""What ``torchwork summary`` prints: the layers of a model, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torchwork import config, rundir
from torchwork.cli import layout
from torchwork.types import Finding, InputError

if TYPE_CHECKING:
    from torch import nn

_COLUMNS = ["layer", "type", "output", "parameters", "multiply-adds", "weights", "outputs"]


def summarise(path: Path, overrides: Sequence[str] = (), *, net: bool = False) -> None:
    """Print the layer table of a config's model, or of a run's.

    A run tells it by its own files, without the data; a config is built, with a batch of its data.

    Args:
        path: A config or a run directory.
        overrides: Changes to the config.
        net: Whether to print the model as ``print(net)`` does, too.

    Raises:
        InputError: neither config nor run, a config that is wrong, a model that fails on its data, or a run whose
            record of its layers is missing.
    """
    if path.is_dir() or (path / rundir.CONFIG).is_file():
        model, told = _of_run(rundir.existing(path), overrides, net)
    else:
        model, told = _of_config(path, overrides)
    if net:
        print(f"{model}\n")
    layout.table(_COLUMNS, told.rows, right=_COLUMNS[3:])
    print("\n".join(["", *told.lines]))


class _Told(NamedTuple):
    """The rows of the table and the lines below it."""

    rows: list[list[str]]
    lines: list[str]


def _of_config(path: Path, overrides: Sequence[str]) -> tuple[nn.Module, _Told]:
    settings = config.load(path, overrides)
    from torchwork import assembly
    from torchwork.models import summary
    from torchwork.training import device as devices

    with devices.using_threads(settings.train.threads or devices.default_threads()):
        parts = assembly.assemble(settings)
        try:
            found = summary.summarise(parts.model, assembly.model_inputs(parts, assembly.first_batch(parts)))
        finally:
            parts.data.close()
    return parts.model, _tell(found._asdict())


def _of_run(directory: Path, overrides: Sequence[str], net: bool) -> tuple[nn.Module | None, _Told]:
    if overrides:
        message = f"got {overrides[0]!r}, but {directory} is a run, whose config is settled"
        fix = "give a config instead, or leave it out"
        raise InputError(Finding("settled", "error", "summary", message, fix))
    path = directory / rundir.MODEL_SUMMARY
    try:
        told = _tell(rundir.read_json(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path} is missing or cannot be read: {type(error).__name__}"
        fix = f"give the run's config: torchwork summary {directory / rundir.CONFIG}"
        raise InputError(Finding("no-summary", "error", str(directory), message, fix)) from error
    if not net:
        return None, told
    import torch

    from torchwork import building
    from torchwork.loaded import load

    run = load(directory)
    outputs = run.task.num_outputs
    model, _ = building.build_model(run.config, run.data, outputs, torch.device("cpu"), pretrained=False)
    return model, told


def _tell(facts: Mapping[str, Any]) -> _Told:
    from torchwork.models.summary import COUNTED, MEMORY

    rows = [_row(layer) for layer in facts["layers"]]
    frozen = facts["parameters"] - facts["trainable"]
    lines = [f"{facts['parameters']:,} parameters, {f'of which {frozen:,} are frozen' if frozen else 'all trainable'}"]
    if "multiply_adds" not in facts:
        return _Told(rows, [*lines, "multiply-adds and memory were not counted when this run began"])
    weights, outputs = _bytes(facts["weight_bytes"]), _bytes(facts["output_bytes"])
    memory = f"{weights} of weights, {outputs} of outputs for a batch of {facts['batch_size']:,}"
    return _Told(rows, [*lines, _work(facts), memory, "", COUNTED, MEMORY])


def _work(facts: Mapping[str, Any]) -> str:
    whole = facts["multiply_adds"]
    if whole is None:
        return "the multiply-adds of this model cannot be counted: it does not run where torch looks on"
    outside = whole - sum(layer["multiply_adds"] or 0 for layer in facts["layers"])
    # of ragged batches the layers are rounded each by itself
    said = f", of which {outside:,} outside of these layers" if outside > len(facts["layers"]) else ""
    return f"{_scaled(whole)} multiply-adds a sample{said}"


def _row(layer: Mapping[str, Any]) -> list[str]:
    parameters, frozen = layer["parameters"], layer["parameters"] - layer["trainable"]
    said = " frozen" if frozen == parameters and frozen else f" ({frozen:,} frozen)" if frozen else ""
    calls = layer.get("calls", 1)
    shape = layer["output_shape"]
    output = "not called" if shape is None and not calls else "" if shape is None else " × ".join(map(str, shape))
    return [
        str(layer["name"]),
        str(layer["type"]),
        f"{output}, {calls} calls" if calls > 1 else output,
        f"{parameters:,}{said}" if parameters else "",
        f"{layer['multiply_adds']:,}" if layer.get("multiply_adds") else "",
        _bytes(layer["weight_bytes"]) if layer.get("weight_bytes") else "",
        _bytes(layer["output_bytes"]) if layer.get("output_bytes") else "",
    ]


def _scaled(count: int) -> str:
    """Return a count as it is, and in thousand millions or millions where it is large.

    >>> _scaled(714188480), _scaled(416520), _scaled(840)
    ('714,188,480 (0.714 G)', '416,520 (0.417 M)', '840')
    """
    for size, name in ((1e8, "G"), (1e5, "M")):
        if count >= size:
            return f"{count:,} ({count / size / 10:.3g} {name})"
    return f"{count:,}"


def _bytes(count: int) -> str:
    """Return bytes in the unit that fits, of 1,000 each.

    >>> _bytes(624), _bytes(246824), _bytes(244403360), _bytes(3 * 10**9)
    ('624 B', '247 kB', '244 MB', '3 GB')
    """
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.3g} {name}"
    return f"{count} B"
