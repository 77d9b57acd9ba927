"""The report of a run: one HTML file that needs nothing beside it, made from the run directory alone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchwork import durable, rundir
from torchwork.report import names, summary
from torchwork.report.facts import Facts, read
from torchwork.report.figures import figure
from torchwork.report.sections import SECTIONS
from torchwork.types import Finding

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from markupsafe import Markup

    from torchwork.report.drawn.drawing import Drawing


def write(run_directory: Path | str, out: Path | str | None = None) -> Path:
    """Draw the plots of a run into ``plots/`` and write its ``report.html``. Returns the path of the report.

    Where ``out`` names a file, the page is written there and the run's directory stays as it is.

    A run that died half-way gets a report as well, which says what is missing. Everything that came from data is
    escaped. The same directory gives the same bytes.

    Raises:
        InputError: there is no run at that path, or the place cannot be written to.
    """
    from torchwork.report import drawings  # loads matplotlib, which only those who draw shall wait for

    facts = read(Path(run_directory))
    drawn, failed = drawings.draw(facts)
    facts = replace(facts, findings=[*facts.findings, *failed])
    path = facts.directory / rundir.REPORT if out is None else Path(out)
    with durable.output(path):
        if out is None:
            _save(chain.from_iterable(drawn.values()), facts.directory / rundir.PLOTS)
        durable.write_file(path, render(facts, drawn))
    return path


def _save(drawn: Iterable[Drawing], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for drawing in drawn:
        durable.write_file(folder / f"{drawing.name}.svg", drawing.document)


def render(facts: Facts, drawn: Mapping[str, Sequence[Drawing]]) -> str:
    """Return the page as text; ``drawn`` are the plots by section."""
    sections, failed = _sections(facts, drawn)
    return template("page.html").render(
        css=styles("page.css", "report.css"),
        **script(),
        facts=facts,
        lacks=[*facts.findings, *failed],
        name=str(facts.config.get("name") or facts.directory.name),
        sentences=summary.sentences(facts),
        headlines=summary.headlines(facts),
        headline_note=summary.headline_note(facts),
        started=summary.started(facts),
        told=summary.told(facts),
        in_short=summary.in_short(facts),
        sections=sections,
    )


def _sections(
    facts: Facts, drawn: Mapping[str, Sequence[Drawing]]
) -> tuple[list[tuple[str, str, Markup]], list[Finding]]:
    """Return anchor, heading and text of each section that the run has something for; a finding for one that fails."""
    from markupsafe import Markup

    shown, failed = [], []
    ready = {name: marked(plots) for name, plots in drawn.items()}
    for section in SECTIONS:
        try:
            content = section.content(facts, ready)
            if content is not None:
                text = template(f"templates/{section.name}.html").render(**content)
                shown.append((section.name, str(content.get("title", section.title)), Markup(text)))
        except Exception as error:  # whatever a run's files hold, the other sections come out
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            message, fix = f"could not be shown: {reason}", "the report lacks this section"
            failed.append(Finding("not-shown", "warning", section.title, message, fix))
    return shown, failed


def marked(plots: Iterable[Drawing]) -> list[Drawing]:
    """Return plots whose elements a template takes as they are: they were escaped when they were drawn."""
    from markupsafe import Markup

    return [plot._replace(element=Markup(plot.element)) for plot in plots]


def template(name: str) -> Template:
    """Return a template of this package, which escapes everything that it is given."""
    return _templates().get_template(name)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_text_of),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters.update(
        figure=figure,
        shortened=lambda name, most=80: names.label(name, most),
        told_apart=names.labels,
        words=lambda name: str(name).replace("_", " "),
        metric=names.metric,
    )
    return environment


def _shown(value: Any) -> Any:
    """Return a value as a page may show it, wherever it came from: marked text stays marked."""
    return type(value)(names.visible(value)) if isinstance(value, str) else value


def styles(*names: str) -> Markup:
    """Return style sheets of this package as one text, not to be escaped."""
    from markupsafe import Markup

    return Markup("".join(map(_text_of, names)))


def script() -> dict[str, Any]:
    """Return the script that sorts tables, for a template, and the hash by which its page lets it run."""
    digest = hashlib.sha256(_text_of("page.js").encode()).digest()
    return {"script": styles("page.js"), "script_hash": base64.b64encode(digest).decode()}


def _text_of(name: str) -> str:
    return resources.files("torchwork.report").joinpath(name).read_text(encoding="utf-8")
