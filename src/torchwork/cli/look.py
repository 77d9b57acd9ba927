"""From a path to the source that can read it: what lies there, and what its columns seem to mean."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchwork.cli import look_sounds, look_texts
from torchwork.data import columns, decode, folders, idx, kinds
from torchwork.data.audio import SOUNDS
from torchwork.data.audit.tables import MIXED
from torchwork.data.folders import Sort
from torchwork.data.images import IMAGES
from torchwork.types import Finding, InputError

if TYPE_CHECKING:
    import pandas as pd

# Columns that are targets by their name, the surest first.
_TARGETS = (
    ("target", "label", "labels", "class", "y", "category", "outcome", "output", "result", "species", "diagnosis"),
    ("price", "quality", "rating", "score", "survived", "churn", "default", "type", "value"),
)
_SPLITS = ("split", "set", "subset", "partition", "part", "fold", "usage")
_TABLES = (".csv", ".tsv")
_CIFAR = {
    "CIFAR10": ("cifar-10-binary.tar.gz", "data_batch_1.bin"),
    "CIFAR100": ("cifar-100-binary.tar.gz", "train.bin"),
}
_LOOKED_AT = 2000  # files of a folder, cells of a column: enough to tell what it is


@dataclass
class Found:
    """A source for the config, and what was guessed on the way, for its comments.

    ``mixed`` are the columns that are left out as they hold numbers and texts.
    """

    source: dict[str, Any]
    remarks: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)


def look(path: Path) -> Found:
    """Return the source that reads what lies at a path.

    Raises:
        InputError: there is nothing, or nothing that a source reads.
    """
    if not path.exists():
        raise _wrong(path, "is not there", "give a folder, a CSV file, an .npz file or IDX files")
    cifar = _look_for_cifar(path)
    if cifar is not None:
        return cifar
    if path.is_dir():
        return _look_into(path)
    if _is_table(path) or (path.suffix == ".txt" and look_texts.text_column(path) is not None):
        return _look_at_table(path)
    if path.suffix == ".npz":
        return _look_at_arrays(path)
    if idx.is_idx(path):
        return _look_at_idx(path.parent)
    fix = "give a folder, a CSV file, an .npz file or IDX files"
    if decode.is_image(path):
        fix = "give the folder of the class folders, or a CSV file that says what the images show"
    elif SOUNDS.accepts(path):
        fix = "give the folder that it lies in, or a CSV file that says what the sounds are"
    raise _wrong(path, "is no data set", fix)


def _wrong(path: Path, message: str, fix: str) -> InputError:
    return InputError(Finding("no-data", "error", str(path), message, fix))


def _is_table(path: Path) -> bool:
    return any(suffix in path.suffixes for suffix in _TABLES)


def _look_into(folder: Path) -> Found:
    """A folder: arrays, a table, files named by a table, or class folders; in this order, as far as there are any."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = [entry for entry in entries if entry.is_file()]
    archives = [file for file in files if file.suffix == ".npz"]
    tables = [file for file in files if _is_table(file)]
    sort, below = _commonest(folder)
    if any(idx.is_idx(file) for file in files):
        return _look_at_idx(folder)
    annotated = [table for table in tables if _file_column(table, sort) is not None] if below else []
    if len(annotated) == 1:
        return _look_at_table(annotated[0])
    if any(file.parent != folder for file in below):
        return _look_at_class_folders(folder, below, sort)
    if len(archives) == 1 and not tables:
        return _look_at_arrays(archives[0])
    if len(tables) == 1 and not archives and not below:
        return _look_at_table(tables[0])
    if len(annotated or [*archives, *tables]) > 1:
        names = ", ".join(file.name for file in annotated or [*archives, *tables])
        raise _wrong(folder, f"holds several data sets: {names}", "give the path of one of them")
    if below and sort is SOUNDS and (guess := look_sounds.pattern_of(below)) is not None:
        pattern, remarks = guess
        return _with_rate(Found({"name": "AudioFolder", "root": str(folder), "pattern": pattern}, remarks), below)
    if below:
        fix = "move each into a folder named after its class, or add a CSV file with a file and a target column"
        raise _wrong(folder, f"holds {len(below)} {sort.several} and nothing that says what they show", fix)
    found = f"holds {len(entries)} entries, none of which is a data set" if entries else "is empty"
    fix = "expected class folders of images or sounds, a CSV file, an .npz file or IDX files"
    raise _wrong(folder, found, fix)


def _commonest(folder: Path) -> tuple[Sort, list[Path]]:
    """Return the sort of files that most below a folder are, images or sounds, and the first of them."""
    below = {
        sort: list(islice((file for file in folder.rglob("*") if sort.accepts(file)), _LOOKED_AT))
        for sort in (IMAGES, SOUNDS)
    }
    return max(below.items(), key=lambda item: len(item[1]))


def _with_rate(found: Found, files: list[Path]) -> Found:
    option, remarks = look_sounds.rate_of(files)
    return Found(found.source | option, found.remarks + remarks)


def _look_at_class_folders(folder: Path, below: list[Path], sort: Sort) -> Found:
    found = Found({"name": "ImageFolder" if sort is IMAGES else "AudioFolder", "root": str(folder)}, [])
    if sort is SOUNDS:
        found = _with_rate(found, below)
    elif _all_grey(below):
        found.source["mode"] = "L"
        found.remarks.append("the images are grey: mode L reads one channel")
    strange = Counter(
        f"*{file.suffix}" if file.suffix else file.name
        for file in folder.rglob("*")
        if file.is_file()
        and not file.name.startswith(".")
        and file.name.lower() not in folders.SIDE_FILES
        and not sort.accepts(file)
    )
    if strange:
        found.source["ignore"] = sorted(strange)
        said = ", ".join(f"{count} {pattern}" for pattern, count in sorted(strange.items()))
        found.remarks.append(f"files that are no {sort.several} are passed over: {said}")
    return found


def _all_grey(files: list[Path]) -> bool:
    modes = set()
    for file in files[:: max(1, len(files) // 100)]:
        try:
            modes.add(decode.header(file).mode)
        except decode.UnreadableError:  # the source will name it
            continue
    return bool(modes) and all(mode in ("1", "L", "LA", "I", "F") or mode.startswith("I;16") for mode in modes)


def _look_for_cifar(path: Path) -> Found | None:
    """Return the source of CIFAR's binary files, by the folder that holds them or by one of them."""
    folder = path if path.is_dir() else path.parent
    for name, files in _CIFAR.items():
        if path.name in files or any((folder / file).is_file() for file in files if path.is_dir()):
            return Found({"name": name, "root": str(folder)})
    return None


def _look_at_idx(folder: Path) -> Found:
    official = [idx.find(folder, name) for names in idx.OFFICIAL.values() for name in names]
    if all(official):
        return Found({"name": "Arrays", "path": str(folder)})
    files = sorted(file for file in folder.iterdir() if file.is_file() and idx.is_idx(file))
    labels = [file for file in files if "idx1" in file.name or "label" in file.name.lower()]
    inputs = [file for file in files if file not in labels]
    if len(labels) == len(inputs) == 1:
        return Found({"name": "Arrays", "path": str(inputs[0]), "labels": str(labels[0])})
    message = f"holds {len(inputs)} IDX files of inputs and {len(labels)} of labels"
    raise _wrong(folder, message, "expected the four files of MNIST under their own names, or one of each")


def _look_at_arrays(path: Path) -> Found:
    from torchwork.data.arrays import read_npz

    arrays = read_npz(path, str(path))
    found = Found({"name": "Arrays", "path": str(path)})
    stems = list(dict.fromkeys(name.removesuffix("_train") for name in arrays if _part_suffix(name) in (None, "train")))
    for option, names in (("inputs", ("x", "inputs", "images", "data", "features")), ("target", ("y", *_TARGETS[0]))):
        near = [stem for name in names for stem in stems if stem.lower() == name]
        if near and near[0] != names[0]:
            found.source[option] = near[0]
    return found


def _part_suffix(name: str) -> str | None:
    return kinds.part_of(name.rpartition("_")[2])


def _file_column(table: Path, sort: Sort) -> tuple[str, Path, bool] | None:
    """Return the column that names files of a sort, their folder, and whether the first line is a header."""
    try:
        frame = columns.read_csv(table, str(table))
    except InputError:
        return None
    header = not sort.accepts(Path(frame.columns[0]))
    if not header:
        frame = columns.read_csv(table, str(table), header=False)
    for name in frame.columns:
        if columns.is_number(frame[name].dtype):
            continue
        cells = [str(cell) for cell in frame[name].dropna().tolist()[:_LOOKED_AT]]
        if not cells or sum(sort.accepts(Path(cell)) for cell in cells) < len(cells) / 2:
            continue
        for root in (table.parent, *sorted(entry for entry in table.parent.iterdir() if entry.is_dir())):
            if sum((root / cell).is_file() for cell in cells) > len(cells) / 2:
                return name, root, header
    return None


def _look_at_table(path: Path) -> Found:
    for sort in (IMAGES, SOUNDS):
        named = _file_column(path, sort)
        if named is not None:
            return _annotated_files(path, sort, *named)
    texts = look_texts.text_column(path)
    if texts is not None:
        return _labelled_texts(path, *texts)
    frame = columns.read_csv(path, str(path))
    found = Found({"name": "Table", "path": str(path)})
    split = _split_column(frame)
    left = [name for name in frame.columns if name != split]
    if len(left) < 2:
        raise _wrong(path, f"has the columns {', '.join(frame.columns)}", "expected inputs and a target column")
    target = _target_column(frame, left, found)
    found.source["target"] = target
    if split is not None:
        found.source["split_column"] = split
    _note_kind(frame, target, found)
    _leave_out(frame, [name for name in left if name != target], found)
    return found


def _annotated_files(path: Path, sort: Sort, file_column: str, root: Path, header: bool) -> Found:
    frame = columns.read_csv(path, str(path), header)
    found = Found({"name": "ImageCSV" if sort is IMAGES else "AudioFolder", "annotations": str(path)})
    if root != path.parent:
        found.source["root"] = str(root)
    split = _split_column(frame)
    left = [name for name in frame.columns if name not in (file_column, split)]
    if not left:
        raise _wrong(
            path, f"names {sort.several} in {file_column!r} and says nothing about them", "add a target column"
        )
    found.source["file_column"] = file_column
    found.source["target_column"] = _target_column(frame, left, found)
    if split is not None:
        found.source["split_column"] = split
    if not header:
        found.source["header"] = False
        found.remarks.append("the first line names a file, so the columns are called 0, 1, ...")
    _note_kind(frame, found.source["target_column"], found)
    named = [root / str(name) for name in frame[file_column].dropna().tolist()]
    if sort is SOUNDS:
        return _with_rate(found, named)
    if _all_grey(named):
        found.source["mode"] = "L"
        found.remarks.append("the images are grey: mode L reads one channel")
    return found


def _labelled_texts(path: Path, frame: pd.DataFrame, text_column: str, header: bool) -> Found:
    found = Found({"name": "TextCSV", "path": str(path), "text_column": text_column})
    split = _split_column(frame)
    left = [name for name in frame.columns if name not in (text_column, split)]
    if not left:
        raise _wrong(path, f"holds texts in {text_column!r} and says nothing about them", "add a target column")
    found.source["target_column"] = _target_column(frame, left, found)
    if split is not None:
        found.source["split_column"] = split
    if not header:
        found.source["header"] = False
        found.remarks.append("the first line is a sample, so the columns are called 0, 1, ...")
    _note_kind(frame, found.source["target_column"], found)
    return found


def _split_column(frame: pd.DataFrame) -> str | None:
    for name in frame.columns:
        texts = [str(cell) for cell in frame[name].unique()]
        if name.lower() in _SPLITS and len(texts) <= 6 and all(kinds.part_of(text) for text in texts):
            return str(name)
    return None


def _target_column(frame: pd.DataFrame, candidates: list[str], found: Found) -> str:
    by_name = [name for group in _TARGETS for wanted in group for name in candidates if name.lower() == wanted]
    others = [name for name in candidates if name not in by_name]
    target = by_name[0] if by_name else candidates[-1]
    if len(candidates) > 1:
        why = "by its name" if by_name else "the last column"
        found.remarks.append(f"the target is a guess ({why}); the other columns: {_listed(others or candidates)}")
    return target


def _note_kind(frame: pd.DataFrame, target: str, found: Found) -> None:
    """Say ``kind: number`` where the source would take whole numbers for classes, and they are too many for that."""
    column = frame[target].dropna()
    distinct = column.nunique()
    if not columns.is_number(frame[target].dtype) or columns.kind_of(column) == "number":
        return
    if distinct > kinds.MANY and distinct > len(column) / 20:
        found.source["kind"] = "number"
        found.remarks.append(f"{target} has {distinct:,} different whole numbers: taken as numbers, not as classes")


def _leave_out(frame: pd.DataFrame, inputs: list[str], found: Found) -> None:
    """Name the input columns where some cannot be used: half of the cells missing, texts that differ in most rows."""
    out = {}
    for name in inputs:
        missing = int(frame[name].isna().sum())
        is_text = not columns.is_number(frame[name].dtype)
        if missing > len(frame) / 2:
            out[name] = f"{missing:,} of {len(frame):,} cells are empty"
        elif is_text and _is_mixed(frame[name]):
            out[name] = f"holds numbers, but {columns.said_texts(frame[name])}"
            found.mixed.append(name)
        elif is_text and frame[name].nunique() > max(kinds.MANY, len(frame) / 10):
            out[name] = f"{frame[name].nunique():,} different texts"
        elif _counts_rows(frame[name]):
            out[name] = "counts the rows"
    if not out:
        return
    kept = [name for name in inputs if name not in out]
    if not kept:
        said = "; ".join(f"{name}: {why}" for name, why in out.items())
        raise InputError(Finding("no-inputs", "error", "columns", f"no column can be used ({said})", "fill them in"))
    found.source["columns"] = kept
    found.remarks += [f"left out: {name} ({why})" for name, why in out.items()]


def _is_mixed(column: pd.Series) -> bool:
    """Tell whether a column of texts is one of numbers with mistakes in it, or of many numbers and many texts."""
    share = 1 - columns.no_numbers(column[column.notna()]).mean()
    many = column.nunique() > max(kinds.MANY, len(column) / 10)
    return columns.holds_stray_texts(column) or (many and bool(MIXED <= share < 1))


def _counts_rows(column: pd.Series) -> bool:
    if not columns.is_number(column.dtype) or len(column) < kinds.MANY or column.isna().any():
        return False
    start = column.iloc[0]
    return bool(start in (0, 1) and (column.to_numpy() == range(int(start), int(start) + len(column))).all())


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
