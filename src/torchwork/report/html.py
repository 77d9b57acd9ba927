"""The report of a run: one HTML file that needs nothing beside it, made from the run directory alone."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchwork import durable, rundir
from torchwork.report import names, summary, tables
from torchwork.report.facts import Facts, read
from torchwork.types import Finding, InputError

if TYPE_CHECKING:
    from jinja2 import Template
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
    try:
        if out is None:
            _save(chain.from_iterable(drawn.values()), facts.directory / rundir.PLOTS)
        durable.write_file(path, render(facts, drawn))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
            raise
        message = f"cannot be written: {error.strerror}"
        fix = "choose a file in a folder that you can write to with --out"
        raise InputError(Finding("report-unwritable", "error", str(path), message, fix)) from error
    return path


def _save(drawn: Iterable[Drawing], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for drawing in drawn:
        durable.write_file(folder / f"{drawing.name}.svg", drawing.document)


def render(facts: Facts, drawn: Mapping[str, Sequence[Drawing]]) -> str:
    """Return the page as text; ``drawn`` are the plots by section."""
    from markupsafe import Markup

    page = template("page.html")
    classified = facts.shown if facts.shown and not facts.shown.names else None
    class_rows = tables.class_rows(classified, tables.classes(facts, classified)) if classified else []
    return page.render(
        css=styles("page.css"),
        facts=facts,
        name=str(facts.config.get("name") or facts.directory.name),
        sentences=summary.sentences(facts),
        headlines=summary.headlines(facts),
        plots=[plot._replace(element=Markup(plot.element)) for plot in chain.from_iterable(drawn.values())],
        metrics=tables.metrics(facts),
        shown=facts.shown,
        class_rows=class_rows[: tables.MOST_ROWS],
        class_rows_left_out=max(0, len(class_rows) - tables.MOST_ROWS),
        confusions=tables.confusions(classified) if classified else [],
        class_counts=tables.class_counts(facts),
        task=facts.data.get("task"),
        most_rows=tables.MOST_ROWS,
        data_rows=_data_rows(facts),
        environment_rows=tables.flat(facts.environment),
        commands=_commands(facts),
    )


def template(name: str) -> Template:
    """Return a template of this package, which escapes everything that it is given."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters.update(figure=tables.figure, shortened=lambda name: names.label(name, 80))
    return environment.from_string(_text_of(name))


def styles(*names: str) -> Markup:
    """Return style sheets of this package as one text, not to be escaped."""
    from markupsafe import Markup

    return Markup("".join(map(_text_of, names)))


def _text_of(name: str) -> str:
    return resources.files("torchwork.report").joinpath(name).read_text(encoding="utf-8")


def _data_rows(facts: Facts) -> list[tuple[str, str]]:
    data, config = facts.data, facts.config.get("data") or {}
    rows = [("source", summary.component(config.get("source")))]
    kinds = {"image": "images", "table": "rows of a table", "array": "arrays", "text": "texts", "audio": "sounds"}
    rows.append(("inputs", kinds.get(str(data.get("inputs")), "")))
    rows.append(("shape of one input", " × ".join(map(str, data.get("input_shape") or ()))))
    if data.get("num_tokens"):
        cut = f"{data.get('num_texts_cut', 0):,} texts of train cut to {data.get('text_length', 0):,}"
        rows.append(("tokens", f"{data['num_tokens']:,} different; {cut}"))
    if data.get("classes"):
        rows.append(("classes", f"{len(data['classes']):,}"))
    rows.append(("target", ", ".join(map(str, data.get("target_names") or ()))))
    rows.append(("number columns", ", ".join(map(str, data.get("numbers") or ()))))
    rows.append(("category columns", ", ".join(map(str, data.get("categories") or ()))))
    rows += [(step, " → ".join(_step(item) for item in config.get(step) or ())) for step in ("transform", "augment")]
    rows.append(("split", str((config.get("split") or {}).get("by") or "")))
    sizes = data.get("num_samples") or {}
    total = sum(sizes.values())
    rows += [(f"{split} samples", f"{size:,} ({size / total:.1%})") for split, size in sizes.items() if total]
    return [(name, value) for name, value in rows if value]


def _step(item: Any) -> str:
    """Return a component on one line, as a call.

    >>> _step({"name": "Resize", "size": 32})
    'Resize(size=32)'
    """
    if not isinstance(item, dict):
        return str(item)
    options = ", ".join(f"{key}={value}" for key, value in item.items() if key != "name" and value is not None)
    return f"{item.get('name', '')}({options})" if options else str(item.get("name", ""))


def _commands(facts: Facts) -> list[tuple[str, str]]:
    run = shlex.quote(str(facts.directory))
    files = {"image": "PICTURE.jpg", "table": "ROWS.csv", "text": "TEXTS.txt", "audio": "SOUND.wav"}.get(
        str(facts.data.get("inputs")), "FILE"
    )
    commands = [] if facts.finished else [("Go on with this run", f"torchwork resume {run}")]
    commands += [
        ("Train again from the same config", f"torchwork train {shlex.quote(str(facts.directory / rundir.CONFIG))}"),
        ("Predict", f"torchwork predict {run} {files}"),
        ("Evaluate again", f"torchwork evaluate {run}"),
        ("Use it from Python", f"import torchwork; run = torchwork.load({str(facts.directory)!r})"),
    ]
    return commands
