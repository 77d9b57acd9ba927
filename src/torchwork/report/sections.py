"""The sections of a report, the most important first: what each shows, or nothing where a run has nothing for it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from torchwork import rundir
from torchwork.report import cost, data_facts, doubt, layer_table, meanings, provenance, summary, tables
from torchwork.report.facts import SEVERITIES, Facts

if TYPE_CHECKING:
    from torchwork.report.drawn.drawing import Drawing

    Drawn = Mapping[str, Sequence[Drawing]]
    Content = dict[str, Any] | None

_CONFIG_CHARACTERS = 100_000
_SEVERITY_NAMES = {"error": "Errors", "warning": "Warnings", "info": "Notes"}
_FILES = {"image": "PICTURE.jpg", "table": "ROWS.csv", "text": "TEXTS.txt", "audio": "SOUND.wav"}


class Section(NamedTuple):
    """A section: the name of its template and its anchor, its heading, and what it shows."""

    name: str
    title: str
    content: Callable[[Facts, Drawn], Content]


def results(facts: Facts, drawn: Drawn) -> Content:
    """Return every metric of every split with its doubt, and what was chosen on val."""
    first = summary.headline_split(facts)
    splits, rows = tables.metrics(facts, first)
    if not rows:
        return None
    return {
        "splits": splits,
        "with_baseline": [any(values[place].baseline for _, values in rows) for place in range(len(splits))],
        "rows": rows[: tables.MOST_ROWS],
        "methods": doubt.methods(facts, first or ""),
        "baselines": doubt.baseline_names(facts),
        "undefined": doubt.undefined(facts)[: tables.MOST_ROWS],
        "without_interval": doubt.without_interval(facts)[: tables.MOST_ROWS],
        "choices": doubt.choices(facts),
        "meanings": meanings.of(name for name, _ in rows),
    }


def plots_of(name: str) -> Callable[[Facts, Drawn], Content]:
    """Return a section's content that is its plots and nothing else."""

    def content(facts: Facts, drawn: Drawn) -> Content:
        return {"plots": drawn[name]} if drawn.get(name) else None

    return content


def classes(facts: Facts, drawn: Drawn) -> Content:
    """Return how each class fared, or each target, and the most frequent mistakes."""
    split = summary.headline_split(facts)
    shown = facts.shown if facts.shown and not facts.shown.names else None
    if shown is not None:
        split = shown.split
    names, parts = tables.metrics_by_part(facts, split)
    if shown is not None and not parts:
        names, parts = tables.class_rows(shown, tables.classes(facts, shown))
    if not parts:
        return None
    of_classes = facts.data.get("target") != "number"
    worst = len(parts) > tables.MOST_ROWS and "f1" in names
    if worst:
        parts = tables.worst(names, parts)
    return {
        "split": split,
        "names": names,
        "parts": parts[: tables.MOST_ROWS],
        "left_out": max(0, len(parts) - tables.MOST_ROWS),
        "worst": worst,
        "title": "By class" if of_classes else "By target",
        "kind": "class" if of_classes else "target",
        "confusions": tables.confusions(shown) if shown is not None else None,
    }


def data(facts: Facts, drawn: Drawn) -> Content:
    """Return what the data are and how they were split."""
    splits, counts = tables.class_counts(facts)
    return {
        "rows": data_facts.rows(facts),
        "sentences": data_facts.split_sentences(facts),
        "splits": splits,
        "counts": counts[: tables.MOST_ROWS],
        "left_out": max(0, len(counts) - tables.MOST_ROWS),
        "kind": "symbol" if facts.data.get("task") == "sequence" else "class",
        "plots": drawn.get("data", ()),
    }


def model(facts: Facts, drawn: Drawn) -> Content:
    """Return the layer table, and what was seen of the model."""
    columns, rows, notes = layer_table.table(facts)
    return {
        "said": layer_table.said(facts),
        "columns": columns,
        "rows": rows[: layer_table.MOST_ROWS],
        "left_out": max(0, len(rows) - layer_table.MOST_ROWS),
        "notes": notes,
        "plots": drawn.get("model", ()),
    }


def findings(facts: Facts, drawn: Drawn) -> Content:
    """Return what the checks found when the run began, the worst first."""
    groups = [
        (severity, _SEVERITY_NAMES[severity], [found for found in facts.run_findings if found.severity == severity])
        for severity in SEVERITIES
    ]
    there = [(severity, name, found[: tables.MOST_ROWS], len(found)) for severity, name, found in groups if found]
    checked = (facts.directory / rundir.FINDINGS).is_file()
    return {"groups": there} if there or checked else None


def costs(facts: Facts, drawn: Drawn) -> Content:
    """Return what the run took."""
    rows = cost.rows(facts)
    return {"rows": rows} if rows else None


def environment(facts: Facts, drawn: Drawn) -> Content:
    """Return where and with what the run was made."""
    return {"rows": provenance.environment_rows(facts)[: tables.MOST_ROWS]}


def config(facts: Facts, drawn: Drawn) -> Content:
    """Return the config's text."""
    text = facts.config_text
    left_out = max(0, len(text) - _CONFIG_CHARACTERS)
    told = provenance.changes(facts)[: tables.MOST_ROWS]
    return {"text": text[:_CONFIG_CHARACTERS], "left_out": left_out, "changes": told} if text else None


def commands(facts: Facts, drawn: Drawn) -> Content:
    """Return the commands that go on from here."""
    run = shlex.quote(str(facts.directory))
    file = _FILES.get(str(facts.data.get("inputs")), "FILE")
    on_cpu = str(facts.environment.get("device", "")).startswith("cpu")
    threads = facts.environment.get("threads")
    with_threads = "one compute thread" if threads == 1 else f"{threads} compute threads"
    same = f"On one machine, with {with_threads} as here, the weights come out the same bit for bit."
    resume = f"torchwork resume {run}"
    listed = [("Go on with this run, to the result of one that never stopped", resume)]
    if facts.finished:
        listed = [("Train it for more epochs, as many in all", f"{resume} train.epochs=NUMBER")]
    again = f"torchwork train {shlex.quote(str(facts.directory / rundir.CONFIG))}"
    if facts.finished and not provenance.harmful(facts):
        listed.append(("Train it again, and see whether the same comes out", f"torchwork reproduce {run}"))
    listed += [
        ("Train anew from the same config", again),
        ("Predict", f"torchwork predict {run} {file}"),
        ("Evaluate again", f"torchwork evaluate {run}"),
        ("Write this page anew", f"torchwork report {run}"),
        ("Use it from Python", f"import torchwork; run = torchwork.load({str(facts.directory)!r})"),
    ]
    return {"commands": listed, "note": same if on_cpu and threads else ""}


SECTIONS = (
    Section("results", "Results", results),
    Section("predictions", "Predictions", plots_of("predictions")),
    Section("classes", "By class", classes),
    Section("samples", "Single samples", plots_of("samples")),
    Section("training", "Training", plots_of("training")),
    Section("model", "Model", model),
    Section("data", "Data and split", data),
    Section("findings", "Findings", findings),
    Section("cost", "Time and cost", costs),
    Section("environment", "Environment", environment),
    Section("config", "Config", config),
    Section("commands", "Go on from here", commands),
)
