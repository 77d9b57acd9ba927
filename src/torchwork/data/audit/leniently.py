"""Opening data for a look at them, whatever is wrong with them: what a source refuses becomes findings."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from torchwork.data import columns, decode, folders, kinds
from torchwork.data.audio import SOUNDS
from torchwork.data.component import below
from torchwork.data.files import ImageFiles
from torchwork.data.folders import Sort
from torchwork.data.images import IMAGES
from torchwork.data.sound.files import SoundFiles
from torchwork.data.source import open_source
from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError, Schema, Source

_SOME_RATE = 16000  # at which sounds of several rates are looked at
_SORTS = {"ImageFolder": IMAGES, "AudioFolder": SOUNDS}


def opened(spec: Mapping[str, Any], where: str = "data.source") -> tuple[Source | None, list[Finding]]:
    """Open a source; where it refuses, return why, and the files that lie there as samples all the same.

    Files of a folder that are passed over and hold an image are told as well.

    Returns:
        The source, or None where there is nothing to look at, and what was found on the way.
    """
    findings: list[Finding] = []
    source: Source | None
    try:
        source = open_source(spec, where)
    except InputError as error:
        findings += error.findings
        source = _mended(spec, {finding.code for finding in findings}, where)
    root = spec.get("root")
    sort = _SORTS.get(str(spec.get("name")))
    if sort is None or not isinstance(root, str | Mapping):
        return source, findings
    roots = _roots(root)
    ignore = spec.get("ignore") or []
    if sort is IMAGES:
        findings += below(_passed_over(roots, ignore), where)
    if source is None and not spec.get("annotations"):
        try:
            source = _files(roots, sort, ignore, spec.get("sample_rate"))
        except InputError as error:
            findings += below(error.findings, where)
    return source, findings


def _mended(spec: Mapping[str, Any], codes: set[str], where: str) -> Source | None:
    """Return what is refused for a few cells or for its rates as if nothing was wrong with these, to be looked at."""
    try:
        if codes == {"several-rates"}:
            return open_source({**spec, "sample_rate": _SOME_RATE}, where)
        if spec.get("name") == "Table" and codes <= {"stray-texts", "empty-column"}:
            return open_source(_with_usable_columns(spec), where)
    except InputError:  # something else is wrong as well
        return None
    return None


def _with_usable_columns(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Table with columns of numbers and texts as categories, and without empty columns."""
    frame = columns.read_csv(Path(spec["path"]), "path")
    target, categories = spec["target"], list(spec.get("categories") or [])
    others = [target] if isinstance(target, str) else [*target]
    others += [spec.get("split_column"), *(spec.get("ignore") or [])]
    names = [name for name in spec.get("columns") or frame.columns if name not in others]
    stray = [name for name in names if name not in categories and columns.holds_stray_texts(frame[name])]
    filled = [name for name in names if frame[name].notna().any()]
    return {**spec, "columns": filled, "categories": [*categories, *stray]}


def unlabelled(folder: Path) -> Source | None:
    """Return the images below a folder as samples without targets, or None where there are none."""
    return _files({"": folder}, IMAGES, [])


def _roots(root: str | Mapping[str, str]) -> dict[str, Path]:
    """Return the folder of each split, as far as they are there; "" where there are no splits."""
    if isinstance(root, Mapping):
        given = {kinds.part_of(name) or name: Path(folder) for name, folder in root.items()}
    else:
        there = folders.visible(Path(root)) if Path(root).is_dir() else []
        parts = [(kinds.part_of(path.name), path) for path, is_folder in there if is_folder]
        given = {part: path for part, path in parts if part} if any(part == "train" for part, _ in parts) else {}
        given = given or {"": Path(root)}
    return {part: folder for part, folder in given.items() if folder.is_dir()}


def _is_ignored(path: Path, folder: Path, ignore: list[str]) -> bool:
    texts = (path.name, path.relative_to(folder).as_posix())
    return any(fnmatch.fnmatchcase(text, pattern) for text in texts for pattern in ignore)


def _files(roots: Mapping[str, Path], sort: Sort, ignore: list[str], sample_rate: int | None = None) -> Source | None:
    """Return all files of a sort; the class is the folder at the top, and where nothing lies in one, there are none."""
    found = []
    for part, folder in roots.items():
        for path in folders.files(folder):
            if sort.accepts(path) and not _is_ignored(path, folder, ignore):
                inner = path.relative_to(folder)
                label = inner.parts[0] if len(inner.parts) > 1 else None
                found.append((part, path, f"{folder.name}/{inner.as_posix()}" if part else inner.as_posix(), label))
    classified = [one for one in found if one[3] is not None]
    found = classified or found
    if not found:
        return None
    parts, paths, names, labels = (list(column) for column in zip(*found, strict=True))
    at = np.array(parts, object)
    given = None if "" in roots else {part: np.flatnonzero(at == part) for part in roots if part in parts}
    targets = np.array(labels, object) if classified else None
    kind: Any = ImageFiles if sort is IMAGES else SoundFiles
    inputs: Any = "image" if sort is IMAGES else "audio"
    schema = Schema(inputs, "class" if classified else None, sample_rate=sample_rate if sort is SOUNDS else None)
    return kind(paths, names, targets, schema, given)


def _passed_over(roots: Mapping[str, Path], ignore: list[str]) -> list[Finding]:
    """Tell of files that ``ignore`` passes over and that hold an image all the same."""
    others = [
        (folder, path)
        for folder in roots.values()
        for path in folders.files(folder)
        if not IMAGES.accepts(path) and _is_ignored(path, folder, ignore)
    ]
    hidden = [path.relative_to(folder).as_posix() for folder, path in others if _holds_image(path)]
    if not hidden:
        return []
    message = f"{counted(len(hidden), 'file holds', 'files hold')} an image that the name hides: {named(hidden)}"
    fix = "rename them, as .jpg, to have them read"
    return [Finding("mislabelled", "warning", "root", message, fix)]


def _holds_image(path: Path) -> bool:
    try:
        decode.header(path)
    except decode.UnreadableError:
        return False
    return True
