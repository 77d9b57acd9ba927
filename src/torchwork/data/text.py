"""Texts of a delimited file with their labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from torchwork.data import columns
from torchwork.data.cells import Cells, read_cells, read_text
from torchwork.data.memory import Texts
from torchwork.data.wording import counted, named
from torchwork.types import Fault, Finding, InputError, Schema

READING = ("header", "separator", "quotes", "encoding")  # the options that say how the file is read


class TextCSV(Texts):
    r"""Texts in a column of a CSV file, or labelled lines (label, tab, text), with their target.

    A text is taken as it stands, spaces, case and quotation marks included. Columns that are neither text nor target
    nor split are kept as annotations.

    Args:
        path: The file, which may be compressed.
        text_column: The column with the texts; by default ``text``, or without a header the second.
        target_column: The column with the target; by default ``label``, or without a header the first.
        split_column: A column that says train, val or test, where there is one.
        header: Whether the first line names the columns; where not, they are named 0, 1 and so on.
        separator: What stands between cells; by default a tab in ``.tsv`` files and where the first line has
            one, else a comma.
        quotes: Whether quotation marks enclose cells, rather than being characters like any other; by default not in
            a file that is separated by tabs.
        kind: Whether the target is a class or a number; guessed where left out: floats are numbers, all else classes.
        encoding: How bytes are characters, as ``cp1252``.

    Raises:
        InputError: a missing file or column, bytes that are no characters (by line), rows of unequal length, quotation
            marks that do not match, empty cells of the target, one class only.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     path = pathlib.Path(place, "few.tsv")
    ...     _ = path.write_text('ham\tSay "yes"\nspam\tWIN!\n')
    ...     source = TextCSV(str(path), header=False)
    >>> source.texts, source.targets.tolist(), source.name(1)
    (['Say "yes"', 'WIN!'], ['ham', 'spam'], 'line 2')
    """

    def __init__(
        self,
        path: str,
        text_column: str | None = None,
        target_column: str | None = None,
        split_column: str | None = None,
        header: bool = True,
        separator: str | None = None,
        quotes: bool | None = None,
        kind: columns.Kind | None = None,
        encoding: str = "utf-8",
    ) -> None:
        found = read_cells(Path(path), "path", header=header, separator=separator, quotes=quotes, encoding=encoding)
        frame, lines = found
        target_column = target_column or ("label" if header else "0")
        text_column = text_column or default_text_column(header)
        wanted = {"text_column": text_column, "target_column": target_column, "split_column": split_column}
        _check_columns(frame, wanted, header)
        others = {name: typed(frame[name]) for name in frame.columns if name != text_column}
        _check_empty(found, [target_column] + ([split_column] if split_column else []))
        targets, kind = columns.targets_of(pd.DataFrame(others), [target_column], kind, "target_column")
        if kind == "class" and len(set(targets.tolist())) < 2:
            message = f"column {target_column!r} has one class only ({targets[0]})"
            raise InputError(Finding("one-class", "error", "target_column", message, "a classifier needs two"))
        texts = frame[text_column].tolist()
        super().__init__(
            texts,
            targets,
            Schema("text", kind, target_names=(target_column,) if kind == "number" else ()),
            columns.splits_of(others[split_column], "split_column") if split_column else None,
            [f"line {line}" for line in lines],
            [Fault(index, "missing", "the text is empty") for index in empty(texts)],
            {name: columns.values_of(others[name]) for name in others if name not in wanted.values()},
        )


def default_text_column(header: bool) -> str:
    """Return the column that holds the texts where none is named.

    >>> default_text_column(header=False)
    '1'
    """
    return "text" if header else "1"


def empty(texts: Sequence[str]) -> list[int]:
    """Return the places of the texts that hold nothing but space.

    >>> empty(["a", " ", ""])
    [1, 2]
    """
    return [place for place, text in enumerate(texts) if not text.strip()]


def _check_columns(frame: pd.DataFrame, wanted: Mapping[str, str | None], header: bool) -> None:
    findings = columns.missing_columns(frame, wanted)
    if findings and header:
        shown = named(map(repr, frame.columns))
        message = f"the first line names the columns {shown}"
        findings.append(Finding("columns", "error", "header", message, "set header: false if it is a sample"))
    named_twice = wanted["text_column"] in (wanted["target_column"], wanted["split_column"])
    if named_twice:
        message = f"column {wanted['text_column']!r} is named for another option as well"
        findings.append(Finding("target-as-input", "error", "text_column", message, "name another"))
    if findings:
        raise InputError(findings)


def _check_empty(found: Cells, used: Collection[str]) -> None:
    findings = []
    for name in used:
        bad = [f"line {found.lines[place]}" for place in empty(found.frame[name].tolist())]
        if bad:
            message = f"{counted(len(bad), 'cell is', 'cells are')} empty in column {name!r}: {named(bad)}"
            findings.append(Finding("missing-cells", "error", "path", message, "fill them in, or remove these lines"))
    if findings:
        raise InputError(findings)


def typed(column: pd.Series) -> pd.Series:
    """Return a column of texts as numbers where all of its cells that are not empty hold one; else stripped."""
    stripped = column.str.strip()
    stripped = stripped.mask(stripped == "")
    try:
        return pd.to_numeric(stripped)
    except (ValueError, TypeError):
        return stripped


def read_texts(files: Sequence[Path], spec: Mapping[str, Any]) -> Texts:
    """Return the texts in files as a source without targets, for prediction.

    A ``.txt`` file holds a text a line. Any other is read as those of training, and its texts stand in the same column,
    or in its only one.

    Args:
        files: The files.
        spec: The run's ``data.source``.

    Raises:
        InputError: a file that cannot be read, lacks the column, or holds an empty text, by line.
    """
    texts: list[str] = []
    names: list[str] = []
    findings: list[Finding] = []
    for file in files:
        try:
            found, lines = _texts_of(file, spec)
        except InputError as error:
            findings += error.findings
            continue
        findings += no_text([f"line {lines[place]}" for place in empty(found)], str(file))
        texts += found
        names += [f"{file} line {line}" for line in lines]
    if findings:
        raise InputError(findings)
    return Texts(texts, None, Schema("text", None), names=names)


def open_texts(texts: Sequence[str] | pd.DataFrame, spec: Mapping[str, Any]) -> Texts:
    """Return texts, or those of a data frame with the column of training, as a source without targets, for prediction.

    Raises:
        InputError: an empty text, a missing column, or the names of files in place of texts.

    >>> open_texts(["Hello you"], {}).name(0)
    'text 1'
    """
    if isinstance(texts, pd.DataFrame):
        texts = texts[text_column_of(texts, spec, "data frame")].fillna("").astype(str).tolist()
    found = Texts(texts, None, Schema("text", None))
    findings = no_text([found.name(place) for place in empty(found.texts)], "inputs")
    if found.texts and all(map(_is_file, found.texts)):
        message = f"expected texts, but these are the names of files: {named(map(repr, found.texts))}"
        findings.append(Finding("files-as-texts", "error", "inputs", message, "for files give Path objects"))
    if findings:
        raise InputError(findings)
    return found


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a text too long for a name
        return False


def no_text(names: Sequence[str], where: str) -> list[Finding]:
    """Return a finding that names the samples whose text is empty, where there are any."""
    if not names:
        return []
    message = f"{counted(len(names), 'text is', 'texts are')} empty: {named(names)}"
    return [Finding("no-text", "error", where, message, "remove what holds no text")]


def _texts_of(file: Path, spec: Mapping[str, Any]) -> tuple[list[str], list[int]]:
    if file.suffix == ".txt":
        text = read_text(file, str(file))
        lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
        return lines, list(range(1, len(lines) + 1))
    options = {name: spec[name] for name in READING if name in spec}
    frame, numbers = read_cells(file, str(file), **options)
    column = text_column_of(frame, spec, str(file))
    return frame[column].tolist(), numbers


def text_column_of(frame: pd.DataFrame, spec: Mapping[str, Any], where: str) -> str:
    """Return the column of a table that holds the texts: that of training, or the only one.

    Raises:
        InputError: there are several, and none of that name.
    """
    wanted = spec.get("text_column") or default_text_column(spec.get("header", True))
    if wanted in frame.columns:
        return wanted
    if len(frame.columns) == 1:
        return str(frame.columns[0])
    message = f"has no column {wanted!r}, but {named(map(repr, frame.columns))}"
    fix = "give the texts under the name that they had in training, or as the only column"
    raise InputError(Finding("missing-column", "error", where, message, fix))
