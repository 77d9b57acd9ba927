"""The report of a run: one HTML file that needs nothing beside it, made from the run directory alone."""

from __future__ import annotations

import shlex
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from torchwork import durable, rundir
from torchwork.report import summary, tables
from torchwork.report.facts import Facts, Predictions, read
from torchwork.report.plots import style, svg
from torchwork.report.plots.confusion import confusion_matrix
from torchwork.report.plots.history import curves
from torchwork.report.plots.residuals import predicted_against_true

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Plot(NamedTuple):
    """A plot on the page: the file that it is saved as, its heading, what to see in it, and the SVG element."""

    file: str
    title: str
    caption: str
    element: Markup
    wide: bool


def write(run_directory: Path | str) -> Path:
    """Draw the plots of a run into ``plots/`` and write its ``report.html``. Returns the path of the report.

    A run that died half-way gets a report as well, which says what is missing. Everything that came from data is
    escaped. The same directory gives the same bytes.

    Raises:
        InputError: there is no run at that path.
    """
    facts = read(Path(run_directory))
    plots = _plots(facts)
    path = facts.directory / rundir.REPORT
    durable.write_file(path, render(facts, plots))
    return path


def render(facts: Facts, plots: list[Plot]) -> str:
    """Return the page as text."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters.update(figure=tables.figure, shortened=lambda name: style.label(name, 80))
    package = resources.files("torchwork.report")
    template = environment.from_string(package.joinpath("page.html").read_text(encoding="utf-8"))
    shown = _shown(facts)
    names = tables.classes(facts, shown) if shown and not shown.names else []
    class_rows = tables.class_rows(shown, names) if shown and names else []
    return template.render(
        css=Markup(package.joinpath("page.css").read_text(encoding="utf-8")),
        facts=facts,
        name=str(facts.config.get("name") or facts.directory.name),
        sentences=summary.sentences(facts),
        headlines=summary.headlines(facts),
        plots=plots,
        metrics=tables.metrics(facts),
        shown=shown,
        class_rows=class_rows[: tables.MOST_ROWS],
        class_rows_left_out=max(0, len(class_rows) - tables.MOST_ROWS),
        confusions=tables.confusions(shown) if shown and names else [],
        class_counts=tables.class_counts(facts),
        most_rows=tables.MOST_ROWS,
        data_rows=_data_rows(facts),
        environment_rows=tables.flat(facts.environment),
        commands=_commands(facts),
    )


def _shown(facts: Facts) -> Predictions | None:
    """Return the predictions that are drawn: those of test, or of val where there is no test."""
    return next((facts.predictions[split] for split in ("test", "val", "train") if split in facts.predictions), None)


def _plots(facts: Facts) -> list[Plot]:
    plots = []
    if len(facts.history.get("epoch", ())):
        figure = curves(facts.history, best=facts.best_epoch)
        caption = (
            "The training loss is the mean over the epoch's batches, with dropout and augmentation, while the weights "
            "move; the validation values are taken after the epoch. The dashed line marks the epoch whose weights were "
            "kept."
        )
        plots.append(_saved(facts, "curves", "Training", caption, figure))
    shown = _shown(facts)
    if shown is not None and shown.names:
        figure = predicted_against_true(shown.target, shown.prediction, names=shown.names)
        caption = f"Each point is one of the {len(shown):,} {shown.split} samples. On the line the prediction is right."
        plots.append(_saved(facts, f"predicted_against_true-{shown.split}", "Predicted against true", caption, figure))
    elif shown is not None:
        figure = confusion_matrix(shown.target, shown.prediction, tables.classes(facts, shown))
        caption = (
            f"The {len(shown):,} {shown.split} samples: each row is a true class, each column what it was taken for, "
            "and a share is that of its row. The stronger a colour, the larger the share; blue is right, red is wrong."
        )
        plots.append(_saved(facts, f"confusion_matrix-{shown.split}", "Confusion matrix", caption, figure))
    return plots


def _saved(facts: Facts, file: str, title: str, caption: str, figure: Figure) -> Plot:
    document = svg.text(figure, file)
    folder = facts.directory / rundir.PLOTS
    folder.mkdir(exist_ok=True)
    durable.write_file(folder / f"{file}.svg", document)
    wide = figure.get_figwidth() > 6.5
    return Plot(f"{rundir.PLOTS}/{file}.svg", title, caption, Markup(svg.inline(document, f"{title}. {caption}")), wide)


def _data_rows(facts: Facts) -> list[tuple[str, str]]:
    data, config = facts.data, facts.config.get("data") or {}
    rows = [("source", summary.component(config.get("source")))]
    kinds = {"image": "images", "table": "rows of a table", "array": "arrays"}
    rows.append(("inputs", kinds.get(str(data.get("inputs")), "")))
    rows.append(("shape of one input", " × ".join(map(str, data.get("input_shape") or ()))))
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
    files = {"image": "PICTURE.jpg", "table": "ROWS.csv"}.get(str(facts.data.get("inputs")), "FILE")
    commands = [] if facts.finished else [("Go on with this run", f"torchwork resume {run}")]
    commands += [
        ("Train again from the same config", f"torchwork train {shlex.quote(str(facts.directory / rundir.CONFIG))}"),
        ("Predict", f"torchwork predict {run} {files}"),
        ("Evaluate again", f"torchwork evaluate {run}"),
        ("Use it from Python", f"import torchwork; run = torchwork.load({str(facts.directory)!r})"),
    ]
    return commands
