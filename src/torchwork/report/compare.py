"""Several runs side by side: what they reached, in what they differ, and whether the difference is real."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from torchwork import durable, rundir
from torchwork.report import doubt, equality, names, provenance, seeds, shared, tables
from torchwork.report.facts import Facts, read
from torchwork.report.figures import number
from torchwork.report.seeds import Group
from torchwork.report.shared import Pair
from torchwork.types import Finding, InputError

_ALL_PAIRS = 6  # runs of which each is tested against each other one
_FACTS = ("task", "inputs", "loss", "input_shape", "source_samples", "num_samples", "classes", "target_names")
_LONG = 300


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side.

    ``runs`` are their facts by their names, ``split`` what their numbers are of, ``main`` the metric that says most;
    ``metrics`` holds for each metric the value and interval of each run, ``differs`` for config, data and environment
    the keys whose values differ; ``notes`` what cannot be compared, and why.
    """

    runs: dict[str, Facts]
    split: str | None
    main: str
    metrics: list[tuple[str, list[doubt.Doubted]]]
    differs: dict[str, list[tuple[str, list[str]]]]
    pairs: list[Pair]
    groups: list[Group]
    said_of_seeds: list[str]
    notes: list[str]

    def __repr__(self) -> str:  # what the fields hold are whole runs, which nobody can read as the end of a cell
        said = [f"Comparison of {', '.join(self.runs)}", *(pair.sentence for pair in self.pairs), *self.said_of_seeds]
        return "\n".join([*said[:20], *(["..."] if len(said) > 20 else [])])

    def plain(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it, without what the runs' own files hold."""
        return {
            "runs": {name: str(facts.directory) for name, facts in self.runs.items()},
            "split": self.split,
            "metrics": {
                metric: {
                    name: {
                        "value": facts.metrics.get(self.split or "", {}).get(metric),
                        **_ends(facts, self.split, metric),
                    }
                    for name, facts in self.runs.items()
                }
                for metric, _ in self.metrics
            },
            "differs": {
                part: {key: dict(zip(self.runs, values, strict=True)) for key, values in rows}
                for part, rows in self.differs.items()
            },
            "pairs": [
                asdict(pair) | {"tests": {name: test._asdict() for name, test in pair.tests.items()}}
                for pair in self.pairs
            ],
            "seeds": {"groups": [asdict(group) for group in self.groups], "said": self.said_of_seeds},
            "notes": self.notes,
        }


def compare(paths: Sequence[Path | str]) -> Comparison:
    """Compare runs: their numbers with intervals, what differs, and a paired test on the samples that they share.

    The folder of several folds or seeds stands for all of its runs: then configs are compared over them, and no two
    runs are.

    Raises:
        InputError: fewer than two runs, one that is none or is named twice, or runs of different tasks.
    """
    paths, folders = _expanded(paths)
    runs = _read(paths)
    notes = [
        f"{name} has not come to its end: there are curves of it, and no numbers."
        for name, facts in runs.items()
        if not facts.finished
    ]
    split = _split(runs)
    if split is None:
        notes.append("No two of the runs have numbers of the same split, so that there is nothing to test.")
    found = {name: facts.metrics[split] for name, facts in runs.items() if split is not None and split in facts.metrics}
    notes += [
        f"{name} has no numbers of {split}." for name, f in runs.items() if f.finished and split and name not in found
    ]
    order = _order(found)
    main = next((m for m in order if sum(m in own for own in found.values()) > 1), "")
    metrics = [(m, [doubt.doubted(f, split or "", m) for f in runs.values()]) for m in order]
    pairs = [] if folders else _pairs(runs, split, list(found), order, notes)
    values = {n: v for n, own in found.items() if (v := number(own.get(main))) is not None}
    directories = {name: facts.directory for name, facts in runs.items()}
    groups, said = seeds.grouped({n: _resolved(f) for n, f in runs.items()}, values) if main else ([], [])
    groups = [seeds.with_overlap(group, [directories[name] for name in group.runs], split or "") for group in groups]
    notes += said
    of_seeds = seeds.sentences(groups, main) if main else []
    return Comparison(runs, split, main, metrics, _differs(runs), pairs, groups, of_seeds, notes)


def write(paths: Sequence[Path | str], out: Path | str) -> Comparison:
    """Write the page that compares runs, one file that needs nothing beside it, and return what it holds.

    Raises:
        InputError: as `compare`, or the page cannot be written there.
    """
    found = compare(paths)
    with durable.output(Path(out)):
        durable.write_file(Path(out), page(found))
    return found


def page(found: Comparison) -> str:
    """Return the page as text; everything that came from the runs is escaped."""
    from markupsafe import Markup

    from torchwork.report.html import styles, template
    from torchwork.report.plots import svg
    from torchwork.report.plots.compared import curves_of_runs

    histories = {name: facts.history for name, facts in found.runs.items() if len(facts.history.get("epoch", ()))}
    curves = ""
    if histories:
        try:
            curves = svg.inline(svg.text(curves_of_runs(histories), "runs"), "The curves of the runs")
        except Exception as error:  # whatever their histories hold, the page comes out
            found.notes.append(f"The curves could not be drawn: {type(error).__name__}.")
    return template("compare.html").render(
        css=styles("page.css", "report.css"),
        found=found,
        curves=Markup(curves),
        tests=[(pair, _rows_of(pair)) for pair in found.pairs],
        corrected=len([pair for pair in found.pairs if not math.isnan(pair.p)]) > 1,
        enough=seeds.ENOUGH,
        seeded=any(len(group.runs) > 1 for group in found.groups),
        main=names.metric(found.main),
    )


def _expanded(paths: Sequence[Path | str]) -> tuple[list[Path], list[Path]]:
    """Return the runs that are named, those of a folder of folds and seeds for it; and these folders.

    Raises:
        InputError: not all runs of a folder have ended.
    """
    found: list[Path] = []
    folders, findings = [], []
    for path in map(Path, paths):
        if not (path / rundir.FOLDS).is_file():
            found.append(path)
            continue
        own = [path / name for name in rundir.read_json(path / rundir.FOLDS).get("runs", [])]
        if not own:
            fix = "end it by the command that began it, with --out"
            findings.append(Finding("unfinished", "error", str(path), "its folds or seeds have not all ended", fix))
        folders.append(path)
        found += own
    if findings:
        raise InputError(findings)
    return found, folders


def _read(paths: Sequence[Path | str]) -> dict[str, Facts]:
    """Read the runs, each under the shortest end of its path that tells it from the others."""
    findings, places = [], []
    for path in map(Path, paths):
        try:
            places.append(rundir.existing(path))
        except InputError as error:
            findings += error.findings
    seen: dict[Path, Path] = {}
    for place in places:
        if (real := place.resolve()) in seen:
            message = f"is the same run as {seen[real]}"
            findings.append(Finding("same-run", "error", str(place), message, "name each run once"))
        seen.setdefault(real, place)
    if not findings and len(places) < 2:
        message = f"{len(places)} run is named" if places else "no run is named"
        findings.append(Finding("too-few-runs", "error", "RUN", message, "name two runs or more"))
    if findings:
        raise InputError(findings)
    runs = dict(zip(_short([place.resolve() for place in places]), map(read, places), strict=True))
    kinds: dict[str, list[str]] = {}
    for name, facts in runs.items():
        if facts.data.get("task"):
            kinds.setdefault(str(facts.data["task"]), []).append(name)
    if len(kinds) > 1:
        said = "; ".join(f"{task}: {', '.join(own)}" for task, own in kinds.items())
        fix = "compare runs of one task: their numbers mean different things"
        raise InputError(Finding("different-tasks", "error", "RUN", f"the runs are of different tasks ({said})", fix))
    return runs


def _short(places: Sequence[Path]) -> list[str]:
    for depth in range(2, 100):
        found = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(found)) == len(found):
            break
    return found


def _split(runs: Mapping[str, Facts]) -> str | None:
    counts = {split: sum(split in facts.metrics for facts in runs.values()) for split in ("test", "val", "train")}
    return next((split for split, count in counts.items() if count > 1), None)


def _order(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the metrics of any run, those that say most first; those of one class or target are left out."""
    all_names = list(dict.fromkeys(name for own in found.values() for name in own if "/" not in name))
    leading = [name for name in tables.LEADING if name in all_names]
    return [
        *leading,
        *(name for name in all_names if name not in leading and name != "loss"),
        *(["loss"] * ("loss" in all_names)),
    ]


def _ends(facts: Facts, split: str | None, metric: str) -> dict[str, Any]:
    part = facts.intervals.get(split or "", {}).get("metrics") or {}
    found = part.get(metric) if isinstance(part, Mapping) else None
    return (
        {key: found[key] for key in ("low", "high", "method", "reason") if key in found}
        if isinstance(found, Mapping)
        else {}
    )


def _pairs(
    runs: Mapping[str, Facts], split: str | None, known: list[str], order: list[str], notes: list[str]
) -> list[Pair]:
    """Test runs against each other on the samples that they share: of many runs each against the first."""
    if split is None or len(known) < 2:
        return []
    chosen = [(one, other) for place, one in enumerate(known) for other in known[place + 1 :]]
    if len(known) > _ALL_PAIRS:
        chosen = [(known[0], other) for other in known[1:]]
        notes.append(f"Of more than {_ALL_PAIRS} runs each is tested against the first, {known[0]}, alone.")
    sides: dict[str, shared.Side | str] = {}
    for name in known:
        try:
            sides[name] = shared.side(runs[name].directory, runs[name].data, split)
        except (OSError, ValueError, KeyError, IndexError, csv.Error) as error:
            notes.append(f"The predictions of {name} cannot be read ({type(error).__name__}): it is in no test.")
            sides[name] = ""
    found = []
    for one, other in chosen:
        first, second = sides[one], sides[other]
        if isinstance(first, shared.Side) and isinstance(second, shared.Side):
            pair = Pair(one, other, split)
            try:
                shared.compared(pair, first, second, order)
                pair.notes += _one_config(runs[one], runs[other])
            except (OSError, ValueError, KeyError, IndexError) as error:
                pair.notes.append(f"They cannot be tested: {type(error).__name__}.")
            found.append(pair)
    tested = [pair for pair in found if not math.isnan(pair.p)]
    for pair, p in zip(tested, shared.paired.holm([pair.p for pair in tested]), strict=True):
        pair.p_holm = p
    for pair in found:
        pair.sentence = shared.sentence(pair, len(tested) > 1)
    return found


def _one_config(first: Facts, second: Facts) -> list[str]:
    """Return whether two runs of one config and one seed are equal, as they should be on one machine."""
    configs = [{**_resolved(facts), "name": "", "log": ""} for facts in (first, second)]
    if configs[0] != configs[1]:
        return []
    found = equality.compare(first.directory, second.directory, checkpoints=False).difference
    if found is None:
        return ["They have one config and one seed, and are equal bit for bit."]
    said = f"{found.where} is {found.first} and {found.second}"
    return [f"They have one config and one seed, and differ; first, {said}."]


def _rows_of(pair: Pair) -> list[tuple[str, str, str, str]]:
    rows = []
    for name, test in pair.tests.items():
        if name != "recall_weighted":  # the accuracy once more
            span = "" if math.isnan(test.low) else f"{test.low:.3g} to {test.high:.3g}".replace("-", "−")
            rows.append(
                (names.metric(name), f"{test.value:.3g}".replace("-", "−"), span or test.reason, shared.p_value(test.p))
            )
    return rows


def _resolved(facts: Facts) -> Mapping[str, Any]:
    """Return a run's config, with what its data were: the same words may name other data by now."""
    sizes = {"num_samples": facts.data.get("num_samples"), "source_samples": facts.data.get("source_samples")}
    if seeds.fold_of(facts.config) is not None:
        del sizes["num_samples"]  # folds differ in it by a sample
    return {**facts.config, "data facts": sizes, "changes": provenance.harmful(facts)}


def _differs(runs: Mapping[str, Facts]) -> dict[str, list[tuple[str, list[str]]]]:
    """Return what differs in config, data and environment: the keys, and each run's value or a dash."""
    parts = {
        "config": [_flat(facts.config) | _changed(facts) for facts in runs.values()],
        "data": [
            _flat({key: facts.data[key] for key in _FACTS if key in facts.data}, _plain) for facts in runs.values()
        ],
        "environment": [_flat(_environment(facts), _plain) for facts in runs.values()],
    }
    found = {}
    for part, each in parts.items():
        keys = dict.fromkeys(key for flat in each for key in flat)
        rows = [(key, [flat.get(key, "–") for flat in each]) for key in keys]
        found[part] = [(key, values) for key, values in rows if len(set(values)) > 1]
    return found


def _changed(facts: Facts) -> dict[str, str]:
    said = provenance.changes(facts)
    return {"changed on the way": " ".join(said)} if said else {}


def _environment(facts: Facts) -> dict[str, Any]:
    """Return where a run was made; and, where it went on elsewhere, what was otherwise there."""
    began = {key: value for key, value in facts.environment.items() if key != provenance.RESUMED}
    rows = dict(provenance.environment_rows(facts))
    return began | {name: value for name, value in rows.items() if " after step " in name}


def _yaml(value: Any) -> str:
    """Return a value as it is written in a config."""
    written = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    return written.removesuffix("...\n").strip()


def _plain(value: Any) -> str:
    """Return a value for people: names in a row, without the quotes and brackets that a config has."""
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return value if isinstance(value, str) else _yaml(value)


def _flat(content: Mapping[str, Any], told: Callable[[Any], str] = _yaml) -> dict[str, str]:
    """Return nested content as texts by dotted keys; lists are one text."""
    found: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            found |= {f"{key}.{inner}": text for inner, text in _flat(value, told).items()}
        else:
            text = told(value)
            found[str(key)] = text if len(text) <= _LONG else f"{text[:_LONG]}…"
    return found
