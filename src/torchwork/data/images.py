"""Images in class folders, or named by an annotations file."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from torchwork.data import columns, decode
from torchwork.data.files import ImageFiles, named
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

    Raises:
        InputError: a missing path, an empty folder, one class only, files that are no images, unreadable images.
    """

    def __init__(self, root: str | dict[str, str], mode: decode.Mode = "RGB", ignore: list[str] | None = None) -> None:
        roots, findings = _roots(root)
        found: list[tuple[Path, str, str, str | None]] = []  # path, name, class, split
        for part, (folder, prefix) in roots.items():
            for label, path, problem in _class_files(folder, ignore or [], "root"):
                if problem is not None:
                    findings.append(problem)
                elif path is not None:
                    name = f"{prefix}{path.relative_to(folder).as_posix()}"
                    found.append((path, name, label, part or None))
        labels = {label for _, _, label, part in found if part in (None, "train")}
        if not findings and len(labels) < 2:
            message = (
                f"{root} has one class only ({', '.join(labels)})" if labels else f"{root} has no images to train on"
            )
            fix = "expected at least two class folders: root/cat/1.jpg, root/dog/1.jpg"
            findings.append(Finding("one-class" if labels else "no-samples", "error", "root", message, fix))
        if findings:
            raise InputError(findings)
        parts = np.array([part for *_, part in found], object)
        given = None
        if "" not in roots:
            given = {part: np.flatnonzero(parts == part) for part in roots}
        targets = np.array([label for _, _, label, _ in found], object)
        paths, names = [path for path, *_ in found], [name for _, name, *_ in found]
        super().__init__(paths, names, targets, Schema("image", "class"), given, mode)


def _roots(root: str | Mapping[str, str]) -> tuple[dict[str, tuple[Path, str]], list[Finding]]:
    """Return the folder of each split with the prefix of its files' names; the split "" where there are none."""
    if isinstance(root, Mapping):
        return _root_of_each(root)
    folder = Path(root)
    findings = _no_folder(folder, "root")
    if findings:
        return {}, findings
    below = [Path(entry) for entry in _visible(folder) if entry.is_dir()]
    by_part: dict[str, list[Path]] = {}
    for path in below:
        by_part.setdefault(columns.part_of(path.name) or "", []).append(path)
    if "train" in by_part and "" not in by_part:
        twice = [named([path.name for path in paths]) for paths in by_part.values() if len(paths) > 1]
        if twice:
            message = f"{folder} has two folders for one split: {'; '.join(twice)}"
            return {}, [Finding("two-splits", "error", "root", message, "keep one of them")]
        return {part: (paths[0], f"{paths[0].name}/") for part, paths in by_part.items()}, []
    if "train" in by_part and not any(path.is_file() for path in _visible(by_part["train"][0])):
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


def _visible(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted, without what systems leave there."""
    entries = (entry.name for entry in os.scandir(folder))
    return [folder / name for name in sorted(entries) if not name.startswith(".") and name.lower() not in SIDE_FILES]


def _files(folder: Path, seen: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Yield the files below a folder in order; a link back to a folder above is not followed."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    for path in _visible(folder):
        if path.is_dir():
            yield from _files(path, seen | {real})
        else:
            yield path


def is_image(path: Path) -> bool:
    """Tell by its extension whether a file is meant to be an image.

    >>> is_image(Path("a.JPG")), is_image(Path("a.txt"))
    (True, False)
    """
    return path.suffix.lower() in decode.EXTENSIONS


def _class_files(folder: Path, ignore: list[str], where: str) -> Iterator[tuple[str, Path | None, Finding | None]]:
    """Yield (class, image, None) for each image below class folders, and ("", None, finding) for what is wrong."""

    def ignored(path: Path) -> bool:
        texts = (path.name, path.relative_to(folder).as_posix())
        return any(fnmatch.fnmatchcase(text, pattern) for text in texts for pattern in ignore)

    strange, loose, empty = [], [], []
    for entry in _visible(folder):
        files = [path for path in (_files(entry) if entry.is_dir() else [entry]) if not ignored(path)]
        strange += [path for path in files if not is_image(path)]
        images = [path for path in files if is_image(path)]
        if not entry.is_dir():
            loose += images
            continue
        if not images:
            empty.append(entry.name)
        for path in images:
            yield entry.name, path, None
    for paths, code, said, fix in (
        (strange, "not-an-image", "files are no images", "remove them, or name them in ignore, as ignore: ['*.txt']"),
        (loose, "no-class", "images lie in no class folder", "move each into the folder of its class"),
    ):
        if paths:
            shown = named([path.relative_to(folder).as_posix() for path in paths])
            yield "", None, Finding(code, "error", where, f"{len(paths)} {said} in {folder}: {shown}", fix)
    if empty:
        message = f"{len(empty)} class folders of {folder} have no images: {named(empty)}"
        yield "", None, Finding("empty-class", "error", where, message, "add images or remove the folders")


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
        header: bool = True,
    ) -> None:
        frame = columns.read_csv(Path(annotations), "annotations", header)
        folder = Path(annotations).parent if root is None else Path(root)
        wanted = {"file_column": file_column, "target_column": target_column, "split_column": split_column}
        findings = _no_folder(folder, "root") + columns.missing_columns(frame, wanted)
        free = [name for name in frame.columns if name not in wanted.values()]
        if len(free) < (file_column is None) + (target_column is None):
            message = f"{annotations} has {len(frame.columns)} columns"
            findings.append(Finding("missing-column", "error", "annotations", message, "expected a file and a target"))
        if header and is_image(Path(frame.columns[0])):
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
        super().__init__([folder / name for name in names], names, targets, schema, given, mode)
