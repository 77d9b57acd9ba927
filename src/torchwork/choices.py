"""What a config leaves open and a run decides: threads, memory format, precision and whether to compile, and why.

Each returns the config with the choice written down, so that a run that goes on or is made again does not choose anew.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from torchwork import dist
from torchwork.building import memory_format
from torchwork.config import Config
from torchwork.run_data import Data
from torchwork.training import compiling, precision
from torchwork.training import device as devices
from torchwork.training.state import State
from torchwork.types import Finding, InputError


def with_threads(config: Config, data: Data) -> Config:
    """Return the config with the number of threads that the fixed rule gives, where it names none; compute with it."""
    if config.train.threads is not None:
        return config
    reading = data.loaders["train"].reads_ahead
    threads = devices.default_threads(beside_readers=reading)
    torch.set_num_threads(threads)
    train = config.train.model_copy(update={"threads": threads})
    return config.model_copy(update={"train": train})


def with_memory_format(config: Config, model: nn.Module, device: torch.device) -> tuple[Config, list[Finding]]:
    """Return the config with channels_last written down where the rule has built the model so, and that it has."""
    if config.train.memory_format is not None or memory_format(config, model, device) == "contiguous":
        return config, []
    train = config.train.model_copy(update={"memory_format": "channels_last"})
    message = "convolutions compute in channels_last: with pooling and activations alone between them it is faster here"
    fix = "train.memory_format: contiguous turns it off"
    return config.model_copy(update={"train": train}), [
        Finding("memory-format", "info", "train.memory_format", message, fix)
    ]


def with_precision(
    config: Config, data: Data, task: Any, state: State, device: torch.device
) -> tuple[Config, list[Finding]]:
    """Return the config with precision and memory format as trials chose them, where it leaves that open, and why."""
    if config.train.precision != "auto":
        return config, []
    _check_alone("train.precision", "name one: fp32 or bf16")
    batch = next(iter(data.loaders["train"].batches(0)))
    model = state.model
    chosen, why = precision.choose(model, lambda tried: task.loss(tried, batch), device)
    precision.compute_in(model, chosen)
    fix = "config.yaml holds the choice, which resume and reproduce use"
    findings = [Finding("precision", "info", "train.precision", f"auto chose {chosen}: {why}", fix)]
    train = config.train.model_copy(update={"precision": chosen})
    if train.memory_format is None and not isinstance(state.optimizer, torch.optim.LBFGS):  # which takes no other
        found, why = precision.choose_memory_format(model, lambda tried: task.loss(tried, batch), device)
        train = train.model_copy(update={"memory_format": found})
        message = f"precision: auto chose {found}: {why}"
        findings.append(Finding("memory-format", "info", "train.memory_format", message, fix))
    return config.model_copy(update={"train": train}), findings


def with_compile(
    config: Config, data: Data, task: Any, state: State, device: torch.device
) -> tuple[Config, list[Finding]]:
    """Return the config with whether to compile as a trial chose, where it leaves that open, and why."""
    if config.train.compile == "on":
        compiling.check_compiler(device)
    if config.train.compile != "auto":
        return config, []
    _check_alone("train.compile", "name one: on or off")
    train = data.loaders["train"]
    batch = next(iter(train.batches(0)))
    chosen, why = compiling.choose(
        state.model, lambda tried: task.loss(tried, batch), device, config.train.epochs * len(train)
    )
    message = f"auto chose {chosen}: {why}"
    found = Finding("compile", "info", "train.compile", message, "config.yaml holds the choice, which resume uses")
    return config.model_copy(update={"train": config.train.model_copy(update={"compile": chosen})}), [found]


def _check_alone(where: str, fix: str) -> None:
    if dist.world() > 1:
        message = "auto measures, and each of several processes might choose another"
        raise InputError(Finding("several-processes", "error", where, message, fix))
