"""The files of a run: their names, how they are written and read. A report is a function of this directory alone."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import os
import shlex
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torchwork import durable
from torchwork.types import Finding, InputError

CONFIG = "config.yaml"
ENVIRONMENT = "environment.json"
DATA = "data.json"
FITTED = "fitted.safetensors"
SPLIT = "split.csv"
GROUP = "group"  # a last column of split.csv, where groups stay whole
SET_ASIDE = "set-aside.csv"
HISTORY = "history.csv"
LOG = "log.txt"
CHECKPOINTS = "checkpoints"
FAULTS = "faults"  # windows whose loss or gradient was not finite, each to be replayed
MODEL = "model.safetensors"
SAMPLES = "samples"
ARRAYS = "arrays"
METRICS = "metrics.json"
LOOKS = "looks.csv"
SWEEP = "sweep.json"  # of a sweep's folder, as the next four
TRIALS = "trials.csv"
BEST = "best.yaml"
SWEEP_PAGE = "sweep.html"
JOURNAL = "journal.log"
FOLDS = "folds.json"
FOLDS_TABLE = "folds.csv"
REPORT = "report.html"
PLOTS = "plots"
MODEL_SUMMARY = "model.json"
INTERVALS = "intervals.json"  # of each metric, beside metrics.json
BASELINES = "baselines.json"  # the same metrics of a prediction that looks at no input
UNDEFINED = "undefined.json"  # metrics that have no value on a split, and why
TIMES = "times.json"  # how long each split took to evaluate
CHOSEN = "chosen-on-val.json"  # threshold and temperature
LAYERS = "layers.csv"  # gradient norms and update sizes by layer
FINDINGS = "findings.json"  # what the checks found when the run began
LOGS = "logs.json"  # by which loggers go on in the same place
INSPECTED = "inspected.json"  # samples, maps and activations that were looked at after training
LIVE = "live.json"  # where a run stands that is going on, or how it ended before it was complete
LAST_BATCH = "last-batch.png"  # of those in samples/, while somebody watches
WORST = "worst.json"  # in samples/ too: those of the last validation with the greatest losses
CHANGES = "changes.json"  # of the config since the run began
LOCK = ".lock"  # held by the process that writes to the run
WATCHED = ".watched"  # touched again and again by whoever watches

_FOLDERS = (CHECKPOINTS, SAMPLES, ARRAYS, PLOTS)
# what there is before the config makes a run of it
_BEGINNING = {LOCK, LOG, ENVIRONMENT, DATA, FITTED, SPLIT, SET_ASIDE, FINDINGS, MODEL_SUMMARY, *_FOLDERS}


def predictions(split: str) -> str:
    """Return the name of a split's predictions.

    >>> predictions("test")
    'predictions-test.csv'
    """
    return f"predictions-{split}.csv"


def create(out: Path | None, name: str, root: Path = Path("runs")) -> Path:
    """Make and return a new run directory: ``out``, or the next free number in ``runs/<name>``.

    One that was cut off before it was a run is taken as it is, and so is one that another process makes just now: the
    lock says which of the two it belongs to.

    Raises:
        InputError: as `new_folder`.
    """
    try:
        directory = out if out is not None and cut_off(out) else new_folder(out, name, root)
    except InputError:
        if out is None or not cut_off(out):
            raise
        directory = out
    with _writing(directory):
        (directory / LOCK).touch()  # the first, so that what a crash leaves is known by it
        for folder in _FOLDERS:
            (directory / folder).mkdir(exist_ok=True)
    return directory


def cut_off(directory: Path) -> bool:
    """Tell whether a directory is what a command left that was killed before there was a run: nothing is lost in it."""
    names = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
    unfinished = {name for name in names if name.startswith(".") and name.endswith(durable.LEFTOVERS)}
    return LOCK in names and names - unfinished <= _BEGINNING


def holds_run(directory: Path) -> bool:
    """Tell whether there is a run, also one that was cut off before it was one."""
    return (directory / CONFIG).is_file() or cut_off(directory)


def holds_folds(directory: Path) -> bool:
    """Tell whether the folds of a config stand there, a run each."""
    return (directory / FOLDS).is_file()


def newest(name: str, meant: Callable[[Path], bool] = holds_run) -> Path | None:
    """Return what is meant and has the greatest number in ``runs/<name>``, or None where there is none."""
    parent = Path("runs") / name
    numbered = [path for path in parent.iterdir() if path.name.isdecimal()] if parent.is_dir() else []
    return max(filter(meant, numbered), key=lambda path: int(path.name), default=None)


def new_folder(out: Path | None, name: str, root: Path = Path("runs")) -> Path:
    """Make and return a folder, ``out`` or the next free number in ``runs/<name>``.

    Raises:
        InputError: the place is taken by another run or by files, or cannot be written.
    """
    with _writing(out if out is not None else root / name):
        if out is not None:
            if out.exists() and (not out.is_dir() or any(out.iterdir())):
                raise InputError(taken(out))
            out.mkdir(parents=True, exist_ok=True)
            directory = out
        else:
            directory = _next_number(root / name)
        with tempfile.TemporaryFile(dir=directory):  # without a name, so that no other process sees it
            pass
    return directory


def taken(out: Path) -> Finding:
    """Return the finding that a place is taken."""
    message = f"{out} is already there and {'not empty' if out.is_dir() else 'no directory'}"
    fix = "choose another directory"
    if (out / CONFIG).is_file():
        fix += f", or go on with that run: torchwork resume {shlex.quote(str(out))}"
    return Finding("out-taken", "error", "--out", message, fix)


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"cannot write to {place}: {error.strerror or error}"
        fix = "choose a directory that you can write to with --out"
        raise InputError(Finding("out-unwritable", "error", "--out", message, fix)) from error


def _next_number(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    taken = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
    number = max(taken, default=0) + 1
    while True:  # another run may take the number between the look and the making
        try:
            (parent / str(number)).mkdir()
            return parent / str(number)
        except FileExistsError:
            number += 1


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Be the one process that writes to a run while inside; one that died holds nothing.

    Raises:
        InputError: another process is at work there.
    """
    try:
        with durable.lock(directory / LOCK):
            yield
    except durable.LockedError as error:
        fix = "wait until it has ended, or end it; it saves before it ends"
        message = f"another process is at work in this run directory ({error})"
        raise InputError(Finding("run-locked", "error", str(directory), message, fix)) from None


def existing(path: str | Path) -> Path:
    """Return the path of a run directory, or raise InputError where there is none."""
    path = Path(path)
    if not (path / CONFIG).is_file():
        found = "no such directory" if not path.exists() else f"it holds no {CONFIG}"
        fix = "give the directory of a run, as runs/digits/1"
        raise InputError(Finding("no-run", "error", str(path), f"is not a run directory: {found}", fix))
    return path


def inside(directory: Path, name: str) -> Path | None:
    """Return the path of a file that one of a run's own files names; None where it is none or lies outside the run.

    A run directory may come from anywhere: what it names must not bring other files into a report.
    """
    try:
        path = (directory / name).resolve()
        return path if path.is_relative_to(directory.resolve()) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # too long, a NUL in it, a circle of links
        return None


def is_complete(directory: Path) -> bool:
    """Tell whether a run came to its end: ``evaluate`` may have written some splits' metrics before."""
    try:
        facts, metrics = read_json(directory / DATA), read_json(directory / METRICS)
        splits = facts.get("evaluated", {"val", "test"} & set(facts["num_samples"]))
        return set(splits) <= set(metrics)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def write_json(path: Path, content: Any) -> None:
    """Write JSON, indented, with NaN and infinities as the strings "NaN", "Infinity" and "-Infinity"."""
    durable.write_file(path, json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON that ``write_json`` wrote; the strings for NaN and infinities stay strings.

    Raises:
        OSError, ValueError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


@contextmanager
def understood(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Tell by the name of a run's file that what stands in it is not what a run writes, whatever it leads to inside.

    Args:
        path: The file.
        more: Further errors that what stands in it leads to.

    Raises:
        InputError: it is damaged.
    """
    expected: Any = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, *more)
    try:
        yield
    except InputError:
        raise
    except expected as error:
        said = (str(error).splitlines() or [""])[0]
        message = f"is damaged, or not what a run writes: {type(error).__name__}: {said[:200]}"
        fix = "restore it from a copy, or train anew: torchwork train " + shlex.quote(str(path.parent / CONFIG))
        raise InputError(Finding("damaged-run", "error", str(path), message, fix)) from error


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: keys as texts, numpy's scalars as Python's, NaN and infinities as texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if hasattr(value, "item"):  # a numpy scalar
        return plain(value.item())
    return value


def number(value: float) -> str:
    """Return a float with 9 significant digits, which a float32 survives exactly.

    >>> number(0.1)
    '0.1'
    """
    return format(float(value), ".9g")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file durably; floats with 9 significant digits, None as an empty field."""
    durable.write_file(path, _csv_lines(itertools.chain([header], rows)))


def append_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Add rows to a CSV file, which is begun where it is not there: a long run's would be costly to write anew.

    The rows are on the disk afterwards. A crash in between may leave the last line cut short.
    """
    if not path.is_file():
        write_csv(path, header, rows)
        return
    with open(path, "a", encoding="utf-8", newline="") as file:
        file.write(_csv_lines(rows))
        file.flush()
        os.fsync(file.fileno())


def _csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")  # so that it quotes fields with either
    lines = []
    for row in rows:
        writer.writerow([number(field) if isinstance(field, float) else field for field in row])
        lines.append(text.getvalue()[:-2] + "\n")
        text.seek(0)
        text.truncate()
    return "".join(lines)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file as one dict a row, every field a text.

    Raises:
        OSError, ValueError: it cannot be read, or is no such file.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except csv.Error as error:
        raise ValueError(f"{path.name}: {error}") from error


def read_layers(directory: Path, up_to_step: int) -> list[list[str]]:
    """Return the fields of layers.csv, as texts, of the steps up to one; none where there is no such file yet."""
    path = directory / LAYERS
    rows = read_csv(path) if path.is_file() else []
    whole = [row for row in rows if None not in row and None not in row.values()]  # a crash may have cut the last short
    return [list(row.values()) for row in whole if int(row["step"]) <= up_to_step]


def read_groups(path: Path) -> dict[int, str] | None:
    """Return the group of each sample by its number, from a split.csv; None where it holds none, or is not there."""
    rows = read_csv(path) if path.is_file() else []
    return {int(row["id"]): row[GROUP] for row in rows} if rows and rows[0].get(GROUP) is not None else None


def note_look(directory: Path, command: str) -> None:
    """Write down that test is looked at now: each look that something is chosen by makes its figures less honest."""
    rows = [list(row.values()) for row in looks(directory)]
    write_csv(directory / LOOKS, ["time", "command"], [*rows, [time.strftime("%Y-%m-%d %H:%M:%S"), command]])


def looks(directory: Path) -> list[dict[str, str]]:
    """Return when test was looked at and by which command, the first look first."""
    path = directory / LOOKS
    return read_csv(path) if path.is_file() else []


def read_metrics(directory: Path) -> dict[str, dict[str, Any]]:
    """Return the metrics of each split; none where the run has not come to them. NaN and infinities are texts."""
    path = directory / METRICS
    return read_json(path) if path.is_file() else {}


def flat(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return a nested mapping as pairs of a dotted name and a text.

    >>> flat({"a": {"b": 1}, "c": [1, 2], "d": None})
    [('a.b', '1'), ('c', '1, 2')]
    """
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            rows += flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            rows.append((f"{prefix}{key}", ", ".join(map(str, value))))
        elif value is not None:
            rows.append((f"{prefix}{key}", str(value)))
    return rows


def read_changes(directory: Path) -> list[dict[str, Any]]:
    """Return the changes of a run's config since it began, the first one first; none where there were none."""
    path = directory / CHANGES
    return read_json(path) if path.is_file() else []


def read_history(directory: Path) -> list[dict[str, float]]:
    """Return the rows of history.csv as numbers; none where there is no such file yet."""
    path = directory / HISTORY
    if not path.is_file():
        return []
    whole = ("epoch", "step")
    return [{name: int(text) if name in whole else float(text) for name, text in row.items()} for row in read_csv(path)]
