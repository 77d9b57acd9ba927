"""The page of a sweep: its best trials, what mattered, and how it went, from the folder of the sweep alone."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from torchwork import durable, rundir
from torchwork.report import names
from torchwork.report.figures import duration, number

_MOST_ROWS = 1000
_WHAT = {
    "choice": "one of {}",
    "uniform": "from {} to {}",
    "log_uniform": "from {} to {}, evenly by order of magnitude",
    "int": "whole numbers from {} to {}",
    "log_int": "whole numbers from {} to {}, evenly by order of magnitude",
}
_SAMPLERS = {
    "tpe": "values near those that did well (TPE)",
    "random": "values at random",
    "grid": "all combinations in turn",
}


def write(folder: Path) -> Path:
    """Write the page of a sweep, one file that needs nothing beside it, and return its path."""
    path = folder / rundir.SWEEP_PAGE
    durable.write_file(path, page(folder))
    return path


def page(folder: Path) -> str:
    """Return the page as text; everything that came from the sweep is escaped."""
    from torchwork.report.html import script, styles, template

    facts = rundir.read_json(folder / rundir.SWEEP)
    plots, notes = _plots(facts)
    rows = _rows(facts)
    return template("study.html").render(
        css=styles("page.css", "report.css"),
        **script(),
        failed=any(trial["why"] for trial in facts["trials"]),
        folder=folder,
        facts=facts,
        monitor=names.metric(facts["monitor"]),
        headlines=_headlines(facts),
        sentences=_sentences(facts, folder),
        plots=plots,
        notes=notes,
        keys=[one["place"] for one in facts["search"]],
        space=[(one["place"], _space(one)) for one in facts["search"]],
        rows=rows[:_MOST_ROWS],
        more=max(0, len(rows) - _MOST_ROWS),
        commands=_commands(folder, facts),
    )


def _of(facts: Mapping[str, Any], *states: str) -> list[Mapping[str, Any]]:
    return [trial for trial in facts["trials"] if trial["state"] in states]


def _ranked(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the trials with the best first: those that came to their end, then the others by number."""
    ended = [trial for trial in _of(facts, "complete") if number(trial["value"]) is not None]
    ended.sort(key=lambda trial: -trial["value"] if facts["higher_is_better"] else trial["value"])
    return [*ended, *(trial for trial in facts["trials"] if trial not in ended)]


def _headlines(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    best = next((trial for trial in facts["trials"] if trial["number"] == facts["best"]), None)
    found = [] if best is None else [(f"best {names.metric(facts['monitor'])}", f"{best['value']:.4g}")]
    counts = {state: len(_of(facts, state)) for state in ("complete", "pruned", "failed", "running")}
    found.append(("trials", f"{len(facts['trials'])} of {facts['wanted']}"))
    found += [(state, str(count)) for state, count in counts.items() if count]
    seconds = sum(number(trial["seconds"]) or 0.0 for trial in facts["trials"])
    return [*found, ("training time of all", duration(seconds))] if seconds else found


def _sentences(facts: Mapping[str, Any], folder: Path) -> list[str]:
    said = []
    best = next((trial for trial in facts["trials"] if trial["number"] == facts["best"]), None)
    if best is None:
        said.append("No trial came to its end.")
    else:
        values = ", ".join(f"{place} {_shown(value)}" for place, value in best["values"].items())
        said.append(f"The best is trial {best['number']}: {values}.")
    said.append(f"The sampler took {_SAMPLERS[facts['sampler']]}.")
    if facts["pruned"]:
        said.append("Trials that were worse than the median of those before were ended early.")
    said.append("Test was left unseen: the best figure is the best of many on val, and flatters.")
    return said


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    written: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9)
    return written.removesuffix("\n").removesuffix("\n...")


def _space(one: Mapping[str, Any]) -> str:
    values = [_shown(value) for value in one["values"]]
    return _WHAT[one["kind"]].format(*([", ".join(values)] if one["kind"] == "choice" else values))


def _rows(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    keys = [one["place"] for one in facts["search"]]
    return [
        {
            "number": trial["number"],
            "state": trial["state"],
            "value": trial["value"],
            "values": [_shown(trial["values"][key]) if key in trial["values"] else "–" for key in keys],
            "numbers": [isinstance(trial["values"].get(key), int | float) for key in keys],
            "epochs": len(trial["epochs"]),
            "seconds": number(trial["seconds"]),
            "why": trial["why"],
            "best": trial["number"] == facts["best"],
        }
        for trial in _ranked(facts)
    ]


def _commands(folder: Path, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    if facts["best"] is None:
        return []
    best = shlex.quote(str(folder / rundir.BEST))
    trial = shlex.quote(str(folder / f"trial-{facts['best']}"))
    return [
        ("train the best, and look at test once", f"torchwork train {best}"),
        ("see how much the seed matters", f"torchwork train {best} --seeds 5"),
        ("look at the best trial's own report", f"torchwork report {trial} --open"),
    ]


def _plots(facts: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the plots as elements, and why one is not there."""
    from markupsafe import Markup

    from torchwork.report.plots import svg, trials

    name, higher = facts["monitor"], facts["higher_is_better"]
    values, states = [one["value"] for one in facts["trials"]], [one["state"] for one in facts["trials"]]
    curves = [{int(k): v for k, v in one["epochs"].items() if number(v) is not None} for one in facts["trials"]]
    place = next((at for at, one in enumerate(facts["trials"]) if one["number"] == facts["best"]), None)
    ended = [one for one in _of(facts, "complete") if number(one["value"]) is not None]
    searched = sorted(facts["search"], key=lambda one: -facts["importances"].get(one["place"], 0.0))
    columns = {one["place"]: (_kind(one), [_drawn(one, trial) for trial in ended]) for one in searched}
    wanted: list[tuple[str, str, str, Callable[[], Any]]] = [
        (
            "coordinates",
            "Which values go with which",
            "Each line is a trial that came to its end.",
            lambda: trials.parallel_coordinates(columns, [one["value"] for one in ended], name=name, higher=higher),
        ),
        (
            "history",
            "What each trial reached",
            "In the order in which they began.",
            lambda: trials.values_of_trials(values, states, name=name, higher=higher),
        ),
        (
            "curves",
            "How they trained",
            "After each epoch, on val.",
            lambda: trials.curves_of_trials(curves, name=name, best=place),
        ),
    ]
    if facts["importances"]:
        wanted.insert(
            1,
            (
                "importances",
                "Which keys mattered",
                "By fANOVA over the trials that came to their end; of few trials it says little.",
                lambda: trials.importances_of_keys(facts["importances"]),
            ),
        )
    found, notes = [], []
    if not facts["importances"] and facts["no_importances"]:
        notes.append(f"Which keys mattered is not known: {facts['no_importances']}.")
    for key, title, caption, draw in wanted:
        try:
            element = svg.inline(svg.text(draw(), key), title)
        except Exception as error:  # whatever the figures are, the page comes out
            notes.append(f"{title}: it could not be drawn ({type(error).__name__}).")
            continue
        wide = key == "coordinates" and len(columns) >= trials.NARROW
        found.append({"title": title, "caption": caption, "element": Markup(element), "wide": wide})
    return found, notes


def _kind(one: Mapping[str, Any]) -> Any:
    return [_shown(value) for value in one["values"]] if one["kind"] == "choice" else one["kind"]


def _drawn(one: Mapping[str, Any], trial: Mapping[str, Any]) -> Any:
    value = trial["values"].get(one["place"])
    return _shown(value) if one["kind"] == "choice" else value
