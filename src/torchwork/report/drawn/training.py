"""What is drawn of the training: curves over the epochs, gradients and updates by layer."""

from __future__ import annotations

from collections.abc import Iterator

from torchwork.report.drawn.drawing import Drawing, saved
from torchwork.report.facts import Facts
from torchwork.report.plots.by_layer import layers
from torchwork.report.plots.history import curves


def drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the curves of the training."""
    if len(facts.history.get("epoch", ())):
        figure = curves(facts.history, best=facts.best_epoch)
        caption = (
            "The values of train are those of the epoch's batches as they were trained on, with dropout and "
            "augmentation, while the weights move, so that they may lie below those of val; these are taken after the "
            "epoch. The dashed line marks the epoch whose weights were kept."
        )
        yield saved(facts, "curves", "Curves over the epochs", caption + _whose_rate(facts), figure)


def _whose_rate(facts: Facts) -> str:
    optimizer = facts.config.get("optimizer")
    several = isinstance(optimizer, list) or bool(isinstance(optimizer, dict) and optimizer.get("groups"))
    return " The learning rate is that of the first group of parameters in the config." if several else ""


def layer_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the gradients and updates by layer."""
    if facts.layers:
        caption = (
            "Measured at the last step of each epoch: how strong the gradient of each layer was, after clipping where "
            "that is on, and how far the step moved the layer's weights, as a share of their own size. Gradients that "
            "fade towards the first layers, or an update ratio far from the marked 0.001, hint at a learning rate or "
            "an initialisation to look at: much larger and training shakes, much smaller and the layer hardly learns. "
            "Frozen layers are not shown; a gap is a step without a gradient."
        )
        yield saved(facts, "layers", "Gradients and updates by layer", caption, layers(facts.layers))
