"""What ``torchwork predict`` does: predict files, print and write a row for each sample."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torchwork import rundir
from torchwork.cli import layout
from torchwork.types import Finding, InputError, RunError

_MOST_ON_A_TERMINAL = 50
_MOST_COLUMNS = 8
_MOST_BARS = 10
_BAR = 20  # characters of a bar for a score of 1


def predict_files(run: Path, files: Sequence[Path], out: Path, *, explain: bool = False) -> None:
    """Predict the samples in files with a run's model; print them, and write them to ``out``.

    With ``explain`` each prediction is printed with its scores and what was decisive, and drawn beside ``out``.

    Images and sounds that cannot be read have no row; they are named at the end, when all others are written.

    Raises:
        InputError: no such run or file, files that the model cannot take, or a place that cannot be written.
        RunError: some of the files could not be read.
    """
    rundir.existing(run)
    _check_files(files, out)
    from torchwork import run as runs

    opened, wanted = runs.load(run), _expanded(files)
    rows, lost = _predicted(opened, wanted)
    header, table = as_table(rows)
    told = _explained(opened, [file for file in wanted if file not in lost], rows, out) if explain else []
    try:
        rundir.write_csv(out, header, table)
    except OSError as error:
        message = f"cannot write {out}: {error.strerror}"
        raise InputError(Finding("out-unwritable", "error", "--out", message, "choose another file")) from error
    if told:
        print("\n".join(told))
    else:
        _print(header, table)
    print(f"\n{len(table):,} prediction{'s' if len(table) != 1 else ''} in {out}", file=sys.stderr)
    if lost:
        said = [f"  {file}: {reason}" for file, reason in lost.items()]
        title = f"{len(lost)} file{'s' if len(lost) != 1 else ''} cannot be read and had no prediction"
        raise RunError("\n".join([title, *said]))


def _predicted(run: Any, files: Sequence[Path]) -> tuple[list[dict[str, Any]], dict[Path, str]]:
    """Predict the files that can be read; return the others with the reasons.

    They are looked for only where a prediction fails, as that decodes every file once more.
    """
    try:
        return run.predict(files), {}
    except InputError:
        from torchwork.data.predict import unreadable

        lost = unreadable(files)
        readable = [file for file in files if file not in lost]
        if not lost or not readable:
            raise
    return run.predict(readable), lost


def _explained(run: Any, files: Sequence[Path], rows: Sequence[Mapping[str, Any]], out: Path) -> list[str]:
    """Explain and draw predictions; return what there is to print of them."""
    from torchwork.explaining import explain

    lines: list[str] = []
    for row, why in zip(rows, explain(run, files, rows, out.parent), strict=True):
        said = {name: value for name, value in _flat(row).items() if name != "name" and not name.startswith("score_")}
        lines += ["", why.name, *(f"  {name}  {_cell(value)}" for name, value in list(said.items())[:_MOST_COLUMNS])]
        lines += [f"  {line}" for line in bars(row.get("scores") or {})]
        lines += [f"  {why.decisive}", f"  drawn in {why.path}"]
    return lines


def bars(scores: Mapping[str, float]) -> list[str]:
    """Return the greatest ten of several scores as lines with bars, the greatest first; bars are shares of 1.

    >>> bars({"cat": 0.25, "a dog": 0.75})
    ['a dog  0.7500  ###############', 'cat    0.2500  #####']
    """
    best = sorted(scores.items(), key=lambda item: -item[1])[:_MOST_BARS]
    widest = max((len(str(name)) for name, _ in best), default=0)
    drawn = [(str(name), value, "#" * round(min(max(value, 0.0), 1.0) * _BAR)) for name, value in best]
    lines = [f"{name.ljust(widest)}  {value:.4f}  {bar}".rstrip() for name, value, bar in drawn]
    return lines if len(scores) <= _MOST_BARS else [*lines, f"... and {len(scores) - _MOST_BARS:,} more"]


def _check_files(files: Sequence[Path], out: Path) -> None:
    findings = [
        Finding(
            "no-file", "error", str(file), "there is no such file", "name images, sounds, folders, CSV or .npz files"
        )
        for file in files
        if not file.exists()
    ]
    if out.is_dir():
        findings.append(Finding("out-taken", "error", "--out", f"{out} is a directory", "name a file"))
    elif any(file.resolve() == out.resolve() for file in files):
        findings.append(Finding("out-taken", "error", "--out", f"{out} is one of the inputs", "name another file"))
    elif out.exists() and not _is_ours(out):
        message = f"{out} is there already, and holds no predictions"
        findings.append(Finding("out-taken", "error", "--out", message, "name another file"))
    if findings:
        raise InputError(findings)


def _expanded(files: Sequence[Path]) -> list[Path]:
    """Replace each folder by the files below it, in order; those that begin with a dot are passed over."""
    found = []
    for file in files:
        below = [path for path in sorted(file.rglob("*")) if path.is_file()] if file.is_dir() else [file]
        found += [path for path in below if not file.is_dir() or not path.name.startswith(".")]
    return found


def _is_ours(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.readline().startswith(b"name,prediction")


def as_table(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """Return predictions as a header and rows: the name, the prediction, its probability, and a score a class.

    >>> as_table([{"name": "a.png", "prediction": "cat", "probability": 0.9, "scores": {"cat": 0.9, "dog": 0.1}}])
    (['name', 'prediction', 'probability', 'score_cat', 'score_dog'], [['a.png', 'cat', 0.9, 0.9, 0.1]])
    >>> as_table([{"name": "0", "prediction": {"x": 1.0, "y": 2.0}}])
    (['name', 'prediction_x', 'prediction_y'], [['0', 1.0, 2.0]])
    """
    flat = [_flat(row) for row in rows]
    header = list(dict.fromkeys(name for row in flat for name in row))
    return header, [[row.get(name) for name in header] for row in flat]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            prefix = "score" if name == "scores" else name
            flat |= {f"{prefix}_{key}": item for key, item in value.items()}
        else:
            flat[name] = value
    return flat


def _print(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print the table without scores; of a vector's numbers only the first, as the file holds them all."""
    told = [index for index, name in enumerate(header) if not name.startswith("score_")]
    shown = told[: _MOST_COLUMNS + 1]
    most = _MOST_ON_A_TERMINAL if sys.stdout.isatty() else len(rows)
    names = [header[index] for index in shown]
    cells = [[_cell(row[index]) for index in shown] for row in rows[:most]]
    layout.table(names, cells, right=[name for name in names if name != "name"])
    if len(rows) > most:
        print(f"... and {len(rows) - most:,} more")
    if len(told) > len(shown):
        print(f"... and {len(told) - len(shown):,} more columns")


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
