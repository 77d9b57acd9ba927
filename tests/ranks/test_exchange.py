"""Which models' gradients go in one message, and that they are the sums over all processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ranks import cases
from torchwork import dist
from torchwork.training import exchange, parallel

CPU = torch.device("cpu")


class Counting(nn.Module):
    """Has a buffer that a step may need."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.register_buffer("seen", torch.zeros(1))


def of_two_formats():
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())


def large():
    return nn.Linear(exchange.LARGEST // 4, 1, bias=False, device="meta").to_empty(device="cpu")


MODELS = {
    "layers": (lambda: nn.Linear(2, 2), True),
    "batch norm, whose statistics a step does not need": (lambda: nn.BatchNorm1d(2), True),
    "other buffers": (Counting, False),
    "two formats": (of_two_formats, False),
    "sparse gradients": (lambda: nn.Embedding(3, 2, sparse=True), False),
    "nothing to be trained": (lambda: nn.Linear(2, 2).requires_grad_(False), False),
    "as large as can be": (large, True),
    "one number more": (lambda: nn.Sequential(large(), nn.Linear(1, 1, bias=False)), False),
}


def suits(name):
    return exchange.suits(MODELS[name][0](), CPU)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_suits_where_its_gradients_are_all_that_a_step_needs(together, name):
    assert together(2)(suits, name) == [MODELS[name][1]] * 2
    assert not suits(name)  # of one process alone there is nothing to be sent


def engine(strategy):
    data = cases.Case()
    loader, _, task, _ = cases._data(data)
    model = cases.model_of("mlp").double()
    ranks = parallel.replicated(model, task, next(loader.batches(0)), CPU, strategy=strategy)
    return type(ranks.net).__name__


def test_auto_leaves_torchs_engine_out_and_ddp_asks_for_it(together):
    assert together(2)(engine, "auto") == ["Sequential"] * 2
    assert together(2)(engine, "ddp") == ["DistributedDataParallel"] * 2


def gradients(world, seed):
    """Exchange random gradients of parameters of many layouts, some of them missing; return all processes' and sums."""
    rank, generator = dist.rank(), np.random.default_rng([seed, world])
    shapes = [(3, 2, 4, 5), (7,), (), (2, 3), (0, 3), (5, 1)]
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in shapes]
    parameters[0].data = parameters[0].data.to(memory_format=torch.channels_last)
    parameters[3].data = torch.zeros(1, 3).expand(2, 3)
    model = nn.Module()
    for place, parameter in enumerate(parameters):
        model.register_parameter(str(place), parameter)
    message = exchange.Exchange(model)
    found = []
    for _ in range(3):
        given = [
            [torch.tensor(generator.standard_normal(shape), dtype=torch.float32) for shape in shapes]
            for _ in range(world)
        ]
        missing = generator.random((world, len(shapes))) < 0.4
        missing[:, 1] = True
        numbers = generator.standard_normal((world, 3))
        for place, parameter in enumerate(parameters):
            parameter.grad = None if missing[rank, place] else given[rank][place].clone()
        told = message(numbers[rank].tolist())
        wanted = []
        for place, shape in enumerate(shapes):
            parts = [torch.zeros(shape) if missing[other, place] else given[other][place] for other in range(world)]
            wanted.append(None if missing[:, place].all() else sum(parts[1:], parts[0]))
        sums = [sum(column[1:].tolist(), float(column[0])) for column in numbers.T]
        same = [
            found is None if expected is None else found is not None and torch.equal(found, expected)
            for found, expected in zip((p.grad for p in parameters), wanted, strict=True)
        ]
        found.append((all(same), told == sums))
    return found


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_gradients_are_summed_in_the_order_of_the_ranks_where_any_process_has_one(together, world, seed):
    for found in together(world)(gradients, world, seed):
        assert found == [(True, True)] * 3
