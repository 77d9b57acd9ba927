"""What ``torchwork init`` prints: a commented config that trains, as it is, on the data at a path."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from torchwork.cli.look import Found, look
from torchwork.config import load
from torchwork.config.text import inline
from torchwork.data import missing, split
from torchwork.data.audit import leniently
from torchwork.data.sound.files import SoundFiles
from torchwork.data.source import open_source
from torchwork.data.target import Target
from torchwork.types import InputError, Source

_UPDATES = 2500  # about as many as a small model needs
_SPECTROGRAM = [
    "  - TrimSilence  # what is quiet at both ends",
    "  - LogMelSpectrogram  # 40 bands; as many frames as leave 95% of the training recordings whole",
]
_WARPS = [
    "  augment:  # for training only: other speeds and other voices",
    "    - {name: TimeWarp, max_rate: 1.25, max_shift: 4}",
    "    - {name: FrequencyWarp, max_rate: 1.1, max_shift: 2}",
]
_CONVOLUTIONS = [
    "model:  # convolutions over time; sizes that are left out follow from the data",
    "  name: Sequential  # or one of your own: package.module:attribute",
    "  layers:",
    "    - {name: Flatten, start_dim: 1, end_dim: 2}",
    *[
        f"    - {layer}"
        for _ in range(3)
        for layer in (
            "{name: Conv1d, out_channels: 64, kernel_size: 5, padding: 2}",
            "BatchNorm1d",
            "ReLU",
            "{name: MaxPool1d, kernel_size: 2, ceil_mode: true}",
        )
    ],
    "    - {name: AdaptiveAvgPool1d, output_size: 4}",
    "    - Flatten",
    "    - {name: Dropout, p: 0.3}",
    "    - Linear",
]
_SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}


def print_config(path: Path) -> None:
    """Look at the data at a path and print a config for them.

    Raises:
        InputError: nothing is there that can be read, or it is not fit to train on.
    """
    text = write_config(path)
    load(text if "\n" in text else f"{text}\n")
    print(text, end="")


def write_config(path: Path) -> str:
    """Return a commented config for the data at a path."""
    found = look(path)
    source, wrong = _opened(found)
    kept = _with_target(source)
    parts, remark = _choose_split(source, kept)
    facts = _measure(source, parts, kept)
    lines = [*_title(path, found, source, facts), *wrong, *_data_section(found, source, parts, remark, facts)]
    lines += _model_section(source, facts)
    return "\n".join(lines) + "\n"


def _opened(found: Found) -> tuple[Source, list[str]]:
    """Open a source; where a run would refuse folders without files, open the others, and say so in comments."""
    try:
        return open_source(found.source), []
    except InputError as error:
        if any(finding.code != "empty-class" for finding in error.findings):
            raise
        source, _ = leniently.opened(found.source)
        if source is None or source.targets is None:
            raise
        return source, [
            f"# as the data are, train stops: {finding.message}; {finding.fix}" for finding in error.findings
        ]


@dataclass(frozen=True)
class _Facts:
    num_train: int
    held_out: bool  # whether there is a val split
    batch_size: int
    size: tuple[int, int] | None  # of all images, where they have one size
    resize: int | None
    mean: float  # of the targets of train, where they are numbers
    std: float


def _with_target(source: Source) -> np.ndarray:
    """Return the samples that can be read and have a target, or may have one."""
    table = source.schema.inputs == "table"
    lacking = [fault.index for fault in source.faults if not table or fault.code == missing.NO_TARGET]
    return np.setdiff1d(np.arange(len(source)), lacking)


def _choose_split(source: Source, kept: np.ndarray) -> tuple[dict[str, Any], str]:
    """Return a split that the data can bear, and what to say about it."""
    classes = source.schema.target == "class"
    if source.given is not None:
        lacking = {part: 0.15 for part in ("val", "test") if part not in source.given}
        said = f"; cut from their train: {' and '.join(lacking)}" if lacking else ""
        tries = [({**lacking, "by": "given"}, f"the splits that the data come with{said}")]
    elif classes:
        tries = [({**_SHARES, "by": "stratified"}, "every class in the same proportions")]
    else:
        tries = [({**_SHARES, "by": "random"}, "")]
    alone = {"train": 1.0, "val": 0.0, "test": 0.0, "by": "random"}
    tries.append((alone, "too few samples of each class to hold any back; so nothing tells how good the model is"))
    for spec, remark in tries:
        try:
            _try_split(source, {**_SHARES, **spec}, kept)
        except InputError:
            if spec is alone:
                raise
        else:
            return spec, remark
    raise AssertionError("the last try returns or raises")


def _try_split(source: Source, spec: dict[str, Any], kept: np.ndarray) -> None:
    assert source.targets is not None
    Target.fit(source.schema, source.targets, split.split(source, spec, seed=0, among=kept), source.name)


def _measure(source: Source, parts: dict[str, Any], kept: np.ndarray) -> _Facts:
    splits = split.split(source, {**_SHARES, **parts}, seed=0, among=kept)
    train = splits["train"]
    num_train = len(train)
    batch_size = min(num_train, 16 if num_train < 500 else 32 if num_train < 2000 else 64)
    size, resize = None, None
    if source.schema.inputs == "image":
        sizes = _sizes(source)
        size = (int(sizes[0, 0]), int(sizes[0, 1])) if (sizes == sizes[0]).all() else None
        if size is None or min(size) < 16 or max(size) > 64:
            resize = 32 if np.median(sizes.min(axis=1)) < 48 else 64
    assert source.targets is not None
    numbers = source.targets[train] if source.schema.target == "number" else np.zeros((1, 1))
    held_out = "val" in splits
    return _Facts(
        num_train, held_out, batch_size, size, resize, float(numbers.mean()), float(numbers.std(axis=0).max())
    )


def _sizes(source: Source) -> np.ndarray:
    """Return height and width of each image."""
    sizes: np.ndarray | None = getattr(source, "sizes", None)
    if sizes is not None:
        return sizes
    first = source.read(np.arange(1), epoch=0)[0][0]
    return np.array([first.shape[-2:]], np.int64)


def _title(path: Path, found: Found, source: Source, facts: _Facts) -> list[str]:
    kinds = {"image": "images", "table": "rows", "array": "samples", "text": "texts", "audio": "sounds"}
    what = f"{len(source):,} {kinds[source.schema.inputs]}"
    if isinstance(source, SoundFiles):
        rate = source.schema.sample_rate
        what += f" of {source.seconds.min():.2g} to {source.seconds.max():.2g} seconds at {rate:,} Hz"
    if source.schema.inputs == "image":
        what += f" of {facts.size[0]} × {facts.size[1]}" if facts.size else " of different sizes"
    assert source.targets is not None
    if source.schema.target == "class":
        found_names = sorted({str(name) for name in source.targets.tolist() if name is not None})
        names = source.schema.classes or found_names
        what += f", {len(names)} classes: {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
    else:
        what += f", to predict {', '.join(source.schema.target_names)}"
    return [
        f"# {what}",
        "# what it would do: torchwork check THIS_FILE    to train: torchwork train THIS_FILE",
        "# all that can stand here: torchwork list models (sources, transforms, losses, ...), torchwork schema",
        f"name: {_name(path)}",
        "seed: 0  # decides every random number: the split, the start values, the order",
        "device: auto  # or cpu, cuda, cuda:1, mps",
    ]


def _name(path: Path) -> str:
    stem = path.resolve().name.split(".")[0]
    return inline(re.sub(r"[^\w-]+", "-", stem).strip("-")[:50] or "run")


def _data_section(found: Found, source: Source, parts: dict[str, Any], remark: str, facts: _Facts) -> list[str]:
    lines = ["", "data:", *(f"  # {said}" for said in found.remarks), *_source(found.source), *_clean(source)]
    lines.append(f"  split: {inline(parts)}{f'  # {remark}' if remark else ''}")
    lines.append("  transform:  # the same at training, evaluation and prediction")
    side = facts.resize
    if side:
        lines.append(
            f"  # (to keep proportions: {{name: Resize, size: {side}}}, then {{name: CenterCrop, size: {side}}})"
        )
        lines.append(f"  - {{name: Resize, size: [{side}, {side}]}}")
    if source.schema.categories:
        lines.append("  - {name: OneHot, unknown: zeros}  # a text that train lacks is no error, but no column either")
    if source.schema.inputs == "audio":
        lines += _SPECTROGRAM
    if source.schema.inputs == "text":
        lines.append("  - {name: Tokenize, unit: words}  # or characters, bytes; the vocabulary is that of train")
    else:
        lines.append("  - Normalize  # mean and std of the training split")
    if source.schema.inputs == "audio":
        lines += _WARPS
    if source.schema.inputs == "image":
        side = side or (facts.size[0] if facts.size and facts.size[0] == facts.size[1] else None)
        crop = f"{{name: RandomCrop, size: {side}, padding: 4}}, " if side else ""
        lines.append(f"  augment: []  # for training only, as [{crop}RandomHorizontalFlip]")
    lines.append(f"  batch_size: {facts.batch_size}")
    return lines


def _clean(source: Source) -> list[str]:
    """Write what becomes of rows with missing cells, or could become of files that cannot be read, if there are any."""
    if source.schema.inputs != "table":
        return [f"  # clean: {{unreadable: drop}}  # {_unreadable(source)}"] if source.faults else []
    counts = Counter(fault.code for fault in source.faults if fault.code in missing.CODES)
    lacking = counts.pop(missing.NO_TARGET, 0)
    lines = []
    if counts:
        rows = counts.total()
        said = (
            f"{rows:,} {'row has' if rows == 1 else 'rows have'} cells to fill in; or mean, constant (with fill), drop"
        )
        lines.append(f"    missing: median  # of the training split: {said}")
    if lacking:
        said = f"{lacking:,} {'row has' if lacking == 1 else 'rows have'} no target"
        lines.append(f"    unreadable: drop  # {said}, and that is never filled in")
    return ["  clean:", *lines] if lines else []


def _unreadable(source: Source) -> str:
    count = len(source.faults)
    said = "file cannot be read: this sets it" if count == 1 else "files cannot be read: this sets them"
    return f"{count:,} {said} aside, without it train names {'it' if count == 1 else 'them'} and stops"


def _source(component: dict[str, Any]) -> list[str]:
    """Write the source in a line, or in a line an option where that would be long."""
    line = f"  source: {inline(component)}"
    if len(line) <= 110:
        return [line]
    return ["  source:", *(f"    {name}: {inline(value)}" for name, value in component.items())]


def _model_section(source: Source, facts: _Facts) -> list[str]:
    text = source.schema.inputs == "text"
    image, numbers = source.schema.inputs in ("image", "audio"), source.schema.target == "number"
    steps = -(-facts.num_train // facts.batch_size)
    epochs = max(3, min(10 if text else 30 if image else 100, round(_UPDATES / steps)))
    patience = 20 if facts.held_out and epochs > 20 else "null"
    model = ["model: LeNet  # or AlexNet, Sequential, or one of your own: package.module:attribute"]
    if source.schema.inputs == "audio":
        model = _CONVOLUTIONS
    elif text:
        model = ["model: TextCNN  # or LSTM, Sequential, or one of your own: package.module:attribute"]
    elif not image:
        model = ["model: {name: MLP, hidden: [64, 64]}  # or Sequential, or one of your own: package.module:attribute"]
    loss = "MSELoss  # or L1Loss, SmoothL1Loss" if numbers else "CrossEntropyLoss"
    return [
        "",
        *model,
        *(_start_of_output(facts, "fc" if text else "output") if numbers and not image else []),
        f"loss: {loss}",
        f"optimizer: {{name: Adam, lr: {0.003 if numbers else 0.001}}}",
        "schedule: CosineAnnealingLR  # from that lr down to 0 over the run",
        "",
        "train:",
        f"  epochs: {epochs}  # of {steps:,} steps each",
        f"  patience: {patience}  # stop after so many epochs without a better val_loss",
    ]


def _start_of_output(facts: _Facts, layer: str) -> list[str]:
    """Let the model begin at the scale of its targets where that is far from 1: the way there is thousands of steps."""
    if 0.3 < facts.std < 3 and abs(facts.mean) < 3:
        return []
    weight = {"name": "normal_", "std": _rounded(facts.std / 8)}
    bias = {"name": "constant_", "val": _rounded(facts.mean)}
    return [
        "init:  # the model begins at the scale of the targets of train: at their mean, with their spread",
        f"  {layer}.weight: {inline(weight)}",
        f"  {layer}.bias: {inline(bias)}",
    ]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
