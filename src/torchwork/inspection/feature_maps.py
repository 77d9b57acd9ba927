"""What the convolutions of a model give for a sample."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchwork.inspection import thumbnails
from torchwork.inspection.calls import caught, is_convolution
from torchwork.inspection.guard import UnavailableError, untouched
from torchwork.inspection.kernels import MOST_LAYERS, spread
from torchwork.inspection.maps import small
from torchwork.inspection.subject import Subject

MOST_CHANNELS = 16


def feature_maps(subject: Subject) -> dict[str, Any]:
    """Return what convolutions give for one sample, the one that came out best.

    Returns:
        ``file``, an npz with ``picture`` uint8 [H, W, 3] and for each layer float32 [C, h, w], the first 16 channels;
        ``sample`` as `Subject.told` tells of it, and ``layers`` with ``layer``, ``shape`` [C, h, w] and ``key``, its
        name in the file.

    Raises:
        UnavailableError: no convolution over two axes was seen at work.
    """
    found = [call for call in subject.calls if is_convolution(call.module) and call.shape and len(call.shape) == 4]
    if not found:
        raise UnavailableError("the model has no convolution over two axes")
    found = [call for call in found if call.shape and call.shape[2] * call.shape[3] > 1] or found
    judged = subject.judged
    place = int(judged.best(1)[0])
    inputs = subject.batch(judged.ids[[place]]).inputs
    flip = subject.source.schema.inputs == "audio"
    arrays, layers = {}, []
    for number in spread(len(found), MOST_LAYERS):
        with untouched(subject.model), torch.no_grad(), caught(found[number]) as given:
            subject.model(inputs)
        kept = small(given[0][:1, :MOST_CHANNELS])
        key = f"layer{number}"
        arrays[key] = (kept.flip(2) if flip else kept)[0].float().cpu().numpy()
        layers.append({"layer": found[number].name, "shape": list(given[0].shape[1:]), "key": key})
    x = small(inputs)[0] if isinstance(inputs, Tensor) and inputs.dim() == 4 else None
    if x is not None:
        arrays["picture"] = thumbnails.pixels(x.flip(1) if flip else x)
    file, sample = subject.keep("feature-maps", arrays), subject.told(place)
    return {"file": file, "split": judged.split, "sample": sample, "layers": layers}
