"""A batch of training as the model will see it, before and after augmentation: a picture, or lines of text.

Beside it the learning rate of every step ahead, where a schedule moves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from torchwork import assembly, durable
from torchwork.config import Config
from torchwork.data.loader import Loader
from torchwork.data.pipelines.tables import Tables
from torchwork.data.pipelines.texts import Texts
from torchwork.data.tokens import FIRST
from torchwork.inspection import sheet
from torchwork.optim.schedule import Schedule, rates_ahead
from torchwork.run_data import Data, open_data
from torchwork.training import device as devices
from torchwork.types import Batch, Finding, InputError

MOST = 32
_MOST_ROWS = 6  # of a table's samples side by side
_MOST_NUMBERS = 8


@dataclass(frozen=True)
class Seen:
    """The first batch of training.

    ``views`` are the inputs by title, [B, ...] each: as they are, and augmented where they are; or the members of pairs
    and triplets. ``labels`` say what the targets are, ``lines`` what the model gets.
    """

    views: dict[str, Any]
    labels: list[str]
    names: list[str]
    lines: list[str]


def write(config: Config, out: Path | None = None) -> list[str]:
    """Look at the first batch of training; write a picture where there is one, and return what there is to print.

    Where the config has a schedule, ``learning-rate.svg`` is written beside.

    Args:
        config: A whole one.
        out: Where the picture goes (``preview.png`` where left out), or the lines, where the samples are no pictures.

    Raises:
        InputError: the data cannot be used, or ``out`` cannot be written.
    """
    if out is not None:
        durable.check_output(out)
    with devices.using_threads(config.train.threads or 1):
        data, task = open_data(config, torch.device("cpu"))
        try:
            seen = _look(config, data)
            pictures = _pictures(data, seen)
            shown = [] if pictures else _texts(data, seen)
            written = _written(seen, pictures, shown, out)
            rates = _learning_rate(config, data, task, (out or Path("preview.png")).with_name("learning-rate.svg"))
        finally:
            data.close()
    return [*written, *rates]


def _written(seen: Seen, pictures: dict[str, Tensor], shown: list[str], out: Path | None) -> list[str]:
    if not pictures:
        lines = [*seen.lines, "", *shown]
        if out is not None:
            _check_suffix(out, ".txt")
            with durable.output(out):
                durable.write_file(out, "\n".join([*lines, ""]))
            return [*seen.lines, f"written to {out}"]
        return lines
    path = out or Path("preview.png")
    _check_suffix(path, ".png")
    content = sheet.sheet(list(pictures.values()), list(pictures), seen.labels, seen.lines[0])
    with durable.output(path):
        durable.write_file(path, content)
    return [*seen.lines, f"written to {path}"]


def _learning_rate(config: Config, data: Data, task: Any, path: Path) -> list[str]:
    """Draw the learning rates of the run ahead, where there is a schedule; return what there is to say."""
    if config.schedule is None:
        return []
    try:
        state, _ = assembly.build_state(config, data, task, torch.device("cpu"), pretrained=False)
    except InputError as error:  # the batch was to be seen, and it is
        return [f"learning rate  not drawn: {error.findings[0]}"]
    from torchwork.report.plots import svg  # matplotlib, which only those who draw shall wait for
    from torchwork.report.plots.schedule import learning_rate

    steps = -(-len(data.loaders["train"]) // config.train.accumulate)
    moved = cast("Schedule", state.schedule)
    rates = rates_ahead(moved, state.optimizer, epochs=config.train.epochs, steps_per_epoch=steps)
    notes = [f"the first {len(rates):,} steps"] if len(rates) < config.train.epochs * steps else []
    notes += ["falls when the metric stands still"] if moved.needs_metric else []
    names = [str(group.get("match") or "all the rest") for group in state.optimizer.param_groups]
    figure = learning_rate(rates, steps_per_epoch=steps, names=names, note="; ".join(notes))
    with durable.output(path):
        durable.write_file(path, svg.text(figure, "learning_rate"))
    return [f"learning rate  written to {path}"]


def _check_suffix(path: Path, suffix: str) -> None:
    if path.suffix.lower() != suffix:
        message = f"these samples make a {suffix} file, not {path.name}"
        raise InputError(Finding("wrong-value", "error", "--out", message, f"end its name in {suffix}"))


def _look(config: Config, data: Data) -> Seen:
    train = data.loaders["train"]
    batch = next(iter(train.batches(1)))
    count = min(len(batch.ids), MOST)
    given = data.companions.get("train")
    if given is not None:
        titles = ("anchor", "positive", "negative") if given.num_members == 3 else ("first", "second")
        views = {title: _cut(_member(batch.inputs, place), count) for place, title in enumerate(titles)}
    else:
        views = {"": _cut(batch.inputs, count)}
        if config.data.augment:
            views = {"before": _plain(config, data, batch.ids[:count]), "after": views[""]}
    names = [data.source.name(int(index)) for index in batch.ids[:count]]
    return Seen(views, _labels(data, batch, count), names, _facts(config, data, batch, views))


def _plain(config: Config, data: Data, ids: np.ndarray) -> Any:
    """Return the same samples as evaluation would see them, drawn in the same epoch."""
    options = {"pipeline": data.pipeline, "target": None, "batch_size": len(ids), "seed": config.seed}
    loader = Loader(data.source, ids, resident=False, **options)  # type: ignore[arg-type]
    try:
        return next(iter(loader.batches(1))).inputs
    finally:
        loader.close()


def _cut(inputs: Any, count: int) -> Any:
    return {name: part[:count] for name, part in inputs.items()} if isinstance(inputs, dict) else inputs[:count]


def _member(inputs: Any, place: int) -> Any:
    return {name: part[:, place] for name, part in inputs.items()} if isinstance(inputs, dict) else inputs[:, place]


def _facts(config: Config, data: Data, batch: Batch, views: dict[str, Any]) -> list[str]:
    total, rows = len(batch.ids), "samples" if len(views) < 2 or "before" in views else "rows"
    which = f"all {total} {rows}" if total <= MOST else f"{MOST} of the {total} {rows}"
    what = f"{config.name}: {which} of the first batch of training"
    lines = [what, f"transform  {' → '.join(data.pipeline.describe()) or 'nothing'}"]
    if data.augments:
        lines.append(f"augment    {' → '.join(map(repr, data.augments))}")
    for name, x in batch.inputs.items() if isinstance(batch.inputs, dict) else [("the model gets", batch.inputs)]:
        said = f"{name}  {str(x.dtype).removeprefix('torch.')} {list(x.shape)}"
        if x.numel():
            figures = x.double()
            said += f", {figures.min():.4g} to {figures.max():.4g}"
            said += f", mean {figures.mean():.3g}, std {figures.std():.3g}" if x.is_floating_point() else ""
        lines.append(said)
    return lines


def _labels(data: Data, batch: Batch, count: int) -> list[str]:
    """Return what the target of each row means."""
    classes, target = data.target.classes, batch.target[:count]
    if "train" in data.companions:
        if target.is_floating_point() and target.ndim == 1:
            return [f"{value:+g}" for value in target.tolist()]
        return [" | ".join(_label(member, classes) for member in row) for row in target]
    return [_label(row, classes) for row in target]


def _label(target: Tensor, classes: Sequence[str] | None) -> str:
    if classes is not None and target.is_floating_point() and len(target) == len(classes):
        shares, places = target.sort(descending=True, stable=True)
        kept = [(share, classes[place]) for share, place in zip(shares.tolist(), places.tolist(), strict=True)]
        said = [name if share >= 0.995 else f"{share:.2f} {name}" for share, name in kept[:2] if share >= 0.005]
        return " + ".join(said)
    if target.is_floating_point():
        values = [f"{value:.4g}" for value in target.reshape(-1).tolist()]
        return ", ".join(values[:_MOST_NUMBERS]) + (" …" if len(values) > _MOST_NUMBERS else "")
    if target.ndim:
        return "".join(classes[place] if classes else str(place) for place in target.tolist() if place >= 0)
    return classes[int(target)] if classes else str(int(target))


def _pictures(data: Data, seen: Seen) -> dict[str, Tensor]:
    """Return the views as uint8 [B, C, H, W]; none where they are no pictures."""
    views = seen.views
    if not all(isinstance(x, Tensor) and x.ndim == 4 and x.shape[1] in (1, 3) for x in views.values()):
        return {}
    floats = {title: x.detach().float() for title, x in views.items()}
    kind = data.source.schema.inputs
    if kind == "audio":  # low tones below
        floats = {title: x.flip(2) for title, x in floats.items()}
    if kind == "image":
        undone = {title: _undone(x, data.pipeline.state()) for title, x in floats.items()}
        if all(x.min() > -0.01 and x.max() < 1.01 for x in undone.values()):
            return {title: (x.clamp(0, 1) * 255).round().to(torch.uint8) for title, x in undone.items()}
    return {title: sheet.levels(x, alike=_fitting(x, floats)) for title, x in floats.items()}


def _fitting(x: Tensor, others: dict[str, Tensor]) -> list[Tensor]:
    return [other for other in others.values() if len(other) == len(x)]


def _undone(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Return images before Normalize, where there is one: levels from 0 to 1."""
    if "normalize.mean" not in state:
        return x
    mean, std = (state[f"normalize.{name}"].float().view(1, -1, 1, 1) for name in ("mean", "std"))
    return x * std + mean


def _texts(data: Data, seen: Seen) -> list[str]:
    """Return the samples as lines of text."""
    way = data.pipeline.way
    views = {f"{title}: " if title else "": x for title, x in seen.views.items()}
    if isinstance(way, Tables):
        title, x = list(views.items())[-1]
        return _table(data, replace(seen, views={title: x}))
    lines = []
    for place, (label, name) in enumerate(zip(seen.labels, seen.names, strict=True)):
        lines.append(f"{name}  [{label}]")
        for title, x in views.items():
            lines.append(f"  {title}{_tokens(x[place], way) if isinstance(way, Texts) else _numbers(x, place)}")
    return lines


def _tokens(numbers: Tensor, way: Texts) -> str:
    step, found = way.tokenize, [number for number in numbers.tolist() if number]
    if step.unit == "bytes":
        return repr(bytes(max(number - FIRST, 0) for number in found))[1:]
    words = [step.vocabulary[number - FIRST] if number >= FIRST else "�" for number in found]
    return "".join(words) if step.unit == "characters" else " ".join(words)


def _numbers(x: Any, place: int) -> str:
    if isinstance(x, dict):
        return "; ".join(f"{name} {_numbers(part, place)}" for name, part in x.items())
    values = x[place].reshape(-1)
    shown = ", ".join(f"{value:.4g}" for value in values[:_MOST_NUMBERS].tolist())
    return f"{list(x.shape[1:])}: {shown}{' …' if len(values) > _MOST_NUMBERS else ''}"


def _table(data: Data, seen: Seen) -> list[str]:
    """Return the columns that the model gets down the page, a few rows across."""
    (x,) = seen.views.values()
    titles = _columns(data, x.shape[1])
    shown = x[:_MOST_ROWS]
    cells = [["", *seen.names[: len(shown)]], ["target", *seen.labels[: len(shown)]]]
    cells += [[title, *(f"{value:.4g}" for value in shown[:, at].tolist())] for at, title in enumerate(titles)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in cells]


def _columns(data: Data, width: int) -> list[str]:
    schema, levels = data.source.schema, data.pipeline.facts()["levels"]
    apart = [f"{name}={level}" for name in schema.categories for level in levels.get(name, ())]
    for names in ((*schema.numbers, *apart), (*schema.numbers, *schema.categories)):
        if len(names) == width:
            return list(names)
    return [*schema.numbers, *(f"column {at + 1}" for at in range(len(schema.numbers), width))]
