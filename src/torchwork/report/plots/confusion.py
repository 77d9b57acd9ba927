"""The confusion matrix: how often each class was taken for each other one."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from torchwork.report.names import inches, labels
from torchwork.report.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES = 100
_RATES_UP_TO = 12
_COUNTS_UP_TO = 30


def counts(targets: Sequence[Any], predictions: Sequence[Any], classes: Sequence[Any]) -> np.ndarray:
    """Return int64 [K, K]: how many samples of class ``row`` were predicted as class ``column``.

    Samples whose target or prediction is none of the classes are left out.

    >>> counts(["a", "a", "b"], ["a", "b", "b"], ["a", "b"]).tolist()
    [[1, 1], [0, 1]]
    """
    index = {name: number for number, name in enumerate(classes)}
    pairs = [
        (index[target], index[prediction])
        for target, prediction in zip(targets, predictions, strict=True)
        if target in index and prediction in index
    ]
    matrix = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(matrix, tuple(np.array(pairs, np.int64).reshape(-1, 2).T), 1)
    return matrix


def confusion_matrix(
    targets: Sequence[Any], predictions: Sequence[Any], classes: Sequence[Any], *, cluster: bool | None = None
) -> Figure:
    """Draw counts and, where they fit, the share of its row that each cell holds.

    Args:
        targets: The true class of each of N samples.
        predictions: The predicted class of each of N samples.
        classes: The K class names, in the order in which they are drawn; class numbers will do as well.
        cluster: Put classes that are taken for each other side by side, whatever their order; by default where there
            are more than 30, which nobody reads one by one.

    The colour's strength is the square root of the share of the row, blue where prediction and target agree and
    vermillion where they do not, so that a few mistakes show among many right answers. Up to 12 classes every cell
    says count and share, up to 30 the count, beyond that colour alone. Of more than 100 classes 100 are drawn: those of
    the pairs that are taken for each other most often, and the title says so and how many samples are of, or were taken
    for, another. It also says how many have a true or predicted class that is none of the classes. Clusters are
    joined by their average share of confusion, with the leaves in the order that puts the most alike side by side
    (Bar-Joseph and others, 2001, by scipy).

    >>> figure = confusion_matrix(["cat", "cat", "dog"], ["cat", "dog", "dog"], ["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1\\n50%', '1\\n50%', '0', '1\\n100%']
    """
    shown = _shown(targets, predictions, classes)
    if not shown:
        return style.nothing(["There is no confusion matrix: there are no classes."])
    if not len(targets):
        return style.nothing(["There is no confusion matrix: there are no samples."])
    said = []
    if len(shown) < len(classes):
        said.append(f"the {len(shown)} of {len(classes):,} classes that are confused most")
    if cluster or (cluster is None and len(shown) > _COUNTS_UP_TO):
        shown = _clustered(shown, _rates(targets, counts(targets, predictions, shown), shown))
        said.append("classes taken for each other side by side")
    matrix = counts(targets, predictions, shown)
    said += _outside(targets, predictions, classes, int(matrix.sum()))
    rates = _rates(targets, matrix, shown)
    num = max(len(shown), 1)
    points = 8.0 if num <= _RATES_UP_TO else 6.5 if num <= _COUNTS_UP_TO else 5.0
    named = labels(shown, 24 if num <= _RATES_UP_TO else 16)
    names = [named[name] for name in shown]
    with style.applied():
        texts = _texts(matrix, rates) if num <= _COUNTS_UP_TO else {}
        widest = max((inches(text.split("\n")[0], points) for text in texts.values()), default=0.0)
        if num <= _RATES_UP_TO:
            widest = max(widest, inches("100%", points))
        figure, axes = _canvas(names, num, points, cell=widest + 0.03, lines=len(_title(said)))
        axes.imshow(_colours(rates), interpolation="none", aspect="equal", extent=(-0.5, num - 0.5, num - 0.5, -0.5))
        _label(axes, names, points)
        for (row, column), text in texts.items():
            rate, count = rates[row, column], matrix[row, column]
            colour = style.WHITE if rate > 0.6 else style.INK if count else style.MUTED
            axes.text(column, row, text, ha="center", va="center", fontsize=points - 0.5, color=colour, linespacing=1.1)
        if said:
            axes.set_title("\n".join(_title(said)))
    return figure


def _title(said: Sequence[str]) -> list[str]:
    return textwrap.wrap(", ".join(said), 52)


def _outside(targets: Sequence[Any], predictions: Sequence[Any], classes: Sequence[Any], drawn: int) -> list[str]:
    """Return in words how many samples have no cell."""
    known = set(classes)
    unknown = sum(not known.issuperset(pair) for pair in zip(targets, predictions, strict=True))
    elsewhere = len(targets) - drawn - unknown
    said = [f"{elsewhere:,} of {len(targets):,} samples are outside"] if elsewhere else []
    if unknown:
        said.append(f"{unknown:,} of {len(targets):,} samples left out: true or predicted class not among these")
    return said


def _rates(targets: Sequence[Any], matrix: np.ndarray, shown: Sequence[Any]) -> np.ndarray:
    of_class = Counter(targets)  # with those predicted as a class that is not drawn
    totals = np.array([[of_class[name]] for name in shown], np.int64).reshape(-1, 1)
    return np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)


def _clustered(shown: list[Any], rates: np.ndarray) -> list[Any]:
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    mistakes = np.where(np.eye(len(rates), dtype=bool), 0, rates + rates.T)
    if len(shown) < 3 or not mistakes.any():
        return shown
    apart = squareform(2 - mistakes, checks=False)
    return [shown[place] for place in hierarchy.leaves_list(hierarchy.linkage(apart, "average", optimal_ordering=True))]


def _shown(targets: Sequence[Any], predictions: Sequence[Any], classes: Sequence[Any]) -> list[Any]:
    """Return the classes to draw: both of each pair, the most often confused ones first, then the most frequent."""
    if len(classes) <= MOST_CLASSES:
        return list(classes)
    place = {name: number for number, name in enumerate(classes)}
    of_class, pairs = Counter(targets), Counter[tuple[int, int]]()
    for target, prediction in zip(targets, predictions, strict=True):
        if target != prediction and target in place and prediction in place:
            one, other = sorted((place[target], place[prediction]))
            pairs[one, other] += 1
    chosen: set[int] = set()
    for pair, _ in pairs.most_common():
        if len(chosen) + sum(number not in chosen for number in pair) <= MOST_CLASSES:
            chosen.update(pair)
    for number in sorted(range(len(classes)), key=lambda number: -of_class[classes[number]]):
        if len(chosen) < MOST_CLASSES:
            chosen.add(number)
    return [classes[number] for number in sorted(chosen)]


def _canvas(names: list[str], num: int, points: float, *, cell: float, lines: int) -> tuple[Figure, Axes]:
    """Lay the figure out by hand: the width of names in scripts that matplotlib's font lacks is not known to it."""
    name_inches = max((inches(name, points) for name in names), default=0.3)
    left, right, top = name_inches + 0.45, 0.1, 0.2 + 0.15 * lines if lines else 0.1
    below = (name_inches if _turned(names, num, points) else 0.2) + 0.3
    side = max(style.WIDTH - left - right, num * points * 1.5 / 72, num * cell, 2.2)
    width, height = left + side + right, below + side + top
    figure = Figure(figsize=(width, height))
    return figure, figure.add_axes((left / width, below / height, side / width, side / height))


def _turned(names: list[str], num: int, points: float) -> bool:
    cell = max(style.WIDTH - 1.2, 2.2) / num
    return any(inches(name, points) > cell * 0.95 for name in names)


def _colours(rates: np.ndarray) -> np.ndarray:
    """Return RGBA [K, K, 4] whose transparency is the share of the row, so that the page shows through."""
    image = np.empty((*rates.shape, 4))
    image[..., :3] = to_rgb(style.VERMILLION)
    image[np.eye(len(rates), dtype=bool), :3] = to_rgb(style.BLUE)
    image[..., 3] = np.sqrt(rates)
    return image


def _label(axes: Axes, names: list[str], points: float) -> None:
    places = np.arange(len(names))
    turned = _turned(names, max(len(names), 1), points)
    axes.set_xticks(places, names, rotation=90 if turned else 0, fontsize=points)
    axes.set_yticks(places, names, fontsize=points)
    style.plain([*axes.get_xticklabels(), *axes.get_yticklabels()])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    if len(names) <= _COUNTS_UP_TO:
        axes.set_xticks(places[:-1] + 0.5, minor=True)
        axes.set_yticks(places[:-1] + 0.5, minor=True)
        axes.grid(which="minor")
        axes.tick_params(which="minor", length=0)
    axes.spines[["top", "right"]].set_visible(True)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")


def _texts(matrix: np.ndarray, rates: np.ndarray) -> dict[tuple[int, ...], str]:
    """Return what stands in each cell; among many classes zeros would hide the rest."""
    few = len(matrix) <= _RATES_UP_TO
    return {
        cell: f"{count:,}\n{rates[cell]:.0%}" if few and count else f"{count:,}"
        for cell, count in np.ndenumerate(matrix)
        if few or count
    }
