"""Files in folders, and what their places and names say of them: the class, the split, further columns."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from torchwork.data.kinds import part_of
from torchwork.data.wording import counted, named
from torchwork.types import Fault, Finding, InputError

# What systems leave beside a user's files. Names that begin with a dot are passed over as well.
SIDE_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir"})


@dataclass(frozen=True)
class Sort:
    """The sort of files that a source reads: how to tell them by name, and what to call them."""

    accepts: Callable[[Path], bool]
    one: str  # image
    several: str  # images
    not_one: str  # not-an-image, the code of a finding
    ending: str  # .jpg, for examples
    otherwise: str = ""  # where else the class can stand than in a folder's name


@dataclass(frozen=True)
class Labelled:
    """Files with what is known of each: a name for people, the class, the split it comes with, further columns.

    ``faults`` are those below class folders whose name is not that of a file of the sort.
    """

    paths: list[Path]
    names: list[str]
    targets: np.ndarray
    given: dict[str, np.ndarray] | None
    annotations: dict[str, np.ndarray]
    faults: list[Fault] = field(default_factory=list, kw_only=True)


def labelled(root: str | Mapping[str, str], sort: Sort, ignore: list[str], pattern: str | None = None) -> Labelled:
    """Return the files of a sort below a folder, or below the folder of each split, with their classes.

    The class is the name of the folder at the top, or what the group ``label`` of ``pattern`` matches: a regular
    expression that fits the whole name of each file (where it has a ``/``, the whole path below the root). Its other
    named groups become ``annotations``.

    Raises:
        InputError: a missing path, an empty folder, one class only, files of another sort that lie in no class folder,
            names that do not fit.
    """
    expression = None if pattern is None else compiled(pattern)
    roots, findings = _roots(root, sort, flat=pattern is not None)
    paths, names, labels, parts = [], [], [], []
    further: list[dict[str, str]] = []
    for part, (folder, prefix) in roots.items():
        found, wrong = (
            _class_files(folder, sort, ignore) if expression is None else _named_files(folder, sort, ignore, expression)
        )
        findings += wrong
        for path, said in found:
            paths.append(path)
            names.append(prefix + _below(path, folder))
            labels.append(said.pop("label"))
            parts.append(part)
            further.append(said)
    faults = [
        Fault(index, sort.not_one, f"{path.suffix or 'a name without an ending'} is no ending of {sort.several}")
        for index, path in enumerate(paths)
        if not sort.accepts(path)
    ]
    train = sorted({label for label, part in zip(labels, parts, strict=True) if part in ("", "train")})
    if not findings and len(train) < 2:
        what = f"has one class only ({train[0]})" if train else f"has no {sort.several} to train on"
        fix = f"expected at least two class folders: root/cat/1{sort.ending}, root/dog/1{sort.ending}"
        if expression is not None:
            fix = "expected a pattern whose group label tells at least two classes apart"
        code = "one-class" if train else "no-samples"
        findings.append(Finding(code, "error", "root", f"{root} {what}", fix))
    if findings:
        raise InputError(findings)
    at = np.array(parts, object)
    given = None if "" in roots else {part: np.flatnonzero(at == part) for part in roots}
    groups = [] if expression is None else [group for group in expression.groupindex if group != "label"]
    annotations = {group: np.array([said[group] for said in further], object) for group in groups}
    return Labelled(paths, names, np.array(labels, object), given, annotations, faults=faults)


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern with a group named ``label``.

    Raises:
        InputError: it is no regular expression, or has no such group.

    >>> compiled(r"(?P<label>\\d)_(?P<speaker>\\w+)_\\d+\\.wav").match("7_ann_0.wav")["speaker"]
    'ann'
    """
    fix = r"as (?P<label>\d)_(?P<speaker>\w+)_\d+\.wav for 7_ann_0.wav"
    try:
        expression = re.compile(pattern)
    except re.error as error:
        message = f"{pattern!r} is no regular expression: {error}"
        raise InputError(Finding("wrong-pattern", "error", "pattern", message, fix)) from error
    if "label" not in expression.groupindex:
        message = f"{pattern!r} has no group named label"
        raise InputError(Finding("no-label", "error", "pattern", message, fix))
    return expression


def no_folder(folder: Path, where: str, sort: Sort) -> list[Finding]:
    """Return a finding where a folder is not there."""
    if folder.is_dir():
        return []
    found = "is a file" if folder.exists() else "is not there"
    return [
        Finding("missing-path", "error", where, f"{folder} {found}", f"give the path of a folder of {sort.several}")
    ]


def visible(folder: Path) -> list[tuple[Path, bool]]:
    """Return what a folder holds and whether it is a folder, sorted by name, without what systems leave there."""
    entries = sorted((entry.name, entry.is_dir()) for entry in os.scandir(folder))
    return [
        (folder / name, is_folder)
        for name, is_folder in entries
        if not name.startswith(".") and name.lower() not in SIDE_FILES
    ]


def files(folder: Path, seen: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Yield the files below a folder in order; a link back to a folder above is not followed."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    for path, is_folder in visible(folder):
        if is_folder:
            yield from files(path, seen | {real})
        else:
            yield path


def _roots(root: str | Mapping[str, str], sort: Sort, flat: bool) -> tuple[dict[str, tuple[Path, str]], list[Finding]]:
    """Return the folder of each split with the prefix of its files' names; the split "" where there are none.

    ``flat`` says that files need no class folders, so that a folder train may lie beside any others.
    """
    if isinstance(root, Mapping):
        return _root_of_each(root, sort)
    folder = Path(root)
    findings = no_folder(folder, "root", sort)
    if findings:
        return {}, findings
    by_part: dict[str, list[Path]] = {}
    for path in (path for path, is_folder in visible(folder) if is_folder):
        by_part.setdefault(part_of(path.name) or "", []).append(path)
    if "train" in by_part and "" not in by_part:
        twice = [named([path.name for path in paths]) for paths in by_part.values() if len(paths) > 1]
        if twice:
            message = f"{folder} has two folders for one split: {'; '.join(twice)}"
            return {}, [Finding("two-splits", "error", "root", message, "keep one of them")]
        return {part: (paths[0], f"{paths[0].name}/") for part, paths in by_part.items()}, []
    if not flat and "train" in by_part and all(is_folder for _, is_folder in visible(by_part["train"][0])):
        others = named([path.name for path in by_part[""]])
        message = f"{folder} has a folder train that holds folders only, beside {others}"
        fix = "keep either split folders or class folders there, or give root: {train: ..., val: ..., test: ...}"
        return {}, [Finding("mixed-folders", "error", "root", message, fix)]
    return {"": (folder, "")}, []


def _root_of_each(root: Mapping[str, str], sort: Sort) -> tuple[dict[str, tuple[Path, str]], list[Finding]]:
    roots, findings = {}, []
    for name, folder in root.items():
        part = part_of(name)
        if part is None:
            findings.append(Finding("no-split", "error", f"root.{name}", "is no split", "use train, val and test"))
        else:
            roots[part] = (Path(folder), f"{part}/")
            findings += no_folder(Path(folder), f"root.{name}", sort)
    if "train" not in roots and not findings:
        findings.append(Finding("no-train", "error", "root", "has no train", "add train: folder"))
    return ({} if findings else roots), findings


def _below(path: Path, folder: Path) -> str:
    """Return the path below a folder in which it was found, with ``/``; ``relative_to`` takes ten times as long."""
    start = str(folder)
    cut = 0 if start == "." else len(start) + (not start.endswith(os.sep))
    return str(path)[cut:].replace(os.sep, "/")


Found = list[tuple[Path, dict[str, str]]]


def _ignored(path: Path, folder: Path, ignore: list[str]) -> bool:
    texts = (path.name, _below(path, folder)) if ignore else ()
    return any(fnmatch.fnmatchcase(text, pattern) for text in texts for pattern in ignore)


def _class_files(folder: Path, sort: Sort, ignore: list[str]) -> tuple[Found, list[Finding]]:
    """Return each file below class folders with its class, and what is wrong with the rest.

    A class folder without any file of the sort has no class to give.
    """
    found: Found = []
    strange, loose, empty = [], [], []
    for entry, is_folder in visible(folder):
        below = [path for path in (files(entry) if is_folder else [entry]) if not _ignored(path, folder, ignore)]
        fit = [path for path in below if sort.accepts(path)]
        if is_folder and fit:
            found += [(path, {"label": entry.name}) for path in below]
            continue
        strange += [path for path in below if not sort.accepts(path)]
        if is_folder:
            empty.append(entry.name)
        else:
            loose += fit
    findings = _strange(strange, folder, sort)
    if loose:
        said = (f"{sort.one} lies in no class folder", f"{sort.several} lie in no class folder")
        findings.append(
            _told("no-class", loose, folder, said, f"move each into the folder of its class{sort.otherwise}")
        )
    if empty:
        message = f"no {sort.several} in {counted(len(empty), 'class folder', 'class folders')} of {folder}"
        fix = f"add {sort.several} or remove the folders"
        findings.append(Finding("empty-class", "error", "root", f"{message}: {named(empty)}", fix))
    return found, findings


def _named_files(
    folder: Path, sort: Sort, ignore: list[str], expression: re.Pattern[str]
) -> tuple[Found, list[Finding]]:
    """Return each file below a folder with what the pattern's groups match, and what is wrong with the rest."""
    found: Found = []
    below = [path for path in files(folder) if not _ignored(path, folder, ignore)]
    misnamed = []
    for path in (path for path in below if sort.accepts(path)):
        text = _below(path, folder) if "/" in expression.pattern else path.name
        match = expression.fullmatch(text)
        if match is None or not match["label"]:
            misnamed.append(path)
        else:
            found.append((path, match.groupdict(default="")))
    findings = _strange([path for path in below if not sort.accepts(path)], folder, sort)
    if misnamed:
        said = (
            f"{sort.one} has a name that pattern does not fit",
            f"{sort.several} have names that pattern does not fit",
        )
        fix = "correct the pattern, which has to fit the whole name, or name these files in ignore"
        findings.append(_told("no-class", misnamed, folder, said, fix))
    return found, findings


def _strange(paths: list[Path], folder: Path, sort: Sort) -> list[Finding]:
    if not paths:
        return []
    said = (f"file is no {sort.one}", f"files are no {sort.several}")
    fix = "remove them, or name them in ignore, as ignore: ['*.txt']"
    return [_told(sort.not_one, paths, folder, said, fix)]


def _told(code: str, paths: list[Path], folder: Path, said: tuple[str, str], fix: str) -> Finding:
    shown = named([_below(path, folder) for path in paths])
    return Finding(code, "error", "root", f"{counted(len(paths), *said)} in {folder}: {shown}", fix)
