"""What is drawn of the predictions: confusion matrix, predicted against true, errors."""

from __future__ import annotations

from collections.abc import Iterator

from torchwork.report import tables
from torchwork.report.drawn.drawing import Drawing, saved
from torchwork.report.facts import Facts
from torchwork.report.plots.confusion import confusion_matrix
from torchwork.report.plots.errors import error_quantiles
from torchwork.report.plots.residuals import predicted_against_true, score_against_true


def drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the predictions of the split that is shown against the truth."""
    shown = facts.shown
    task = facts.data.get("task")
    if shown is not None and shown.names and task == "ranking":
        figure = score_against_true(shown.target, shown.prediction)
        caption = (
            f"Each point is one of the {len(shown):,} {shown.split} samples. Only the order of the scores was learned, "
            "not their scale: the more steadily they rise with the true value, the better."
        )
        yield saved(facts, f"score_against_true-{shown.split}", "Score against true", caption, figure)
    elif shown is not None and shown.names:
        figure = predicted_against_true(shown.target, shown.prediction, names=shown.names)
        caption = f"Each point is one of the {len(shown):,} {shown.split} samples. On the line the prediction is right."
        yield saved(facts, f"predicted_against_true-{shown.split}", "Predicted against true", caption, figure)
        figure = error_quantiles(shown.target, shown.prediction, names=shown.names)
        caption = (
            f"Above, how often each error occurs among the {len(shown):,} {shown.split} samples: a mean away from 0 is "
            "a bias. Below, for each size of error the share of samples that are off by no more."
        )
        yield saved(facts, f"error_quantiles-{shown.split}", "Sizes of the errors", caption, figure)
    elif shown is not None:
        figure = confusion_matrix(shown.target, shown.prediction, tables.classes(facts, shown))
        nearest = ", the class of the nearest other sample" if task == "embedding" else ""
        caption = (
            f"The {len(shown):,} {shown.split} samples: each row is a true class, each column what it was taken for"
            f"{nearest}, and a share is that of its row. The stronger a colour, the larger the share; "
            "blue is right, orange wrong."
        )
        yield saved(facts, f"confusion_matrix-{shown.split}", "Confusion matrix", caption, figure)
