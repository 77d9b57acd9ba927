"""Which git commit a directory is at, and whether its files are those of that commit. No git program is started."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dulwich.repo import Repo

_MOST_FILES = 200_000  # of which each is looked at: about a second
_MOST_NAMED = 20


def of(directory: Path) -> dict[str, Any] | None:
    """Return the commit that a directory's repository is at, and what of its tracked files is changed.

    ``dirty`` is true where a tracked file, or what is staged, differs from the commit; then ``changed`` names the first
    ones. It is None where that cannot be known, and ``unknown`` says why. Files that git does not track count nowhere.
    The result is None where the directory is in no repository.

    >>> of(Path("/")) is None
    True
    """
    if not any((place / ".git").exists() for place in (directory, *directory.parents)):
        return None
    from dulwich.repo import Repo

    commit = None
    try:
        with Repo.discover(str(directory)) as repo:
            commit = repo.head().decode()
            changed = _changed(repo, commit)
    except Exception as error:  # whatever is odd about a repository, it is no reason not to train
        reason = str(error).partition("\n")[0] or type(error).__name__
        return {"commit": commit, "dirty": None, "unknown": f"{type(error).__name__}: {reason}"}
    if isinstance(changed, str):
        return {"commit": commit, "dirty": None, "unknown": changed}
    named = {"changed": changed[:_MOST_NAMED]} if changed else {}
    return {"commit": commit, "dirty": bool(changed), **named}


def _changed(repo: Repo, commit: str) -> list[str] | str:
    """Return the tracked files that are not as in the commit, or why that cannot be known."""
    from dulwich.index import IndexEntry, get_unstaged_changes
    from dulwich.objects import S_ISGITLINK, Commit

    index = repo.open_index()
    if len(index) > _MOST_FILES:
        return f"it has more than {_MOST_FILES:,} files"
    head = repo[commit.encode()]
    assert isinstance(head, Commit)
    staged = {name or old for (old, name), _, _ in index.changes_from_tree(repo.object_store, head.tree)}
    entries = [(name, entry) for name, entry in index.iteritems() if isinstance(entry, IndexEntry)]
    inner = {name: entry.sha for name, entry in entries if S_ISGITLINK(entry.mode)}
    unstaged = set(get_unstaged_changes(index, repo.path)) - inner.keys()
    if unstaged and _filtered(repo):
        return "its files pass through filters (line ends, large files) that only git can apply"
    moved = {name for name, sha in inner.items() if _moved(Path(repo.path) / os.fsdecode(name), sha.decode())}
    return sorted(os.fsdecode(name) for name in staged | unstaged | moved if name is not None)


def _moved(directory: Path, commit: str) -> bool:
    """Tell whether a repository inside of another one is not as that one has it; one that is not there is."""
    found = of(directory) if (directory / ".git").exists() else None
    return found is not None and (found["commit"] != commit or bool(found["dirty"]))


def _filtered(repo: Repo) -> bool:
    """Tell whether files lie on the disk in other bytes than in the repository."""
    attributes = Path(repo.path) / ".gitattributes"
    said = attributes.read_text(errors="replace") if attributes.is_file() else ""
    try:
        converted = repo.get_config_stack().get((b"core",), b"autocrlf").lower() == b"true"
    except KeyError:
        converted = False
    return converted or any(word in said for word in ("filter=", "eol=crlf", "ident"))
