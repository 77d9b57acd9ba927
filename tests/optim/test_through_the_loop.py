"""Every optimizer through Torchwork's loop, stopped in the middle, takes the very path of a loop written by hand."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from tests.optim.networks import VARIANTS, Network, plain
from torch import nn
from torch.nn import functional as F

from torchwork.losses.criterion import Criterion
from torchwork.optim import OPTIMIZERS, state
from torchwork.optim.build import build
from torchwork.tasks.classification import Classification
from torchwork.training.loop import updates, windows
from torchwork.training.state import Progress, State
from torchwork.types import Batch

UPDATES, STOP = 20, 8
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "groups": {"groups": True},
    "accumulation": {"accumulate": 3},
    "clipping": {"clip": 0.3},
    "all together": {"groups": True, "accumulate": 2, "clip": 0.3},
}
TASK = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b", "c"))


def batches(model: Network, count: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(7)
    made = []
    for number in range(count):
        size = 3 + number % 4
        target = torch.randint(3, (size,), generator=generator)
        if model.sparse:
            inputs = torch.randint(9, (size, 3), generator=generator)
        else:
            inputs = torch.randn(size, 5, generator=generator)
        made.append(Batch(inputs, target, np.arange(size)))
    return made


def by_hand(
    model: Network,
    name: str,
    options: dict[str, Any],
    *,
    groups: bool = False,
    accumulate: int = 1,
    clip: float | None = None,
) -> list[float]:
    """What a user of plain torch writes; of a list of batches the sums over the number of all samples."""
    parameters: Any = model.parameters()
    if groups:
        lrs = {"first": 0.003, "last": 0.02}
        parameters = [{"params": list(getattr(model, layer).parameters()), "lr": lr} for layer, lr in lrs.items()]
    optimizer = plain(name, {**options, **({"lr": 0.02} if groups else {})}, parameters)
    data = batches(model, UPDATES * accumulate)
    losses = []
    for update in range(UPDATES):
        window = data[update * accumulate : (update + 1) * accumulate]
        total = sum(len(batch.target) for batch in window)

        def closure(window: list[Batch] = window, total: int = total) -> torch.Tensor:
            optimizer.zero_grad()
            parts = []
            for batch in window:
                if len(window) == 1:
                    loss = F.cross_entropy(model(batch.inputs), batch.target)
                else:
                    loss = F.cross_entropy(model(batch.inputs), batch.target, reduction="sum") / total
                loss.backward()
                parts.append(loss.detach())
            if clip is not None:
                for parameter in model.parameters():
                    if parameter.grad.is_sparse:
                        parameter.grad = parameter.grad.coalesce()
                if not model.sparse:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                else:
                    norms = [torch.linalg.vector_norm(p.grad.values()) for p in model.parameters()]
                    norm = torch.linalg.vector_norm(torch.stack(norms))
                    for parameter in model.parameters():
                        parameter.grad.values().mul_(torch.clamp(clip / (norm + 1e-6), max=1.0))
            return torch.stack(parts).sum() if len(parts) > 1 else parts[0]

        losses.append(float(optimizer.step(closure)))
    return losses


def through_torchwork(
    model: Network,
    name: str,
    options: dict[str, Any],
    *,
    groups: bool = False,
    accumulate: int = 1,
    clip: float | None = None,
) -> tuple[Network, list[float]]:
    """The same, stopped once and gone on with in fresh objects."""
    spec = {"name": name, **options}
    if groups:
        spec |= {"lr": 0.02, "groups": [{"match": "first.*", "lr": 0.003}]}
    data = list(windows(batches(model, UPDATES * accumulate), accumulate))
    first = State(model, build(spec, model))
    losses = [step.loss.item() for step in updates(first, data[:STOP], TASK, clip_norm=clip)]
    tensors, values = state.save(first.optimizer, model)
    resumed = copy.deepcopy(model)
    second = State(resumed, build(spec, resumed), progress=Progress(index=STOP))
    assert state.load(second.optimizer, resumed, tensors, values) == []
    losses += [step.loss.item() for step in updates(second, data[STOP:], TASK, clip_norm=clip)]
    return resumed, losses


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_the_trajectory_equals_a_loop_written_by_hand_bit_for_bit(name, way):
    options = VARIANTS[name][-1]
    how = dict(WAYS[way])
    if name == "LBFGS":
        how.pop("groups", None)  # it takes none
    theirs = Network(name, torch.float32)
    expected = by_hand(theirs, name, options, **how)
    ours, losses = through_torchwork(Network(name, torch.float32), name, options, **how)
    assert losses == expected
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
