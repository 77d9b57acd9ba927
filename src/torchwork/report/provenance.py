"""What a page says of how a run came about: where it was made, where it was resumed, what was changed on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchwork import rundir
from torchwork.report.data_facts import section
from torchwork.report.facts import Facts

RESUMED = "resumed"
_MOST_STEPS = 20


def environment_rows(facts: Facts) -> list[tuple[str, str]]:
    """Return where and with what a run was made, and what was otherwise where it was resumed."""
    began = {key: value for key, value in facts.environment.items() if key not in (RESUMED, "git")}
    rows = [(name.removeprefix("packages."), value) for name, value in rundir.flat(began)]
    rows += _git_rows(section(facts.environment, "git"))
    sessions = resumed(facts)
    if sessions:
        steps = [str(session.get("step", "")) for session in sessions]
        more = f" and {len(steps) - _MOST_STEPS} more" if len(steps) > _MOST_STEPS else ""
        rows.append(("resumed after step", ", ".join(steps[:_MOST_STEPS]) + more))
    for session in sessions:
        for key, values in section(session, "differs").items():
            if isinstance(values, list) and len(values) == 2:
                name = f"{str(key).removeprefix('packages.')} after step {session.get('step', '')}"
                rows.append((name, f"{values[1]} (it was {values[0]})"))
    return rows


def _git_rows(git: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the commit, and whether the files that git tracks were those of it."""
    if not git:
        return []
    names = git.get("changed")
    listed = f": {', '.join(map(str, names))}" if isinstance(names, list) and names else ""
    dirty, unknown = git.get("dirty"), f"unknown: {git.get('unknown', '')}"
    state = f"changed since{listed}" if dirty is True else "as in the commit" if dirty is False else unknown
    return [("git commit", str(git.get("commit") or "unknown")), ("tracked files", state)]


def resumed(facts: Facts) -> list[Mapping[str, Any]]:
    """Return where a run was resumed, the first time first."""
    found = facts.environment.get(RESUMED)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def changes(facts: Facts) -> list[str]:
    """Return what was changed in a run's config since it began, a sentence for each time."""
    return [f"After step {entry.get('step', '?')}: {'; '.join(_changed(entry))}." for entry in facts.changes]


def _changed(entry: Mapping[str, Any]) -> list[str]:
    listed = entry.get("changes")
    found = [change for change in listed if isinstance(change, Mapping)] if isinstance(listed, list) else []
    return [f"{change.get('key')} {change.get('old')} → {change.get('new')}" for change in found]


def harmful(facts: Facts) -> list[str]:
    """Return the changes that make another run of it than its config gives from the start."""
    told = zip(changes(facts), facts.changes, strict=True)
    return [sentence for sentence, entry in told if entry.get("harmless") is not True]
