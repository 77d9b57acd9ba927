"""Clipping is torch's own on dense gradients, and does to sparse ones what it would do to them made dense."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchwork.optim.clip import clip_grad_norm, grad_norm


def parameters(*gradients: Tensor | None) -> list[Tensor]:
    made = []
    for gradient in gradients:
        shape = (3,) if gradient is None else gradient.shape
        parameter = torch.zeros(shape, dtype=torch.float64 if gradient is None else gradient.dtype, requires_grad=True)
        parameter.grad = None if gradient is None else gradient.clone()
        made.append(parameter)
    return made


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.floats(0.01, 100), st.booleans())
def test_dense_gradients_are_clipped_bit_for_bit_as_by_torch(sizes, max_norm, double):
    generator = torch.Generator().manual_seed(len(sizes))
    dtype = torch.float64 if double else torch.float32
    gradients = [torch.randn(size, generator=generator, dtype=dtype) for size in sizes]
    ours, theirs = parameters(*gradients, None), parameters(*gradients, None)
    norm = grad_norm(ours)
    assert torch.equal(clip_grad_norm(iter(ours), max_norm), torch.nn.utils.clip_grad_norm_(theirs, max_norm))
    assert torch.equal(norm, torch.nn.utils.get_total_norm(gradients))
    for a, b in zip(ours[:-1], theirs[:-1], strict=True):
        assert torch.equal(a.grad, b.grad)


def strewn() -> Tensor:
    """Row 1 stands twice: 3 and 4 are one gradient of 7."""
    return torch.sparse_coo_tensor(
        torch.tensor([[1, 1, 3]]), torch.tensor([[3.0, 0.0], [4.0, 0.0], [0.0, 24.0]]), (5, 2), check_invariants=True
    )


def test_torch_itself_cannot_clip_uncoalesced_gradients():
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.nn.utils.clip_grad_norm_(parameters(strewn()), 1.0)


def test_sparse_gradients_are_coalesced_first():
    [only] = held = parameters(strewn())
    assert grad_norm(held).item() == 25.0
    assert clip_grad_norm(held, 2.5).item() == 25.0
    assert only.grad.is_sparse
    assert only.grad.is_coalesced()
    torch.testing.assert_close(only.grad.to_dense(), strewn().to_dense() * 0.1)


def test_sparse_beside_dense_is_clipped_as_all_dense_would_be():
    dense = torch.tensor([60.0, 0.0])
    ours, theirs = parameters(strewn(), dense), parameters(strewn().to_dense(), dense)
    assert clip_grad_norm(ours, 13.0).item() == torch.nn.utils.clip_grad_norm_(theirs, 13.0).item() == 65.0
    torch.testing.assert_close(ours[0].grad.to_dense(), theirs[0].grad)
    torch.testing.assert_close(ours[1].grad, theirs[1].grad)


def test_gradients_below_the_limit_stay_as_they_are():
    held = parameters(strewn())
    clip_grad_norm(held, 100.0)
    assert torch.equal(held[0].grad.to_dense(), strewn().to_dense())


def test_no_gradients_have_the_norm_zero():
    assert grad_norm(parameters(None)).item() == 0.0
    assert clip_grad_norm(parameters(None), 1.0).item() == 0.0


def test_a_norm_that_is_not_finite_is_returned_as_it_is():
    assert math.isinf(clip_grad_norm(parameters(torch.tensor([math.inf])), 1.0).item())
