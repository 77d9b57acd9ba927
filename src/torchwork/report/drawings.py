"""The plots of one run: drawn from its facts, saved as SVG files, and made into elements of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torchwork import durable, rundir
from torchwork.report import tables
from torchwork.report.facts import Facts
from torchwork.report.plots import svg
from torchwork.report.plots.confusion import confusion_matrix
from torchwork.report.plots.history import curves
from torchwork.report.plots.residuals import predicted_against_true, score_against_true

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDE_INCHES = 6.5


class Drawing(NamedTuple):
    """A plot on the page: its heading, what to see in it, the SVG element, and whether it needs the whole width."""

    title: str
    caption: str
    element: str
    wide: bool


def draw(facts: Facts) -> list[Drawing]:
    """Draw what the run holds, save each plot below ``plots/``, and return them for the page."""
    drawings = []
    if len(facts.history.get("epoch", ())):
        figure = curves(facts.history, best=facts.best_epoch)
        caption = (
            "The training loss is the mean over the epoch's batches, with dropout and augmentation, while the weights "
            "move; the validation values are taken after the epoch. The dashed line marks the epoch whose weights were "
            "kept."
        )
        drawings.append(_saved(facts, "curves", "Training", caption, figure))
    shown = facts.shown
    task = facts.data.get("task")
    if shown is not None and shown.names and task == "ranking":
        figure = score_against_true(shown.target, shown.prediction)
        caption = (
            f"Each point is one of the {len(shown):,} {shown.split} samples. Only the order of the scores was learned, "
            "not their scale: the more steadily they rise with the true value, the better."
        )
        drawings.append(_saved(facts, f"score_against_true-{shown.split}", "Score against true", caption, figure))
    elif shown is not None and shown.names:
        figure = predicted_against_true(shown.target, shown.prediction, names=shown.names)
        caption = f"Each point is one of the {len(shown):,} {shown.split} samples. On the line the prediction is right."
        drawings.append(
            _saved(facts, f"predicted_against_true-{shown.split}", "Predicted against true", caption, figure)
        )
    elif shown is not None:
        figure = confusion_matrix(shown.target, shown.prediction, tables.classes(facts, shown))
        nearest = ", the class of the nearest other sample" if task == "embedding" else ""
        caption = (
            f"The {len(shown):,} {shown.split} samples: each row is a true class, each column what it was taken for"
            f"{nearest}, and a share is that of its row. The stronger a colour, the larger the share; "
            "blue is right, orange wrong."
        )
        drawings.append(_saved(facts, f"confusion_matrix-{shown.split}", "Confusion matrix", caption, figure))
    return drawings


def _saved(facts: Facts, name: str, title: str, caption: str, figure: Figure) -> Drawing:
    document = svg.text(figure, name)
    folder = facts.directory / rundir.PLOTS
    folder.mkdir(exist_ok=True)
    durable.write_file(folder / f"{name}.svg", document)
    element = svg.inline(document, f"{title}. {caption}")
    return Drawing(title, caption, element, figure.get_figwidth() > _WIDE_INCHES)
