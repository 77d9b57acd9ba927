"""Tables and titles: with rich on a terminal, aligned plain text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from torchwork.types import printable


def title(text: str) -> None:
    """Print a title."""
    text = printable(text)
    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(f"\n[bold]{_escaped(text)}[/bold]", soft_wrap=True)
    else:
        print(f"\n{text}")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print a table; the columns named in ``right`` are set flush right."""
    header, cells = [printable(name) for name in header], [[printable(cell) for cell in row] for row in rows]
    right = [printable(name) for name in right]
    if sys.stdout.isatty():
        _rich_table(header, cells, right)
    else:
        print("\n".join(plain_table(header, cells, right)))


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> list[str]:
    """Return a table as lines of aligned text.

    >>> plain_table(["split", "samples"], [["train", "70"], ["test", "5"]], right=["samples"])
    ['split  samples', 'train       70', 'test         5']
    """
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = []
    for row in [header, *rows]:
        fields = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for cell, width, name in zip(row, widths, header, strict=True)
        ]
        lines.append("  ".join(fields).rstrip())
    return lines


def _rich_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in header:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*map(_escaped, row))
    Console(highlight=False).print(made)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
