"""Whether probabilities mean what they say: of what was predicted with 80%, is 80% right?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from torchwork.metrics.probabilities import calibration_error
from torchwork.report.names import label
from torchwork.report.plots import style
from torchwork.report.plots.decisions import decisions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_IN_A_BIN = 20
_Z = 1.959963984540054  # of a 95% interval
_BARS = 25


class Bin(NamedTuple):
    """``count`` samples with about the same probability: their mean ``probability`` and the share of ``right`` ones."""

    count: int  # type: ignore[assignment]
    probability: float
    right: float


def calibration(target: Any, scores: Any, classes: Sequence[Any] = (), *, bins: int = 15) -> Figure:
    """Draw how often predictions are right over the probability that they were made with, and how many there are.

    Args:
        target: The class of each of N samples, by name or place; or [N, K] of 0 and 1 where a sample may have several.
        scores: Probabilities [N, K]; or [N], of the second of two classes.
        classes: The K names.
        bins: At most so many, and no more than one for each 20 samples.

    Of more than two classes it is the probability of the predicted class, and whether it is the true one; of two
    classes, the probability of the second one, and whether the sample is of it; of labels, all N·K decisions. The bins
    hold equal counts, as equal widths would leave most of them empty; the bars are Wilson's 95% intervals. The title
    says the calibration error as `torchwork.metrics.probabilities.calibration_error` defines it: of the probability of
    the predicted class (of each label's), in 15 bins of equal width.

    >>> figure = calibration([0, 1] * 20, [0.25] * 40)
    >>> figure.axes[0].containers[0].lines[0].get_xydata().tolist()
    [[0.25, 0.5]]
    """
    found = decisions(target, scores, classes)
    notes = list(found.notes)
    scores, present = found.scores, found.present
    within = np.asarray(((scores >= 0) & (scores <= 1 + 1e-5)).all(1))
    if not within.all():
        notes.append(f"{(~within).sum():,} of {len(within):,} samples left out: not from 0 to 1, so no probabilities")
    scores, present = np.minimum(scores[within], 1.0), present[within]
    if not scores.size:
        return style.nothing(["There is no calibration to draw: there are no probabilities.", *notes])
    what, share = "probability of a label", "share that has the label"
    probability, right = scores.ravel(), present.ravel()
    if found.exclusive:
        rows, best = np.arange(len(scores)), scores.argmax(1)
        what, share = "probability of the predicted class", "share that is right"
        probability, right = scores[rows, best], present[rows, best]
    error = calibration_error(probability, right)
    if found.exclusive and len(found.names) == 2:
        probability, right = scores[:, 1], present[:, 1]
        what, share = f"probability of {label(found.names[1])}", f"share of {label(found.names[1])}"
    return _figure(equal_counts(probability, right, bins), error, probability, what, share, notes)


def equal_counts(probability: np.ndarray, right: np.ndarray, most: int) -> list[Bin]:
    """Return bins of equal counts, from the lowest probability to the highest; equal ones stay in one bin.

    >>> equal_counts(np.array([0.25, 0.75] * 20), np.array([False, True] * 20), 15)
    [Bin(count=20, probability=0.25, right=0.0), Bin(count=20, probability=0.75, right=1.0)]
    """
    num = int(np.clip(len(probability) // _IN_A_BIN, 1, most))
    inner = np.quantile(probability, np.arange(1, num) / num, method="inverted_cdf")
    place = np.searchsorted(np.unique(inner), probability)
    found = []
    for number in np.unique(place):
        held = place == number
        found.append(Bin(int(held.sum()), float(probability[held].mean()), float(right[held].mean())))
    return found


def _figure(bins: list[Bin], error: float, probability: np.ndarray, what: str, share: str, notes: list[str]) -> Figure:
    counts, means, rights = (np.array(column) for column in zip(*bins, strict=True))
    with style.applied():
        figure, (above, below) = style.stacked([3.0, 0.9], [0.15], above=0.5, notes=notes)
        below.sharex(above)
        above.tick_params(labelbottom=False)
        above.plot([0, 1], [0, 1], color=style.MUTED, linewidth=0.9, linestyle=(0, (2, 3)), label="as it should be")
        low, high = _wilson(rights, counts)
        spread = np.maximum([rights - low, high - rights], 0)
        above.errorbar(
            means, rights, spread, color=style.BLUE, marker="o", markersize=4, elinewidth=1, label="observed"
        )
        above.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.02))
        style.plain([above.set_ylabel(share), below.set_xlabel(what)])
        above.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, borderpad=0, borderaxespad=0.3)
        above.set_title(f"calibration error {error:.3f}", pad=22)
        below.hist(
            probability, list(np.linspace(0, 1, _BARS + 1)), color=style.BLUE, edgecolor=style.PAPER, linewidth=0.4
        )
        below.set_ylabel("samples")
        style.counted(below)
    return figure


def _wilson(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's 95% interval (1927) of shares."""
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return middle - half, middle + half
