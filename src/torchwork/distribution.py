"""``distributed.strategy``: what it goes with, and where a model is built that is to be shared out."""

from __future__ import annotations

from typing import Any

import torch

from torchwork import dist
from torchwork.config import Config
from torchwork.types import Finding, InputError

# They look at whole tensors, or at several evaluations of a step; or torch has not written them for parts of tensors.
_WHOLE = {
    "LBFGS": "it compares gradients and losses of several evaluations",
    "SparseAdam": "gradients of parts of tensors are dense",
    "Adafactor": "torch's works with whole matrices only",
    "Muon": "it makes whole matrices orthogonal",
    "Rprop": "torch's works with whole tensors only",
}
_NOT_FUSED = ("SGD", "Adagrad")


def is_sharded(config: Config) -> bool:
    """Whether several processes each hold a part of the model; ``auto`` is ``ddp``."""
    return config.distributed.strategy == "fsdp"


def check(config: Config) -> None:
    """Refuse what does not go with a model of which each process holds a part, whatever their number.

    Raises:
        InputError: with every mistake.
    """
    if not is_sharded(config):
        return
    findings = [
        _contradiction("optimizer.name", f"{spec['name']} does not go with distributed.strategy: fsdp: {why}")
        for spec in _optimizers(config)
        if (why := _WHOLE.get(spec["name"].split(":")[-1])) is not None
    ]
    for spec in _optimizers(config):
        if spec["name"] in _NOT_FUSED and spec.get("fused"):
            message = f"torch has no fused {spec['name']} for distributed.strategy: fsdp"
            findings.append(_contradiction("optimizer.fused", message, "take false"))
    if config.train.ema is not None:
        message = "the average is over a whole model, of which distributed.strategy: fsdp gives no process more than "
        findings.append(_contradiction("train.ema", message + "a part"))
    if config.train.precision == "fp16":
        message = "fp16 scales the loss by what overflowed in a whole model, which distributed.strategy: fsdp gives to "
        findings.append(_contradiction("train.precision", message + "no process", "take bf16, or strategy: ddp"))
    if config.train.compile != "off":
        message = "train.compile does not go with distributed.strategy: fsdp, whose hooks gather the weights"
        findings.append(_contradiction("train.compile", message))
    if config.distributed.find_unused_parameters:
        message = "distributed.strategy: fsdp waits for every module on every process: all must use the same ones"
        findings.append(_contradiction("distributed.find_unused_parameters", message))
    if findings:
        raise InputError(findings)


def _contradiction(where: str, message: str, fix: str = "remove it, or take distributed.strategy: ddp") -> Finding:
    return Finding("contradiction", "error", where, message, fix)


def adapted(config: Config) -> Any:
    """Return the optimizers of a config, none fused that torch has not fused for parts of tensors."""
    if not is_sharded(config):
        return config.optimizer
    specs = [{**spec, "fused": False} if spec["name"] in _NOT_FUSED else spec for spec in _optimizers(config)]
    return specs if isinstance(config.optimizer, list) else specs[0]


def home(config: Config, device: torch.device) -> torch.device:
    """Return where a model is built and tried: on the CPU where it is to be shared out, as no device may hold it."""
    return torch.device("cpu") if is_sharded(config) and dist.world() > 1 else device


def _optimizers(config: Config) -> list[dict[str, Any]]:
    return config.optimizer if isinstance(config.optimizer, list) else [config.optimizer]
