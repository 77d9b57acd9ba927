"""The one number of a prediction that can be traced back to the inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchwork.tasks.binary import Binary
from torchwork.tasks.classification import Classification
from torchwork.tasks.multilabel import Multilabel
from torchwork.tasks.ranking import Ranking
from torchwork.tasks.regression import Regression
from torchwork.tasks.sequence import Sequence


def explained(task: Any, outputs: Tensor) -> Tensor | None:
    """Return for each sample the number that its prediction rests on, [B]; None where there is no one number.

    Of classes it is the output of the predicted one (of two classes with one output that output, turned round where it
    speaks for the first), of labels that of the likeliest, of numbers the first, of an order the score, and of a
    sequence the sum of the likeliest symbols' log-probabilities over the steps. It is the model's output as it is: a
    score before softmax where the loss takes such. Vectors that are compared have none.
    """
    if isinstance(task, Binary):
        sides = torch.where(task.probabilities(outputs.detach())[:, 1] >= 0.5, 1.0, -1.0)
        return outputs.reshape(len(outputs), -1)[:, 0] * sides.to(outputs)
    if isinstance(task, Classification | Multilabel):
        return outputs.flatten(1).amax(1)
    if isinstance(task, Regression | Ranking):
        return outputs.reshape(len(outputs), -1)[:, 0]
    if isinstance(task, Sequence):
        return outputs.amax(2).sum(1)
    if outputs.numel() == len(outputs):  # a loss of the user's own, and a number for it
        return outputs.reshape(-1)
    return None


def said(task: Any) -> str:
    """Return in words what ``explained`` gives for a task's predictions.

    >>> said(None)
    "the model's output"
    """
    if isinstance(task, Binary | Classification):
        return "the output of the predicted class"
    if isinstance(task, Multilabel):
        return "the output of the likeliest label"
    if isinstance(task, Regression) and len(task.target_names) > 1:
        return f"the prediction of {task.target_names[0]}"
    if isinstance(task, Regression):
        return "the prediction"
    if isinstance(task, Ranking):
        return "the score"
    if isinstance(task, Sequence):
        return "the likeliest symbols of all steps"
    return "the model's output"
