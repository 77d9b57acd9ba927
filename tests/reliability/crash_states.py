"""What a disk may hold after the power fails, from a record of what was done to it.

The model is weaker than any file system in use: of what was not synced, anything may be there or not. A file's bytes
that were written after its last sync are whole, cut off, zeros in any places (as what was written later got there
first), or absent. Names that were made, moved or removed in a
directory after its last sync are there or not, each on its own, whatever came before or after. Only what sync returned
for is sure.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from torchwork import durable


class Operation(NamedTuple):
    """One call of the six that durable writing is made of; paths are relative to the recorded folder."""

    kind: str
    path: str
    more: bytes | str = b""


PIECE = 64  # bytes that get to the disk together: less than any disk's, so that small files are torn, too

OPERATIONS = ("create_file", "make_directory", "sync", "rename", "remove_file", "remove_empty")


def record(monkeypatch, folder: Path) -> list[Operation]:
    """Let every operation below a folder be done and be written down in the list that is returned."""
    done: list[Operation] = []

    def noted(kind: str):
        real = getattr(durable, kind)

        def operation(path: Path, *more):
            real(path, *more)
            if path == folder or folder in path.parents:
                rest = str(more[0].relative_to(folder)) if kind == "rename" else more[0] if more else b""
                done.append(Operation(kind, str(path.relative_to(folder)), rest))

        monkeypatch.setattr(durable, kind, operation)

    for kind in OPERATIONS:
        noted(kind)
    return done


@dataclass
class Node:
    """A file or a directory: what is sure of it, and what was done since."""

    is_file: bool
    content: bytes = b""  # as the program sees it
    sure: bytes | None = None  # what is synced of a file
    entries: dict[str, Node] = field(default_factory=dict)  # as the program sees them
    safe: dict[str, Node] = field(default_factory=dict)  # what is synced of a directory
    loose: list[tuple[str, str, Node]] = field(default_factory=list)  # ("add" or "drop", name, node), unsynced


def disk_after(operations: list[Operation]) -> Node:
    """Return the disk as it stands after some operations, with what is sure and what is not."""
    root = Node(False)
    for kind, path, more in operations:
        *above, name = Path(path).parts or ("",)
        parent = _walk(root, above)
        if kind == "create_file":
            _add(parent, name, Node(True, bytes(more)))
        elif kind == "make_directory":
            _add(parent, name, Node(False))
        elif kind == "sync":
            _sync(parent.entries[name] if name else root)
        elif kind == "rename":
            target = Path(str(more))
            _rename(parent, name, _walk(root, target.parts[:-1]), target.name)
        elif name in parent.entries:  # remove_file, remove_empty
            parent.loose.append(("drop", name, parent.entries.pop(name)))
    return root


def _walk(root: Node, parts) -> Node:
    for part in parts:
        root = root.entries[part]
    return root


def _add(parent: Node, name: str, node: Node) -> None:
    parent.entries[name] = node
    parent.loose.append(("add", name, node))


def _rename(parent: Node, name: str, home: Node, new: str) -> None:
    assert parent is home, "a rename across directories is two changes, which this model does not know"
    node = parent.entries.pop(name)
    parent.entries[new] = node
    parent.loose.append(("move", f"{name}\0{new}", node))


def _sync(node: Node) -> None:
    if node.is_file:
        node.sure = node.content
    else:
        node.safe, node.loose = dict(node.entries), []


def crashed(root: Node, chance: random.Random) -> dict[str, bytes | None]:
    """Draw what may be found after a crash: the bytes of each file by its path, None for a directory."""
    found: dict[str, bytes | None] = {}
    luck = chance.choice((0.0, 0.5, 0.5, 0.9, 1.0))  # how much of what is not sure got to the disk

    def visit(node: Node, path: str) -> None:
        if node.is_file:
            found[path] = _bytes(node, chance, luck)
            return
        if path:
            found[path] = None
        entries = dict(node.safe)
        for kind, name, other in node.loose:
            if chance.random() >= luck:
                continue
            if kind == "move":
                old, _, new = name.partition("\0")
                if entries.get(old) is other:
                    del entries[old]
                entries[new] = other
            elif kind == "add":
                if name not in entries:
                    entries[name] = other
            elif entries.get(name) is other:
                del entries[name]
        for name, other in entries.items():
            visit(other, f"{path}/{name}" if path else name)

    visit(root, "")
    return found


def _bytes(node: Node, chance: random.Random, luck: float) -> bytes:
    if node.sure is not None:
        return node.sure
    if chance.random() < luck:
        return node.content
    if chance.random() < 0.3:
        pieces = [node.content[at : at + PIECE] for at in range(0, len(node.content), PIECE)]
        return b"".join(chance.choice((piece, bytes(len(piece)))) for piece in pieces)
    kept = node.content[: chance.randint(0, len(node.content))]
    return kept + bytes(len(node.content) - len(kept)) * chance.choice((0, 1))


def states(operations: list[Operation], wanted: int, seed: int) -> Iterator[tuple[int, dict[str, bytes | None]]]:
    """Yield different states of the disk, each after the first so many operations: every prefix, in turn."""
    seen: set[int] = set()
    chance = random.Random(seed)
    disks = [disk_after(operations[:count]) for count in range(len(operations) + 1)]
    fruitless = 0
    while len(seen) < wanted and fruitless < 50:
        fruitless += 1
        for count, disk in enumerate(disks):
            found = crashed(disk, chance)
            key = hash((count, tuple(sorted(found.items(), key=lambda item: item[0]))))
            if key not in seen:
                seen.add(key)
                fruitless = 0
                yield count, found
                if len(seen) == wanted:
                    return


def put(found: dict[str, bytes | None], folder: Path) -> None:
    """Make the files of a state below an empty folder."""
    for path, content in found.items():
        if content is None:
            (folder / path).mkdir(parents=True, exist_ok=True)
        else:
            (folder / path).write_bytes(content)
