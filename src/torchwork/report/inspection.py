"""The page about a data set: what an audit found, as one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torchwork.report import names, tables
from torchwork.report.html import styles, template

_WIDTH, _HEIGHT = 240, 56
_KINDS = {"image": "image", "text": "text", "audio": "sound", "table": "row", "array": "sample"}
_SEVERITIES = {"error": ("error", "errors"), "warning": ("warning", "warnings"), "info": ("note", "notes")}
# So many classes are shown at once; more can be unfolded, up to the most rows of a table.
_OPEN = 24


def render(facts: Mapping[str, Any], name: str) -> str:
    """Return the page as text. Everything that came from the data is escaped; the same facts give the same bytes.

    Args:
        facts: What an audit found, as plain values.
        name: What was looked at, for the title.
    """
    counts = facts["class_counts"]
    classes = list(dict.fromkeys(label for part in counts.values() for label in part))
    return template("inspect.html").render(
        css=styles("page.css", "inspect.css"),
        name=names.label(name, 120),
        facts=facts,
        kind=kind_of(facts["inputs"], facts["samples"]),
        severities=_SEVERITIES,
        summary=summary(facts["findings"]),
        splits=list(counts),
        classes=[(label, [part.get(label, 0) for part in counts.values()]) for label in classes[: tables.MOST_ROWS]],
        largest=max((count for part in counts.values() for count in part.values()), default=1) or 1,
        num_classes=len(classes),
        open_classes=len(classes) <= _OPEN,
        bars=bars,
        outline=outline,
        width=_WIDTH,
        height=_HEIGHT,
    )


def kind_of(inputs: str, count: int) -> str:
    """Return what samples of a kind are called.

    >>> kind_of("audio", 3), kind_of("table", 1)
    ('sounds', 'row')
    """
    return _KINDS[inputs] + ("" if count == 1 else "s")


def summary(findings: Sequence[Mapping[str, Any]]) -> str:
    """Return how many findings there are of each severity, in words.

    >>> summary([{"severity": "error"}, {"severity": "info"}]), summary([])
    ('1 error, 1 note', 'nothing')
    """
    counted = Counter(finding["severity"] for finding in findings)
    said = [
        f"{counted[severity]} {words[counted[severity] > 1]}"
        for severity, words in _SEVERITIES.items()
        if counted[severity]
    ]
    return ", ".join(said) or "nothing"


def bars(counts: Sequence[int]) -> str:
    """Return the path of a histogram, in a box of 240 × 56.

    >>> bars([1, 2])
    'M0.0 56.0V28.0H119.0V56.0ZM120.0 56.0V0.0H239.0V56.0Z'
    """
    most, step, boxes = max([*counts, 1]), _WIDTH / max(len(counts), 1), []
    for place, count in enumerate(counts):
        if count:
            left, right, top = place * step, (place + 1) * step - 1, _HEIGHT * (1 - count / most)
            boxes.append(f"M{left:.1f} {_HEIGHT:.1f}V{top:.1f}H{right:.1f}V{_HEIGHT:.1f}Z")
    return "".join(boxes)


def outline(wave: Sequence[float]) -> str:
    """Return the path of a sound's loudness over time, above and below a middle line, in a box of 240 × 56.

    >>> outline([0.0, 1.0])
    'M0.0 28.0L240.0 0.0L240.0 56.0L0.0 28.0Z'
    """
    step, middle = _WIDTH / max(len(wave) - 1, 1), _HEIGHT / 2
    above = [(place * step, middle * (1 - loud)) for place, loud in enumerate(wave)]
    below = [(x, _HEIGHT - y) for x, y in reversed(above)]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in [*above, *below]) + "Z"
