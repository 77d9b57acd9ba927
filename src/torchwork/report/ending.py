"""How a run ended that did not come to its end: what it said last."""

from __future__ import annotations

import json
from pathlib import Path

from torchwork import rundir
from torchwork.report.names import label
from torchwork.types import Finding

_MOST = 600  # characters of the reason
_STAMP = "2026-01-02 03:04:05  "


def reason(directory: Path) -> Finding | None:
    """Return why a run failed or stopped, as a finding whose message is ``failed: …`` or ``stopped …``.

    live.json is asked first, which holds how the last attempt ended; then log.txt, whose last such line counts where
    the run was not resumed after it. None where neither says so, as of a run that was killed or is still going on.
    """
    if (directory / rundir.LIVE).is_file():
        where, said = rundir.LIVE, _live(directory / rundir.LIVE)
    else:
        where, said = rundir.LOG, _logged(directory / rundir.LOG)
    if not said:
        return None
    text = label(said, _MOST).rstrip(".")
    return Finding("stopped", "error", where, text, "the report lacks what would have come after")


def _live(path: Path) -> str:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    phase = content.get("phase") if isinstance(content, dict) else None
    if phase not in ("failed", "stopped"):
        return ""
    message = str(content.get("message") or "it gives no reason")
    return message if message.startswith(f"{phase} ") else f"{phase}: {message}"


def _logged(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        text = line[len(_STAMP) :]
        if text.startswith(("failed: ", "stopped ")):
            return text
        if text.startswith("resumed from"):
            return ""
    return ""
