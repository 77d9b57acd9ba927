"""Predicted against true numbers, and what is left over; scores against what they should put in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchwork.report.names import label
from torchwork.report.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_OUTPUTS = 6
_POINTS_AS_SHAPES = 500


def predicted_against_true(target: Any, prediction: Any, *, names: Sequence[str] = ()) -> Figure:
    """Draw the prediction over the true value, and below it the residual (prediction − true) over the prediction.

    Args:
        target: The true numbers [N] or [N, k].
        prediction: The predicted numbers, of the same shape.
        names: What the k numbers are called.

    Pairs that are not finite are left out, and the title says how many. More than 500 points are drawn as one
    picture inside the SVG, which keeps it small. Of more than 6 outputs the first 6 are drawn.

    >>> figure = predicted_against_true([1.0, 2.0, 3.0], [1.1, 1.9, 3.0])
    >>> figure.axes[0].collections[0].get_offsets().tolist()
    [[1.0, 1.1], [2.0, 1.9], [3.0, 3.0]]
    """
    true = np.asarray(target, np.float64)
    predicted = np.asarray(prediction, np.float64)
    if true.shape != predicted.shape:
        raise ValueError(f"target has shape {true.shape} and prediction {predicted.shape}; they must be equal")
    if not true.size:
        return style.nothing(["There is nothing to draw: there are no samples."])
    true, predicted = true.reshape(len(true), -1), predicted.reshape(len(predicted), -1)
    num = min(true.shape[1], MOST_OUTPUTS)
    with style.applied():
        figure, panels = style.stacked([3.2, 1.3] * num, [0.6, 0.85] * (num - 1) + [0.6], left=0.85)
        for output in range(num):
            above, below = panels[2 * output : 2 * output + 2]
            finite = np.isfinite(true[:, output]) & np.isfinite(predicted[:, output])
            x, y = true[finite, output], predicted[finite, output]
            _against(above, x, y)
            _residuals(below, x, y)
            said = _title(names, output, num, int((~finite).sum()), true.shape[1] - num)
            style.plain([above.set_title(said)])
    return figure


def score_against_true(target: Any, prediction: Any) -> Figure:
    """Draw the score of each sample over its true value: two scales, so without a line on which they would be equal.

    Args:
        target: The true numbers, [N] or [N, 1].
        prediction: The scores, of the same shape.

    >>> score_against_true([10.0, 20.0], [-1.0, 1.0]).axes[0].get_ylabel()
    'score'
    """
    true, score = (np.asarray(values, np.float64).reshape(-1) for values in (target, prediction))
    if true.shape != score.shape:
        raise ValueError(f"target has {len(true)} numbers and prediction {len(score)}; they must be equal")
    with style.applied():
        figure, (axes,) = style.stacked([3.6], [], left=0.85)
        finite = np.isfinite(true) & np.isfinite(score)
        _points(axes, true[finite], score[finite])
        axes.set_xlabel("true")
        axes.set_ylabel("score")
        style.plain([axes.set_title(_title((), 0, 1, int((~finite).sum()), 0))])
    return figure


def _title(names: Sequence[str], output: int, num: int, not_finite: int, left_out: int) -> str:
    said = [label(names[output], 40) if output < len(names) else f"output {output}" if num > 1 else "all samples"]
    if not_finite:
        said.append(f"{not_finite:,} not finite, left out")
    if left_out and output == num - 1:
        said.append(f"{left_out} more outputs are not drawn")
    return "; ".join(said)


def _against(axes: Axes, true: np.ndarray, predicted: np.ndarray) -> None:
    _points(axes, true, predicted)
    if len(true):
        low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
        axes.plot([low, high], [low, high], color=style.VERMILLION, linewidth=1.2, label="equal")
        axes.legend(loc="upper left")
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")


def _residuals(axes: Axes, true: np.ndarray, predicted: np.ndarray) -> None:
    _points(axes, predicted, predicted - true)
    axes.axhline(0, color=style.VERMILLION, linewidth=1.2)
    axes.set_xlabel("predicted")
    axes.set_ylabel("predicted − true")


def _points(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    many = len(x) > _POINTS_AS_SHAPES
    axes.scatter(
        x,
        y,
        s=4 if many else 14,
        color=style.BLUE,
        alpha=max(0.1, min(0.65, 40 / max(len(x), 1) ** 0.5)),
        linewidths=0,
        rasterized=many,
    )
