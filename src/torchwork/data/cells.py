"""The cells of a delimited text file as they stand there, each with its line: nothing is guessed or left out."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError

_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_ESCAPED = range(0xDC80, 0xDD00)  # what stands for a byte that is no character, with "surrogateescape"


class Cells(NamedTuple):
    """A table of texts [N, columns], and the line of the file at which each row begins, from 1."""

    frame: pd.DataFrame
    lines: list[int]


def read_cells(
    path: Path,
    where: str,
    *,
    header: bool = True,
    separator: str | None = None,
    quotes: bool | None = None,
    encoding: str = "utf-8",
) -> Cells:
    """Read a delimited file (also compressed by gzip, bzip2 or xz) as texts; empty lines are passed over.

    Args:
        path: The file.
        where: The place in the config, for findings.
        header: Whether the first line names the columns; where not, they are named 0, 1 and so on.
        separator: Left out, a tab in ``.tsv`` files and where the first line holds one, else a comma.
        quotes: Whether a quotation mark encloses a cell, in which it is doubled (RFC 4180), rather than being a
            character like any other. Left out, not in files separated by tabs, which know no quoting
            (text/tab-separated-values of IANA).
        encoding: How bytes are characters.

    Raises:
        InputError: the file is not there, holds nothing, bytes that are no characters (by line), rows that have not as
            many cells as the first (by line), a cell whose quotation marks do not match, two columns of one name.
    """
    text = read_text(path, where, encoding)
    if separator is None:
        separator = "\t" if ".tsv" in path.suffixes or "\t" in text.split("\n", 1)[0] else ","
    quoted = separator != "\t" if quotes is None else quotes
    split = _quoted(text, separator, path, where) if quoted else _plain(text, separator)
    lines, rows = [], []
    for line, cells in split:
        lines.append(line)
        rows.append(cells)
    if len(rows) <= header:
        raise InputError(Finding("no-samples", "error", where, f"{path} has no rows", "give at least two"))
    names = [cell.strip() for cell in rows[0]] if header else list(map(str, range(len(rows[0]))))
    uneven = [f"{len(row)} in line {line}" for line, row in zip(lines, rows, strict=True) if len(row) != len(names)]
    if uneven:
        message = f"{counted(len(uneven), 'row has', 'rows have')} not {len(names)} cells as the first: {named(uneven)}"
        fix = f"correct these lines, or set quotes: {'false' if quoted else 'true'} if "
        fix += "quotation marks are plain characters" if quoted else "quotation marks enclose cells"
        raise InputError(Finding("uneven-rows", "error", where, f"{path}: {message}", fix))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"{path} has two columns of the name {named(map(repr, twice))}"
        fix = "rename one" if header else ""
        raise InputError(Finding("double-column", "error", where, message, fix))
    return Cells(pd.DataFrame(rows[header:], columns=names, dtype=object), lines[header:])


def read_text(path: Path, where: str, encoding: str = "utf-8") -> str:
    """Return the text of a file, without a byte order mark.

    Raises:
        InputError: the file is not there or cannot be read; bytes that are no characters, by line.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "is not there"
        raise InputError(Finding("missing-path", "error", where, f"{path} {found}", "give the path of a text file"))
    try:
        with _OPENERS.get(path.suffix, open)(path, "rb") as file:
            content = file.read()
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        bad = _undecodable(content, encoding) or [str(error)]
        message = f"{counted(len(bad), 'line', 'lines')} of {path} cannot be read as {encoding}: {named(bad)}"
        fix = "save the file in UTF-8, or name its encoding, as encoding: cp1252"
        raise InputError(Finding("wrong-encoding", "error", where, message, fix)) from error
    except LookupError as error:
        raise InputError(Finding("wrong-value", "error", "encoding", str(error), "as utf-8 or cp1252")) from error
    except (OSError, EOFError, lzma.LZMAError) as error:
        message = f"{path} cannot be read: {error}"
        raise InputError(Finding("cannot-read", "error", where, message, "give a file that can be read")) from error


def _undecodable(content: bytes, encoding: str) -> list[str]:
    """Return the lines with bytes that are no characters, each with the first such byte."""
    try:
        text = content.decode(encoding, "surrogateescape")
    except UnicodeDecodeError:  # an encoding of several bytes a character may not be able to go on
        return []
    bad = []
    for number, line in enumerate(text.split("\n"), 1):
        place = next((place for place, letter in enumerate(line) if ord(letter) in _ESCAPED), None)
        if place is not None:
            bad.append(f"line {number} (byte 0x{ord(line[place]) - 0xDC00:02x} at character {place + 1})")
    return bad


def _plain(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.removesuffix("\r"):
            yield number, line.removesuffix("\r").split(separator)


def _quoted(text: str, separator: str, path: Path, where: str) -> Iterator[tuple[int, list[str]]]:
    limit = csv.field_size_limit(sys.maxsize)  # a text may be long
    start = 1
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        for row in reader:
            if row:
                yield start, row
            start = reader.line_num + 1
    except csv.Error as error:
        message = f"{path}: the row that begins in line {start} has quotation marks that do not match ({error})"
        fix = "double those inside a quoted cell, or set quotes: false if they are plain characters"
        raise InputError(Finding("unmatched-quotes", "error", where, message, fix)) from error
    finally:
        csv.field_size_limit(limit)
