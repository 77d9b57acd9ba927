"""A config with every default and every choice written out: what a run keeps, and what resuming uses."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from torchwork import catalog
from torchwork.assembly import Parts
from torchwork.building import FROM_DATA
from torchwork.config import Config, load
from torchwork.data import AUGMENTS, SOURCES, TRANSFORMS
from torchwork.losses import LOSSES
from torchwork.losses.criterion import HIDDEN as HIDDEN_OF_LOSSES
from torchwork.models import MODELS
from torchwork.optim import OPTIMIZERS, SCHEDULES, fused
from torchwork.optim.options import HIDDEN as HIDDEN_OF_OPTIMIZERS
from torchwork.tasks import TASKS


def written_out(parts: Parts) -> Config:
    """Return the config of a run with the defaults of its components and the choices that were made for it.

    Loading it gives the same run. Of a component by import path nothing is added, as its code may change; nor what
    follows from the data (``in_channels``, ``num_classes``), or defaults that a config cannot hold.
    """
    config = filled(parts.config)
    split = config.data.split.model_copy(update={"by": parts.data.shared.by})
    monitor = parts.options.monitor
    several = config.optimizer if isinstance(config.optimizer, list) else [config.optimizer]
    optimizers = [
        {**spec, **(choice if spec["name"] in OPTIMIZERS else {})}
        for spec, choice in zip(several, fused.recorded(parts.state.optimizer), strict=True)
    ]
    update = {
        "device": str(parts.device),
        "task": _task_name(parts.task),
        "data": config.data.model_copy(update={"split": split}),
        "optimizer": optimizers if isinstance(config.optimizer, list) else optimizers[0],
        "loss": config.loss or _filled({"name": parts.task.criterion.name}, LOSSES, HIDDEN_OF_LOSSES),
        "train": config.train.model_copy(
            update={"monitor": monitor if "val" in parts.data.splits or monitor == "train_loss" else None}
        ),
    }
    # loaded, so that a run that goes on with it writes the same
    return load(config.model_copy(update=update).model_dump())


def filled(config: Config) -> Config:
    """Return a config with the defaults of its components; what the data decide stays as it is."""
    data = config.data.model_copy(
        update={
            "source": _filled(config.data.source, SOURCES),
            "transform": [_filled(spec, TRANSFORMS) for spec in config.data.transform],
            "augment": [_filled(spec, AUGMENTS) for spec in config.data.augment],
        }
    )
    several = config.optimizer if isinstance(config.optimizer, list) else [config.optimizer]
    optimizers = [_filled(spec, OPTIMIZERS, HIDDEN_OF_OPTIMIZERS) for spec in several]
    update = {
        "data": data,
        "model": _filled(config.model, MODELS, FROM_DATA),
        "loss": _filled(config.loss, LOSSES, HIDDEN_OF_LOSSES) if config.loss else None,
        "optimizer": optimizers if isinstance(config.optimizer, list) else optimizers[0],
        "schedule": _filled(config.schedule, SCHEDULES, HIDDEN_OF_OPTIMIZERS) if config.schedule else None,
    }
    return config.model_copy(update=update)


def _task_name(task: Any) -> str:
    place = f"{type(task).__module__}:{type(task).__name__}"
    return next(name for name, path in TASKS.items() if path == place)


def _filled(spec: Mapping[str, Any], entries: catalog.Catalog, hidden: Collection[str] = ()) -> dict[str, Any]:
    name = spec["name"]
    if name not in entries:
        return dict(spec)
    known = catalog.parameters(catalog.load(name, entries, "component", ""))
    defaults = {
        key: list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
        for key, parameter in known.items()
        if key not in hidden and parameter.default is not inspect.Parameter.empty and _plain(parameter.default)
    }
    options = {key: value for key, value in spec.items() if key != "name"}
    return {"name": name, **defaults, **options}


def _plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(_plain(item) for item in value)
    return isinstance(value, str | bool | int | float)
