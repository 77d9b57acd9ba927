"""Where a prediction comes from: Grad-CAM and input gradients of a few samples, of texts token by token."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchwork.data.pipelines.texts import Texts
from torchwork.data.tokens import FIRST
from torchwork.inspection import thumbnails
from torchwork.inspection.attribution import Score, grad_cam, input_gradient, token_gradient
from torchwork.inspection.guard import UnavailableError
from torchwork.inspection.subject import Subject
from torchwork.tasks import explained

_EACH = 3  # of the most wrong, and of those that came out best
LONGEST = 128  # pixels of a map's longer side
_STEPS, _CHANNELS = 512, 4  # of a signal
_MOST_TOKENS = 50


def maps(subject: Subject) -> dict[str, Any]:
    """Return Grad-CAM and the input gradient of the most wrong and the best pictures, sounds, signals or volumes.

    Returns:
        ``file``, an npz with ``picture`` uint8 [N, H, W, 3], ``gradient`` float32 [N, H, W] (the greatest absolute one
        of the channels) and where there is one ``cam`` float32 [N, h, w], of signals and volumes as `pictured` has
        them; ``layer`` of Grad-CAM, or ``no_cam``, why there is none; ``score``, what was traced back; and ``samples``
        as `Subject.told` tells of them. Those of texts have ``tokens``, pairs of a token and how far it carries the
        score, and there is no file.

    Raises:
        UnavailableError: the samples are neither, or the model cannot be traced back.
    """
    judged = subject.judged
    each = min(_EACH, subject.at_most(2 * _EACH, passes=6) // 2)
    places = list(dict.fromkeys([*judged.worst(each).tolist(), *judged.best(each).tolist()]))
    inputs: Any = subject.batch(judged.ids[places]).inputs
    samples = [subject.told(place) for place in places]
    about = {"split": judged.split, "n": len(judged.ids), "score": explained.said(subject.task)}
    if isinstance(subject.pipeline.way, Texts):
        weights = token_gradient(subject.model, inputs, subject.score).cpu()
        for sample, tokens, row in zip(samples, inputs.cpu(), weights, strict=True):
            sample["tokens"] = with_words(subject.pipeline.way, tokens, row)
        return {**about, "samples": samples}
    sounds = subject.source.schema.inputs == "audio"
    arrays, told = pictured(subject.model, inputs, subject.score, sounds=sounds)
    return {"file": subject.keep("maps", arrays), **about, **told, "samples": samples}


def pictured(
    model: nn.Module, inputs: Any, score: Score, *, sounds: bool
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays ``picture``, ``gradient`` and perhaps ``cam`` of samples, and what there is to say of them.

    ``sounds`` are turned over, so that low tones are below. Signals [B, C, T] have ``signal`` float32 [B, c, t] in the
    picture's place, and gradients and Grad-CAM of one axis; of volumes [B, C, D, H, W] the slice is taken where the
    score depends on most, and ``slices`` says which of how many.

    Raises:
        UnavailableError: the samples are none of these, or the model cannot be traced back.
    """
    if not isinstance(inputs, Tensor) or inputs.dim() not in (3, 4, 5):
        raise UnavailableError("the samples are no pictures, signals or volumes")
    gradient = input_gradient(model, inputs, score).abs().amax(1)
    told: dict[str, Any] = {}
    try:
        found = grad_cam(model, inputs, score)
        cam, told["layer"] = found.values, found.layer
    except UnavailableError as error:
        cam, told["no_cam"] = None, str(error)
    if inputs.dim() == 5:
        inputs, gradient, cam, told["slices"] = _sliced(inputs, gradient, cam)
    arrays = _signals(inputs, gradient) if inputs.dim() == 3 else _pictures(inputs, gradient, sounds=sounds)
    if cam is not None:
        arrays["cam"] = (cam.flip(1) if sounds and cam.dim() == 3 else cam).float().cpu().numpy()
    return arrays, told


def _pictures(inputs: Tensor, gradient: Tensor, *, sounds: bool) -> dict[str, np.ndarray]:
    gradient, x = small(gradient[:, None])[:, 0], small(inputs)
    if sounds:
        gradient, x = gradient.flip(1), x.flip(2)
    return {
        "picture": np.stack([thumbnails.pixels(sample) for sample in x]),
        "gradient": gradient.float().cpu().numpy(),
    }


def _signals(inputs: Tensor, gradient: Tensor) -> dict[str, np.ndarray]:
    """Return the first channels of signals and the gradient, averaged down to at most 512 steps."""
    factor = -(-inputs.shape[2] // _STEPS)
    x, g = (F.avg_pool1d(part.float(), factor, ceil_mode=True) for part in (inputs[:, :_CHANNELS], gradient[:, None]))
    return {"signal": x.cpu().numpy(), "gradient": g[:, 0].cpu().numpy()}


def _sliced(
    inputs: Tensor, gradient: Tensor, cam: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, list[list[int]]]:
    """Return of each volume the slice along its first axis in which the gradients are largest, and which that is."""
    depth, rows = inputs.shape[2], torch.arange(len(inputs), device=inputs.device)
    best = gradient.sum((2, 3)).argmax(1)
    if cam is not None:
        cam = cam[rows, best * cam.shape[1] // depth]
    return inputs[rows, :, best], gradient[rows, best], cam, [[place + 1, depth] for place in best.tolist()]


def with_words(way: Texts, tokens: Tensor, weights: Tensor) -> list[list[Any]]:
    """Return the tokens of a text, padding left out, each with its weight; the first of many."""
    step = way.tokenize
    found: list[list[Any]] = []
    for number, weight in zip(tokens.tolist(), weights.tolist(), strict=True):
        if not number:
            continue
        if number < FIRST:
            word = "(unknown)"
        elif step.unit == "bytes":
            word = bytes([number - FIRST]).decode("latin-1")
        else:
            word = step.vocabulary[number - FIRST]
        found.append([word, weight])
    return found[:_MOST_TOKENS]


def small(x: Tensor) -> Tensor:
    """Return maps [B, C, H, W] averaged down until the longer side has at most 128 places."""
    longest = max(x.shape[2:])
    factor = -(-longest // LONGEST)
    return x if factor == 1 else F.avg_pool2d(x.float(), factor, ceil_mode=True)
