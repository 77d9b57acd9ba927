"""What is drawn of the training: curves over the epochs."""

from __future__ import annotations

from collections.abc import Iterator

from torchwork.report.drawn.drawing import Drawing, saved
from torchwork.report.facts import Facts
from torchwork.report.plots.history import curves


def drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the plots of the training."""
    if len(facts.history.get("epoch", ())):
        figure = curves(facts.history, best=facts.best_epoch)
        caption = (
            "The training loss is the mean over the epoch's batches, with dropout and augmentation, while the weights "
            "move; the validation values are taken after the epoch. The dashed line marks the epoch whose weights were "
            "kept."
        )
        yield saved(facts, "curves", "Training", caption, figure)
