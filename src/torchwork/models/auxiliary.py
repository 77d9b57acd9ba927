"""Auxiliary heads: what they weigh in the loss, and which of a model's outputs they are."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel

# By the names of the model's types, of which ``fully_shard`` puts one in front, so that torchvision's own models, whose
# types have the same names, are known too.
_WEIGHTS = {"GoogLeNet": (0.3, 0.3), "Inception3": (0.4,)}


def weights(model: nn.Module) -> tuple[float, ...]:
    """Return the weights of the auxiliary losses in the order of the outputs after the first; () where there are none.

    In training the loss is ``loss(outputs[0]) + Σ weights[i] · loss(outputs[1 + i])``; in evaluation these models
    return the first output alone, as a tensor. The weights are those of the papers: 0.3 for each of GoogLeNet's two
    heads (section 5), 0.4 for Inception v3's one (of its authors' training code).

    >>> weights(nn.Linear(2, 2))
    ()
    """
    model = model.module if isinstance(model, DistributedDataParallel) else model
    known = (_WEIGHTS[kind.__name__] for kind in type(model).__mro__ if kind.__name__ in _WEIGHTS)
    return next(known, ()) if getattr(model, "aux_logits", False) else ()


def split(outputs: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a model's main output and its auxiliary ones.

    >>> split((1, 2, 3)), split(1)
    ((1, (2, 3)), (1, ()))
    """
    if not isinstance(outputs, tuple):
        return outputs, ()
    return outputs[0], tuple(output for output in outputs[1:] if output is not None)
