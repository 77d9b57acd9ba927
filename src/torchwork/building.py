"""What a run is rebuilt from, with its data or without: its task, its model and its transform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from torchwork import catalog, distribution
from torchwork.config import Config
from torchwork.data import missing
from torchwork.data.soft import SoftTarget
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.models import MODELS, init
from torchwork.models import build as models
from torchwork.models.memory_format import prefers_channels_last
from torchwork.tasks import contracts
from torchwork.training import precision
from torchwork.types import Finding, InputError, Schema

# what a model is told about the data, where its signature asks for it
FROM_DATA = (
    *("in_channels", "in_features", "input_shape", "image_size", "num_embeddings"),
    *("num_classes", "out_features"),
)


def pipeline_from(config: Config, facts: Mapping[str, Any]) -> Pipeline:
    """Return a run's transform, as yet without what it learnt, from the facts about its data."""
    schema = Schema(
        facts["inputs"], facts["target"], numbers=tuple(facts["numbers"]), categories=tuple(facts["categories"])
    )
    return pipeline_of(config, schema)


def pipeline_of(config: Config, schema: Schema) -> Pipeline:
    """Return the transform of a config for samples of a schema, as yet without what it learns.

    Raises:
        InputError: steps that do not fit; ``data.clean.missing`` for samples that are no rows of a table.
    """
    clean = config.data.clean
    if clean.missing != "error" and schema.inputs != "table":
        message = f"missing: {clean.missing} is for tables, the samples are of the kind {schema.inputs}"
        raise InputError(Finding("misfit", "error", "data.clean.missing", message, "remove it"))
    pipeline = Pipeline(config.data.transform, schema, where="data.transform", first=missing.steps(clean.model_dump()))
    pipeline.dtype = precision.dtype(config.train.precision)
    return pipeline


def build_task(config: Config, target: Target | SoftTarget) -> Any:
    """Return the task that config and targets decide."""
    pairs = config.data.pairs
    dimensions = config.model.get("num_classes", config.model.get("out_features"))
    return contracts.choose(
        config.task,
        config.loss,
        target=target.kind,
        classes=target.classes,
        target_names=target.target_names,
        mining=pairs.mining if pairs is not None else "none",
        given=pairs is not None and pairs.file is not None,
        dimensions=dimensions if isinstance(dimensions, int) else 64,
    )


def check_model_options(config: Config) -> None:
    """Check a model's options where there are no data to build it for.

    Raises:
        InputError: with every mistake.
    """
    options = {key: value for key, value in config.model.items() if key not in ("name", *models.OWN_OPTIONS)}
    factory = catalog.load(config.model["name"], MODELS, "model", "model")
    findings = catalog.check_options(factory, options, "model", supplied=FROM_DATA)
    if findings:
        raise InputError(findings)


def build_model(
    config: Config, facts: Mapping[str, Any], outputs: int, device: torch.device, *, pretrained: bool = True
) -> tuple[nn.Module, list[Finding]]:
    """Build and initialise the model, on its device and in its precision; say what there is to say about it.

    Of the facts about the data it takes ``input_shape`` and, for texts, ``num_tokens``. ``pretrained=False`` leaves
    the file of ``model.weights`` unread, where the weights come from a checkpoint.
    """
    built = models.assemble(
        dict(config.model),
        input_shape=tuple(facts["input_shape"]),
        num_tokens=facts.get("num_tokens"),
        num_outputs=outputs,
        seed=config.seed,
        where="model",
        pretrained=pretrained,
    )
    init.initialise(built.model, config.init, config.seed)
    model = built.model.to(device)
    # these leave complex numbers as they are, of which .to(dtype) would drop the imaginary parts
    model = model.double() if config.train.precision == "fp64" else model.float()
    if memory_format(config, model, device) == "channels_last":
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    precision.compute_in(model, config.train.precision)
    return model, built.findings


def memory_format(config: Config, model: nn.Module, device: torch.device) -> str:
    """Return how the weights of 2-d convolutions lie in memory: as the config says, or else by a rule.

    The rule is ``models.memory_format.prefers_channels_last``, on a CPU and below fp64, whose convolutions are others.
    LBFGS and parts of a model take contiguous weights only.
    """
    if config.train.memory_format is not None:
        return config.train.memory_format
    optimizers = config.optimizer if isinstance(config.optimizer, list) else [config.optimizer]
    able = device.type == "cpu" and config.train.precision != "fp64" and not distribution.is_sharded(config)
    able &= all(spec["name"].split(":")[-1] != "LBFGS" for spec in optimizers)
    return "channels_last" if able and prefers_channels_last(model) else "contiguous"
