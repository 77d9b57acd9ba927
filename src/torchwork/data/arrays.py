"""Arrays in files: NumPy's ``.npz`` and the IDX files of MNIST."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from torchwork import catalog
from torchwork.data import idx
from torchwork.data.kinds import MANY, Kind, part_of
from torchwork.data.memory import InMemory
from torchwork.data.wording import counted
from torchwork.types import Finding, InputError, Schema


class Arrays(InMemory):
    """Samples of an ``.npz`` file, or of IDX files as MNIST ships them, gzipped or not.

    An ``.npz`` file has the arrays ``x`` and ``y``, or ``x_train``, ``y_train``, ``x_test``, ``y_test`` and so on,
    which are then the given splits. A folder with MNIST's official files gives train and test. uint8 [N, H, W] and
    [N, H, W, C] or [N, C, H, W] with 1 or 3 channels are images; all other numbers become floats.

    Args:
        path: The ``.npz`` file, the folder with the four IDX files, or one IDX file with the inputs.
        inputs: The name of the inputs in an ``.npz`` file.
        target: The name of the target in an ``.npz`` file.
        labels: The IDX file with the labels, where ``path`` is one with the inputs.
        kind: Whether the target is a class or a number; guessed where left out: floats are numbers, all else classes.
        whole: Keep whole numbers as they are, for embeddings, instead of making them floats.

    Raises:
        InputError: a missing file or array, a damaged IDX file, counts of inputs and targets that differ, NaN or
            infinite numbers, one class only.
    """

    def __init__(
        self,
        path: str,
        inputs: str = "x",
        target: str = "y",
        labels: str | None = None,
        kind: Kind | None = None,
        whole: bool = False,
    ) -> None:
        parts = _read(Path(path), inputs, target, labels)
        for part, (x, y) in parts.items():
            _check_counts(x, y, part, path)
        x = _joined([x for x, _ in parts.values()], "inputs", path)
        y = _joined([y for _, y in parts.values()], "targets", path)
        raw, found_kind = _targets(y, kind)
        given = None
        if "" not in parts:
            ends = np.cumsum([len(x) for x, _ in parts.values()])
            given = {part: np.arange(end - len(parts[part][0]), end) for part, end in zip(parts, ends, strict=True)}
        tensor, is_image = as_inputs(x, whole=whole)
        names = () if found_kind == "class" else tuple(_target_names(target, raw.shape[1]))
        schema = Schema("image" if is_image else "array", found_kind, target_names=names)
        super().__init__(tensor, raw, schema, given)


def _read(path: Path, inputs: str, target: str, labels: str | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return inputs and targets by split; the split "" where the file has none."""
    if not path.exists():
        raise InputError(Finding("missing-path", "error", "path", f"{path} is not there"))
    if path.is_dir():
        return _official(path)
    if path.suffix == ".npz":
        return _from_npz(read_npz(path, "path"), inputs, target, path)
    if labels is None:
        message = f"{path} is one file of inputs"
        fix = "name the IDX file with the labels in labels, or give an .npz file or a folder with MNIST's four files"
        raise InputError(Finding("no-labels", "error", "labels", message, fix))
    return {"": (idx.read_idx(path), idx.read_idx(Path(labels), "labels"))}


def _official(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    parts, lacking = {}, []
    for part, names in idx.OFFICIAL.items():
        found = [idx.find(folder, name) for name in names]
        if found[0] is not None and found[1] is not None:
            parts[part] = (idx.read_idx(found[0]), idx.read_idx(found[1]))
        lacking += [name for name, path in zip(names, found, strict=True) if path is None]
    if lacking:
        message = f"{folder} lacks {', '.join(lacking)}"
        fix = "give the folder with MNIST's four files, or one file of inputs and its labels"
        raise InputError(Finding("missing-path", "error", "path", message, fix))
    return parts


def read_npz(path: Path, where: str) -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file (or the one of an ``.npy`` file, as ``x``); pickled ones are refused.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"x": found}
        with found:
            return {name: found[name] for name in found.files}
    except Exception as error:  # zip, deflate and NumPy have many for a damaged file; one that claims too much memory
        message = f"{path} cannot be read: {str(error) or type(error).__name__}"
        fix = "save plain arrays with numpy.savez(path, x=..., y=...)"
        raise InputError(Finding("unreadable-arrays", "error", where, message, fix)) from error


def _from_npz(
    arrays: Mapping[str, np.ndarray], inputs: str, target: str, path: Path
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if inputs in arrays:
        pairs = {"": (inputs, target)}
    else:
        pairs = {}
        for name in arrays:
            stem, _, suffix = name.rpartition("_")
            part = part_of(suffix)
            if stem == inputs and part is not None:
                pairs[part] = (name, f"{target}_{suffix}")
        if "train" not in pairs:
            pairs = {"": (inputs, target)}
    lacking = [
        Finding(
            "missing-array",
            "error",
            option,
            f"{path} has no array {name!r}",
            f"{catalog.suggestion(name, list(arrays))} it has: {', '.join(sorted(arrays))}",
        )
        for both in pairs.values()
        for option, name in zip(("inputs", "target"), both, strict=True)
        if name not in arrays
    ]
    if lacking:
        raise InputError(lacking)
    return {part: (arrays[x], arrays[y]) for part, (x, y) in pairs.items()}


def _check_counts(x: np.ndarray, y: np.ndarray, part: str, path: str) -> None:
    said = f" of {part}" if part else ""
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        inputs = counted(len(x), "input", "inputs") if x.ndim else "no inputs"
        targets = counted(len(y), "target", "targets") if y.ndim else "no targets"
        message = f"{path} has {inputs} and {targets}{said}"
        raise InputError(Finding("unequal-counts", "error", "path", message, "give one target for each input"))
    if len(x) == 0:
        raise InputError(Finding("no-samples", "error", "path", f"{path} has no samples{said}"))


def _joined(arrays: list[np.ndarray], said: str, path: str) -> np.ndarray:
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        found = " and ".join(str(list(shape)) for shape in shapes)
        message = f"the {said} of the splits of {path} differ in shape: {found}"
        raise InputError(Finding("unequal-sizes", "error", "path", message, "give samples of one shape"))
    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]


def as_inputs(x: np.ndarray, *, whole: bool = False) -> tuple[torch.Tensor, bool]:
    """Return a tensor [N, ...] and whether it holds images: uint8 [N, C, H, W].

    Raises:
        InputError: NaN or infinite numbers, or no numbers.

    >>> as_inputs(np.zeros((2, 28, 28), np.uint8))[0].shape
    torch.Size([2, 1, 28, 28])
    """
    if x.dtype == np.uint8 and x.ndim == 3:
        return _tensor(x[:, None]), True
    if x.dtype == np.uint8 and x.ndim == 4 and (x.shape[1] in (1, 3) or x.shape[3] in (1, 3)):
        channels_last = x.shape[3] in (1, 3)
        return _tensor(x.transpose(0, 3, 1, 2) if channels_last else x), True
    if x.dtype.kind not in "fiub":
        message = f"the inputs are {x.dtype}, not numbers"
        raise InputError(Finding("not-a-number", "error", "inputs", message))
    if x.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(1))
        if len(bad):
            shown = ", ".join(f"sample {place + 1}" for place in bad[:10]) + (" …" if len(bad) > 10 else "")
            message = f"{counted(len(bad), 'input has', 'inputs have')} NaN or infinite numbers: {shown}"
            raise InputError(Finding("missing-cells", "error", "inputs", message, "mend or remove them"))
        return _tensor(x, np.float64 if x.dtype == np.float64 else np.float32), False
    return _tensor(x, np.int64 if whole else np.float32), False


def _tensor(x: np.ndarray, dtype: npt.DTypeLike | None = None) -> torch.Tensor:
    """Return a tensor that shares the array's memory where it can; torch takes none that must not be written to."""
    array = np.ascontiguousarray(x, dtype)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _targets(y: np.ndarray, kind: Kind | None) -> tuple[np.ndarray, Kind]:
    """Return whole numbers or texts [N], or float64 [N, k], and which they are."""
    if kind is None:
        if y.ndim > 1 or y.dtype.kind == "f":
            few = y.ndim == 1 and len(np.unique(y)) <= MANY and bool((y % 1 == 0).all())
            kind = "class" if few else "number"
        else:
            kind = "class"
    if kind == "number":
        if y.dtype.kind not in "fiub" or y.ndim > 2:
            message = f"the targets are {y.dtype} of shape {list(y.shape)}"
            fix = "numbers are [N] or [N, k]; for texts say kind: class"
            raise InputError(Finding("not-a-number", "error", "target", message, fix))
        return y.astype(np.float64).reshape(len(y), -1), kind
    if y.ndim != 1 or y.dtype.kind not in "fiubUS" or (y.dtype.kind == "f" and bool((y % 1 != 0).any())):
        message = f"the targets are {y.dtype} of shape {list(y.shape)}"
        fix = "classes are whole numbers or texts [N]; for others say kind: number"
        raise InputError(Finding("no-classes", "error", "target", message, fix))
    texts = y.dtype.kind in "US"
    raw = np.array([str(v, "utf-8") if isinstance(v, bytes) else v for v in y.tolist()], object) if texts else y
    if len(set(raw.tolist())) < 2:
        message = f"there is one class only ({raw[0]})"
        raise InputError(Finding("one-class", "error", "target", message, "a classifier needs two"))
    return raw if texts else raw.astype(np.int64), kind


def _target_names(target: str, width: int) -> list[str]:
    return [target] if width == 1 else [f"{target}_{place}" for place in range(width)]
