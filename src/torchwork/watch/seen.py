"""What is to be seen of a run on disk at this moment, whatever is missing, half written or wrong there."""

from __future__ import annotations

import csv
import json
import math
import shlex
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from torchwork import processes, rundir
from torchwork.report import names

MOST_EPOCHS = 2000  # of a longer history every second, third, ... epoch is sent
_LOG_BYTES, _LOG_LINES = 8192, 40
_LATELY = 5  # epochs whose mean tells how long one takes

SAID = {
    "training": "Training",
    "evaluating": "Judging the epoch on val",
    "finishing": "Training is over; the best weights are evaluated and the report is written",
    "finished": "Finished",
    "stopped": "Stopped",
    "failed": "Failed",
    "died": "Died: its process is gone, and it did not say why",
    "idle": "Not going on",
}
GOING_ON = ("training", "evaluating", "finishing")
_STOPPABLE = ("training", "evaluating")  # afterwards there is nothing left to save


def state(directory: Path) -> dict[str, Any]:
    """Return where a run stands, as JSON can hold it; what nobody knows is None.

    ``phase`` is a key of `SAID` and ``said`` its sentence; ``files`` holds a stamp of each file that the page shows,
    which changes when the file does, and None where there is none.
    """
    live = _live(directory)
    phase, process = _phase(directory, live)
    going_on = phase in GOING_ON
    rows = epochs(directory)
    local = process is not None and processes.standing(process) == "alive"
    return {
        "directory": str(directory),
        "name": _name(directory / rundir.CONFIG, _stamp(directory / rundir.CONFIG)),
        "phase": phase,
        "said": SAID[phase],
        "going_on": going_on,
        "message": _text(live.get("message")) if phase in ("stopped", "failed") else "",
        "where": "" if local or not going_on or process is None else process.host,
        "can_stop": phase in _STOPPABLE and local and live.get("stops") is True,
        "ago": _number(time.time() - at) if (at := _number(live.get("at"))) is not None and going_on else None,
        **{name: _number(live.get(name)) if going_on else None for name in _FIGURES},
        "waiting": _share(live.get("waited"), live.get("seconds")) if going_on else None,
        "left": _left(live, rows) if phase in ("training", "evaluating") else None,
        "done": len(rows),
        "files": {name: _stamp(directory / path) for name, path in FILES.items()},
        "log": log(directory),
        "resume": f"torchwork resume {shlex.quote(str(directory))}",
    }


_FIGURES = ("epoch", "epochs", "step", "steps", "train_loss", "lr", "samples_per_second")
FILES = {
    "history": rundir.HISTORY,
    "worst": f"{rundir.SAMPLES}/{rundir.WORST}",
    "batch": f"{rundir.SAMPLES}/{rundir.LAST_BATCH}",
    "report": rundir.REPORT,
}


@lru_cache(maxsize=1)
def _name(config: Path, stamp: str | None) -> str:
    """Return what the run's config calls it, read anew when the file has changed; empty where it says nothing."""
    if stamp is None:
        return ""
    import yaml

    try:
        found = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return ""
    return _text(found.get("name")) if isinstance(found, dict) else ""


def process_of(directory: Path) -> processes.Process | None:
    """Return the process that says of itself that it runs a run, where there is one that can be meant."""
    live = _live(directory)
    texts = [live.get(name) for name in ("started", "host", "space")]
    pid = live.get("pid")
    if type(pid) is not int or pid < 2 or not all(isinstance(text, str) for text in texts):
        return None
    return processes.Process(pid, *map(str, texts))


def _phase(directory: Path, live: Mapping[str, Any]) -> tuple[str, processes.Process | None]:
    process = process_of(directory)
    phase = str(live.get("phase"))
    if phase in GOING_ON and process is not None and processes.standing(process) != "gone":
        return phase, process
    if rundir.is_complete(directory):
        return "finished", None
    if phase in GOING_ON:
        return "died", None
    return (phase if phase in ("stopped", "failed") else "idle"), None


def _live(directory: Path) -> dict[str, Any]:
    try:
        found = rundir.read_json(directory / rundir.LIVE)
    except (OSError, ValueError):  # not there, or cut off
        return {}
    return found if isinstance(found, dict) else {}


def epochs(directory: Path) -> list[dict[str, float | None]]:
    """Return the rows of history.csv, None for what is no number; rows without an epoch are left out."""
    try:
        with open(directory / rundir.HISTORY, newline="", encoding="utf-8", errors="replace") as file:
            rows = [{str(name): _number(text) for name, text in row.items()} for row in csv.DictReader(file)]
    except (OSError, csv.Error):
        return []
    return [row for row in rows if row.get("epoch") is not None]


def history(directory: Path) -> dict[str, Any]:
    """Return the history as columns and rows; ``every`` says that only each so many-th epoch is there, and the last."""
    rows = epochs(directory)
    every = -(-len(rows) // MOST_EPOCHS) or 1
    kept = [row for place, row in enumerate(rows) if (len(rows) - 1 - place) % every == 0]
    columns = list(rows[0]) if rows else []
    titles = {name: names.metric(name) for name in columns}
    values = [[row.get(name) for name in columns] for row in kept]
    return {"columns": columns, "titles": titles, "rows": values, "every": every}


def worst(directory: Path) -> dict[str, Any]:
    """Return the worst samples of the last epoch that they were looked up in."""
    try:
        found = rundir.read_json(directory / FILES["worst"])
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("samples"), list) else {}


def log(directory: Path) -> list[str]:
    """Return the last lines of the log."""
    try:
        with open(directory / rundir.LOG, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LOG_BYTES))
            lines = file.read(_LOG_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return []
    return lines[-_LOG_LINES:] if size <= _LOG_BYTES else lines[1:][-_LOG_LINES:]


def encoded(content: Any) -> bytes:
    """Return content as JSON; lone surrogates, as names of files may hold, become escapes."""
    return json.dumps(content, allow_nan=False).encode()


def _left(live: Mapping[str, Any], rows: list[dict[str, float | None]]) -> float | None:
    """Return the seconds that are left at most, from the last epochs' time, else from the running one's share."""
    epoch, epochs_, step, steps, seconds = (
        _number(live.get(name)) for name in ("epoch", "epochs", "step", "steps", "seconds")
    )
    if epoch is None or epochs_ is None or not steps or step is None:
        return None
    share = min(1.0, step / steps)
    lately = [value for row in rows[-_LATELY:] if (value := row.get("seconds")) is not None]
    if lately:
        an_epoch = sum(lately) / len(lately)
    elif share and seconds:
        an_epoch = seconds / share
    else:
        return None
    return max(0.0, (epochs_ - epoch + 1 - share) * an_epoch)


def _share(part: Any, whole: Any) -> float | None:
    some, every = _number(part), _number(whole)
    return min(1.0, max(0.0, some / every)) if some is not None and every else None


def _number(value: Any) -> float | None:
    """Return a finite number, from a text too."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _stamp(path: Path) -> str | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"
