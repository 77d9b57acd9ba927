"""docs/benchmarks.md: the table and the drawing that follow from the results, between two marks in a written page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.suite.jobs import ABSENT, JOBS, MANY, Claim
from benchmarks.suite.verdict import Verdict, disagreements, noise, verdicts

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
STARTERS = ("start", *MANY)  # jobs whose processes start others, of whose memory they know nothing
SCALES = {"µs": 1e6, "ms": 1e3, "s": 1.0, "": 1.0}


def read(folder: Path) -> dict[str, Any]:
    """Return the results of every job that has a file."""
    found = {}
    for name in JOBS:
        path = folder / f"{name}.json"
        if path.is_file():
            found[name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def table(judged: Sequence[Verdict]) -> list[str]:
    """Return the lines of a Markdown table: required against measured."""
    lines = ["| work | against | required | measured | 95% interval | blocks | |", "|---|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(_row(verdict))} |" for verdict in judged]
    return lines


def _row(verdict: Verdict) -> list[str]:
    claim = verdict.claim
    against = verdict.best or (claim.against[0] if claim.against else "—")
    required = f"{'≥' if claim.kind == 'ratio' else '≤'} {_shown(claim.bound, claim)}"
    if verdict.estimate is None:
        return [claim.work, against, required, verdict.missing.replace("|", "/"), "", "", ""]
    found, low, high, blocks = verdict.estimate
    interval = f"{_shown(low, claim)} to {_shown(high, claim)}"
    mark = "reached" if verdict.reached else "**missed**"
    return [claim.work, against, required, _shown(found, claim), interval, str(blocks), mark]


def _shown(value: float, claim: Claim) -> str:
    if not isfinite(value):
        return "∞"  # ours took no longer than the bare one
    scaled = value * SCALES[claim.unit]
    figure = f"{scaled:.0f}" if abs(scaled) >= 100 else f"{scaled:.2f}".rstrip("0").rstrip(".")
    return f"{figure} {claim.unit}".strip()


def measured(results: Mapping[str, Any]) -> str:
    """Return what is told of the results, as Markdown."""
    if not results:
        return "Nothing has been measured yet: `make bench` does."
    lines = []
    machines: dict[str, list[str]] = {}
    for name, found in results.items():
        machines.setdefault(json.dumps(found["key"]["machine"], sort_keys=True), []).append(name)
    for text, names in sorted(machines.items()):
        told = json.loads(text)
        versions = ", ".join(f"{name} {number}" for name, number in told["versions"].items())
        jobs = f" ({', '.join(names)})" if len(machines) > 1 else ""
        lines += [f"{told['processor']}, {told['cores']} cores. {versions}. Code {told['code']}{jobs}.", ""]
    lines += _doubts(results)
    blocks = {name: found["blocks"] for name, found in results.items()}
    lines += [*table(verdicts(blocks)), "", "![Ratios to Torchwork](images/benchmarks.svg)", ""]
    lines += ["Not measurable: " + "; ".join(f"{name} {why}" for name, why in ABSENT.items()) + ".", ""]
    for name, found in results.items():
        lines += _contenders(name, found["blocks"])
    return "\n".join(lines)


def _doubts(results: Mapping[str, Any]) -> list[str]:
    said = []
    if "lenet" in results:
        found, warning = noise(results["lenet"]["blocks"])
        if found is not None:
            lines = f"{found.median:.3f} ({found.low:.3f} to {found.high:.3f})"
            said.append(f"The bare loop against itself: {lines}.")
        if warning:
            said.append(f"**{warning[0].upper()}{warning[1:]}.**")
    for name, found in results.items():
        said += [f"**{line}.**" for line in disagreements(name, found["proof"], found["blocks"])]
    return [*said, ""] if said else []


def _contenders(name: str, blocks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of all contenders of a job: medians of seconds, processor seconds and memory."""
    lines = [
        f"### {name}",
        "",
        "| contender | seconds | processor seconds | peak memory | blocks |",
        "|---|---|---|---|---|",
    ]
    for contender in JOBS[name].contenders:
        told = [block[contender] for block in blocks if contender in block]
        good = [found for found in told if "failed" not in found]
        if good:
            figures = [_median_of(good, key) for key in ("seconds", "cpu", "memory")]
            memory = "" if name in STARTERS else f"{(figures[2] or 0) / 1e6:.0f} MB"
            cells = [_seconds(figures[0]), _seconds(figures[1]), memory, str(len(good))]
        else:
            why = told[0]["failed"].splitlines()[-1][:120].replace("|", "/") if told else "not measured"
            cells = [why, "", "", "0"]
        lines.append(f"| {contender} | {' | '.join(cells)} |")
    return [*lines, ""]


def _median_of(told: Sequence[Mapping[str, Any]], key: str) -> float | None:
    found = [one[key] for one in told if one.get(key) is not None]
    return median(found) if found else None


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def write(results: Mapping[str, Any], page: Path, drawing: Path) -> None:
    """Put table and drawing in their places; the rest of the page is written by hand."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{page} has no place for the results: {BEGIN} ... {END}")
    page.write_text(f"{before}{BEGIN}\n{measured(results)}\n{END}{after}", encoding="utf-8")
    draw(verdicts({name: found["blocks"] for name, found in results.items()}), drawing)


def draw(judged: Sequence[Verdict], to: Path) -> None:
    """Draw each ratio with its interval beside what is required, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    ratios = [verdict for verdict in judged if verdict.claim.kind == "ratio" and verdict.estimate is not None]
    shown = [verdict for verdict in ratios if isfinite(verdict.estimate.high)]  # type: ignore[union-attr]
    plt.rcParams["svg.hashsalt"] = "benchmarks"
    figure, axes = plt.subplots(figsize=(11, 1.2 + 0.32 * max(1, len(shown))), layout="constrained")
    for place, verdict in enumerate(reversed(shown)):
        assert verdict.estimate is not None
        found = verdict.estimate
        color = "#1b7837" if verdict.reached else "#b2182b"
        axes.plot([found.low, found.high], [place, place], color=color, linewidth=2)
        axes.plot(found.median, place, "o", color=color)
        axes.plot(verdict.claim.bound, place, "|", color="black", markersize=12, markeredgewidth=2)
    axes.axvline(1, color="0.6", linewidth=1)
    axes.set_yticks(range(len(shown)), [_label(verdict) for verdict in reversed(shown)], fontsize=8)
    if shown:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
    axes.set_xlabel("times ours (dot: median, line: 95% interval, bar: required)")
    to.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(to, metadata={"Date": None})
    plt.close(figure)


def _label(verdict: Verdict) -> str:
    claim = verdict.claim
    return f"{claim.work} — {verdict.best}"
