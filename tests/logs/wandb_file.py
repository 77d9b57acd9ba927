"""Reading what the wandb library wrote offline, by the library's own messages."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = 32768
_HEADER = struct.Struct("<IHB")  # checksum, length, kind: whole 1, first 2, middle 3, last 4


def _payloads(content: bytes) -> Iterator[bytes]:
    """Yield the records of a file in LevelDB's log format, after the seven bytes that wandb puts before them."""
    assert content[:4] == b":W&B"
    place, parts = 7, b""
    while place + _HEADER.size <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER.size:
            place += left
            continue
        _, length, kind = _HEADER.unpack_from(content, place)
        if kind == 0:
            return
        parts += content[place + _HEADER.size : place + _HEADER.size + length]
        place += _HEADER.size + length
        if kind in (1, 4):
            yield parts
            parts = b""


def records(path: Path) -> Iterator[Any]:
    """Yield every record of a ``.wandb`` file."""
    from wandb.proto import wandb_internal_pb2

    for payload in _payloads(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(payload)
        yield record


def _items(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def history(path: Path) -> list[dict[str, Any]]:
    """Return the rows of the history, each with its step."""
    return [
        {**_items(record.history.item), "_step": record.history.step.num}
        for record in records(path)
        if record.WhichOneof("record_type") == "history"
    ]


def summary(path: Path) -> dict[str, Any]:
    """Return what was put into the summary."""
    found: dict[str, Any] = {}
    for record in records(path):
        if record.WhichOneof("record_type") == "summary":
            found |= _items(record.summary.update)
    return found


def run(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the id of the run and its config."""
    first = next(record.run for record in records(path) if record.WhichOneof("record_type") == "run")
    return first.run_id, _items(first.config.update)
