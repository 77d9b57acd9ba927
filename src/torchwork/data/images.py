"""Images in class folders, or named by an annotations file."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from torchwork.data import columns, decode
from torchwork.data.files import ImageFiles
from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError, Schema

# What systems leave beside a user's files. Names that begin with a dot are passed over as well.
SIDE_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir"})


class ImageFolder(ImageFiles):
    """Images in class folders; or in train, val and test with class folders below; or in a root for each split.

    The class of an image is the folder at the top; images may lie deeper inside it. ``valid`` and ``validation`` stand
    for val. Files that begin with a dot and those that systems leave (Thumbs.db, desktop.ini) are passed over; any
    other file that is no image is an error, unless a pattern of ``ignore`` matches its name or path.

    Args:
        root: The folder, or ``{train: folder, val: folder, test: folder}``.
        mode: RGB (three channels) or L (grey), whatever the files are.
        ignore: Patterns of files to pass over, as ``*.txt`` or ``notes/*``.
        reduced: Let JPEGs be decoded at half their size or less where Resize to [h, w] is first: faster, other pixels.

    Raises:
        InputError: a missing path, an empty folder, one class only, files that are no images, unreadable images.
    """

    def __init__(
        self,
        root: str | dict[str, str],
        mode: decode.Mode = "RGB",
        ignore: list[str] | None = None,
        reduced: bool = False,
    ) -> None:
        roots, findings = _roots(root)
        paths, names, labels, parts = [], [], [], []
        for part, (folder, prefix) in roots.items():
            found, wrong = _class_files(folder, ignore or [])
            findings += wrong
            for label, path in found:
                paths.append(path)
                names.append(prefix + path.relative_to(folder).as_posix())
                labels.append(label)
                parts.append(part)
        train = sorted({label for label, part in zip(labels, parts, strict=True) if part in ("", "train")})
        if not findings and len(train) < 2:
            what = f"has one class only ({train[0]})" if train else "has no images to train on"
            fix = "expected at least two class folders: root/cat/1.jpg, root/dog/1.jpg"
            code = "one-class" if train else "no-samples"
            findings.append(Finding(code, "error", "root", f"{root} {what}", fix))
        if findings:
            raise InputError(findings)
        at = np.array(parts, object)
        given = None if "" in roots else {part: np.flatnonzero(at == part) for part in roots}
        targets = np.array(labels, object)
        super().__init__(paths, names, targets, Schema("image", "class"), given, mode, reduced)


def _roots(root: str | Mapping[str, str]) -> tuple[dict[str, tuple[Path, str]], list[Finding]]:
    """Return the folder of each split with the prefix of its files' names; the split "" where there are none."""
    if isinstance(root, Mapping):
        return _root_of_each(root)
    folder = Path(root)
    findings = _no_folder(folder, "root")
    if findings:
        return {}, findings
    by_part: dict[str, list[Path]] = {}
    for path in (path for path, is_folder in _visible(folder) if is_folder):
        by_part.setdefault(columns.part_of(path.name) or "", []).append(path)
    if "train" in by_part and "" not in by_part:
        twice = [named([path.name for path in paths]) for paths in by_part.values() if len(paths) > 1]
        if twice:
            message = f"{folder} has two folders for one split: {'; '.join(twice)}"
            return {}, [Finding("two-splits", "error", "root", message, "keep one of them")]
        return {part: (paths[0], f"{paths[0].name}/") for part, paths in by_part.items()}, []
    if "train" in by_part and all(is_folder for _, is_folder in _visible(by_part["train"][0])):
        others = named([path.name for path in by_part[""]])
        message = f"{folder} has a folder train that holds folders only, beside {others}"
        fix = "keep either split folders or class folders there, or give root: {train: ..., val: ..., test: ...}"
        return {}, [Finding("mixed-folders", "error", "root", message, fix)]
    return {"": (folder, "")}, []


def _root_of_each(root: Mapping[str, str]) -> tuple[dict[str, tuple[Path, str]], list[Finding]]:
    roots, findings = {}, []
    for name, folder in root.items():
        part = columns.part_of(name)
        if part is None:
            findings.append(Finding("no-split", "error", f"root.{name}", "is no split", "use train, val and test"))
        else:
            roots[part] = (Path(folder), f"{part}/")
            findings += _no_folder(Path(folder), f"root.{name}")
    if "train" not in roots and not findings:
        findings.append(Finding("no-train", "error", "root", "has no train", "add train: folder"))
    return ({} if findings else roots), findings


def _no_folder(folder: Path, where: str) -> list[Finding]:
    if folder.is_dir():
        return []
    found = "is a file" if folder.exists() else "is not there"
    return [Finding("missing-path", "error", where, f"{folder} {found}", "give the path of a folder of images")]


def _visible(folder: Path) -> list[tuple[Path, bool]]:
    """Return what a folder holds and whether it is a folder, sorted by name, without what systems leave there."""
    entries = sorted((entry.name, entry.is_dir()) for entry in os.scandir(folder))
    return [
        (folder / name, is_folder)
        for name, is_folder in entries
        if not name.startswith(".") and name.lower() not in SIDE_FILES
    ]


def _files(folder: Path, seen: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Yield the files below a folder in order; a link back to a folder above is not followed."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    for path, is_folder in _visible(folder):
        if is_folder:
            yield from _files(path, seen | {real})
        else:
            yield path


def _class_files(folder: Path, ignore: list[str]) -> tuple[list[tuple[str, Path]], list[Finding]]:
    """Return (class, image) for each image below class folders, and what is wrong with the rest."""

    def ignored(path: Path) -> bool:
        texts = (path.name, path.relative_to(folder).as_posix())
        return any(fnmatch.fnmatchcase(text, pattern) for text in texts for pattern in ignore)

    found: list[tuple[str, Path]] = []
    strange, loose, empty = [], [], []
    for entry, is_folder in _visible(folder):
        files = [path for path in (_files(entry) if is_folder else [entry]) if not ignored(path)]
        strange += [path for path in files if not decode.is_image(path)]
        images = [path for path in files if decode.is_image(path)]
        if not is_folder:
            loose += images
        elif images:
            found += [(entry.name, path) for path in images]
        else:
            empty.append(entry.name)
    findings = []
    for paths, code, said, fix in (
        (
            strange,
            "not-an-image",
            ("file is no image", "files are no images"),
            "remove them, or name them in ignore, as ignore: ['*.txt']",
        ),
        (
            loose,
            "no-class",
            ("image lies in no class folder", "images lie in no class folder"),
            "move each into the folder of its class",
        ),
    ):
        if paths:
            shown = named([path.relative_to(folder).as_posix() for path in paths])
            findings.append(Finding(code, "error", "root", f"{counted(len(paths), *said)} in {folder}: {shown}", fix))
    if empty:
        message = f"no images in {counted(len(empty), 'class folder', 'class folders')} of {folder}: {named(empty)}"
        findings.append(Finding("empty-class", "error", "root", message, "add images or remove the folders"))
    return found, findings


class ImageCSV(ImageFiles):
    """Images named by a CSV file with their target, and a folder that the names start from.

    Args:
        annotations: The CSV file: one row an image.
        root: The folder of the images; by default that of the CSV file.
        file_column: The column with the file names; by default the first.
        target_column: The column with the target; by default the second.
        split_column: A column that says train, val or test, where there is one.
        kind: Whether the target is a class or a number; guessed where left out: floats are numbers, all else classes.
        mode: RGB (three channels) or L (grey), whatever the files are.
        reduced: Let JPEGs be decoded at half their size or less where Resize to [h, w] is first: faster, other pixels.
        header: Whether the first line names the columns; where not, they are named 0, 1 and so on.

    Raises:
        InputError: a missing file, folder or column, empty cells, one class only, unreadable images.
    """

    def __init__(
        self,
        annotations: str,
        root: str | None = None,
        file_column: str | None = None,
        target_column: str | None = None,
        split_column: str | None = None,
        kind: columns.Kind | None = None,
        mode: decode.Mode = "RGB",
        reduced: bool = False,
        header: bool = True,
    ) -> None:
        frame = columns.read_csv(Path(annotations), "annotations", header)
        folder = Path(annotations).parent if root is None else Path(root)
        wanted = {"file_column": file_column, "target_column": target_column, "split_column": split_column}
        findings = _no_folder(folder, "root") + columns.missing_columns(frame, wanted)
        free = [name for name in frame.columns if name not in wanted.values()]
        if len(free) < (file_column is None) + (target_column is None):
            message = f"{annotations} has {counted(len(frame.columns), 'column', 'columns')}"
            findings.append(Finding("missing-column", "error", "annotations", message, "expected a file and a target"))
        if header and decode.is_image(Path(frame.columns[0])):
            message = f"the first line of {annotations} names an image ({frame.columns[0]}), not columns"
            findings.append(Finding("no-header", "error", "annotations", message, "add header: false"))
        if findings:
            raise InputError(findings)
        file_column = file_column or free.pop(0)
        target_column = target_column or free.pop(0)
        used = [file_column, target_column] + ([split_column] if split_column else [])
        findings = columns.bad_cells(frame, used, "annotations")
        if findings:
            raise InputError(findings)
        targets, kind = columns.targets_of(frame, [target_column], kind, "target_column")
        if kind == "class" and len(set(targets.tolist())) < 2:
            message = f"column {target_column!r} has one class only ({targets[0]})"
            raise InputError(Finding("one-class", "error", "target_column", message, "a classifier needs two"))
        given = columns.splits_of(frame[split_column], "split_column") if split_column else None
        names = columns.texts_of(frame[file_column]).tolist()
        schema = Schema("image", kind, target_names=(target_column,) if kind == "number" else ())
        super().__init__([folder / name for name in names], names, targets, schema, given, mode, reduced)
