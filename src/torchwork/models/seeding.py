"""Draws from the global generators, as torch's constructors make them, that nothing outside can notice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(value: int) -> Iterator[None]:
    """Seed the global generators of the processor (``random``, numpy, torch) and put them back afterwards.

    >>> with seeded(3):
    ...     first = torch.rand(2)
    >>> with seeded(3):
    ...     bool((torch.rand(2) == first).all())
    True
    """
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(value)
        np.random.seed(value)
        torch.default_generator.manual_seed(value)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
