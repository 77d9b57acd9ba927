"""A step in a process that may take little more memory than it has: what the allocator says is its own."""

import math
import resource
from pathlib import Path

import numpy as np
import torch
from torch import nn

from torchwork.losses.criterion import Criterion
from torchwork.tasks.classification import Classification
from torchwork.training.loop import updates
from torchwork.training.state import State
from torchwork.types import Batch

WIDE, ROWS = 2_000, 2_048  # the output of a layer takes 16 MB


def train():
    """Make one step in too little memory and one in enough, and compare their gradients."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, WIDE), *[nn.Tanh() for _ in range(8)], nn.Linear(WIDE, 2)).train()
    batch = Batch(torch.randn(ROWS, 8), torch.randint(0, 2, (ROWS,)), np.arange(ROWS))
    task, told = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b")), []
    few = Batch(batch.inputs[:64], batch.target[:64], batch.ids[:64])
    state = State(model, torch.optim.SGD(model.parameters(), lr=0.0))
    list(updates(state, [[few]], task))  # whatever is loaded at the first step is loaded
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft = in_use + 5 * WIDE * ROWS * 4  # five of the nine layers' outputs
    resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))
    (step,) = updates(state, [[batch]], task, on_cut=lambda found: told.append(str(found)))
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    gradients = [p.grad.clone() for p in model.parameters()]
    (whole,) = updates(State(model, state.optimizer), [[batch]], task)
    assert len(told) == int(math.log2(state.progress.micro_batches)) >= 1, told
    assert abs(step.loss.item() - whole.loss.item()) < 1e-6 * abs(whole.loss.item())
    for p, gradient in zip(model.parameters(), gradients, strict=True):
        assert (p.grad - gradient).norm() <= 1e-6 * p.grad.norm()
