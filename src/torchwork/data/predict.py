"""Files that a trained model is to judge: images, rows of tables, arrays, texts, sounds; without targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from torchwork.data import files as images
from torchwork.data import idx
from torchwork.data.decode import is_image
from torchwork.data.memory import InMemory
from torchwork.data.sound import files as sounds
from torchwork.data.sound.decode import is_sound
from torchwork.types import Finding, InputError, Schema, Source

_NUMPY = (".npz", ".npy")
_EXPECTED = {
    "image": "image files, or .npz or IDX files with uint8 images",
    "table": "CSV files with the columns that it was trained on",
    "array": ".npz, .npy or IDX files",
    "audio": "WAV, FLAC or OGG files",
    "text": ".txt files with a text a line, or CSV files with the column of texts that it was trained on",
}


def open_for_prediction(files: Sequence[Path], data: Mapping[str, Any], source_spec: Mapping[str, Any]) -> Source:
    """Open files for a trained model as one source without targets.

    Image files become images in the mode of the training data, CSV files table rows, and ``.npz``, ``.npy`` or
    IDX files (gzipped or not) arrays. For a model of texts a ``.txt`` file holds one a line, and any other is read as
    the training data were. Sounds are brought to the rate of the training data. All files must be of one kind.

    Args:
        files: The files, in the order of the predictions.
        data: The run's data.json: ``inputs``, ``numbers``, ``categories``, ``filled``,
            ``sample_rate`` and ``input_shape``.
        source_spec: The run's ``data.source``.

    Raises:
        InputError: files that are missing, cannot be read, or are not of the kind that the model takes; a missing
            column; empty, NaN or infinite cells that the transform does not fill in.
    """
    files = [Path(file) for file in files]
    kind = data["inputs"]
    if not files:
        raise InputError(Finding("no-files", "error", "files", "there are none", f"give {_EXPECTED[kind]}"))
    lost = [file for file in files if not file.is_file()]
    if lost:
        raise InputError(
            [
                Finding("missing-path", "error", str(file), "is a folder" if file.is_dir() else "is not there")
                for file in lost
            ]
        )
    arrays = all(file.suffix in _NUMPY or _is_idx(file) for file in files)
    fits = {
        "image": arrays or all(is_image(file) for file in files),
        "table": all(".csv" in file.suffixes or ".tsv" in file.suffixes for file in files),
        "array": arrays,
        "audio": all(is_sound(file) for file in files),
        "text": not arrays and not any(is_image(file) for file in files),
    }
    if not fits[kind]:
        message = f"got {', '.join(sorted({file.suffix or file.name for file in files}))} files"
        fix = f"this model takes {_EXPECTED[kind]}"
        raise InputError(Finding("wrong-files", "error", "files", message, fix))
    if kind == "table":
        return _rows(files, data)
    if kind == "text":
        from torchwork.data.text import read_texts

        return read_texts(files, source_spec)
    if kind == "audio":
        return _sounds(files, data["sample_rate"])
    if arrays:
        return _arrays(files, kind, source_spec)
    return _images(files, data, source_spec)


def unreadable(files: Sequence[Path]) -> dict[Path, str]:
    """Return the image and sound files that cannot be decoded to the end, each with the reason."""
    found: dict[Path, str] = {}
    for accepts, damage in ((is_image, images.damage), (is_sound, sounds.damage)):
        paths = [file for file in files if accepts(file)]
        if paths:
            faults = damage(SimpleNamespace(paths=paths), range(len(paths)))
            found |= {paths[fault.index]: fault.reason for fault in faults}
    return found


def _is_idx(file: Path) -> bool:
    return not is_image(file) and (idx.is_idx(file) or idx.begins_as_idx(file))


def _images(files: Sequence[Path], data: Mapping[str, Any], source_spec: Mapping[str, Any]) -> Source:
    """Open image files in the mode and on the background of the training images, where those were files too."""
    trained = _of_files(source_spec)
    mode: Any = trained.get("mode", "RGB") if trained else "L" if data["input_shape"][0] == 1 else "RGB"
    names = [str(file) for file in files]
    background = trained.get("background", "white")
    source = images.ImageFiles(files, names, None, Schema("image", None), mode=mode, background=background)
    if source.faults:
        raise InputError(images.refusal(source.faults, source.name, len(files), "files"))
    return source


def _of_files(spec: Any) -> Mapping[str, Any]:
    """Return the options of the first source of image files in a spec, which may be made of others; {} for none."""
    if isinstance(spec, Mapping):
        if spec.get("name") in ("ImageFolder", "ImageCSV"):
            return spec
        spec = spec.values()
    if isinstance(spec, str) or not isinstance(spec, Iterable):
        return {}
    return next((found for found in map(_of_files, spec) if found), {})


def _sounds(files: Sequence[Path], sample_rate: int) -> Source:
    source = sounds.SoundFiles(
        files, [str(file) for file in files], None, Schema("audio", None, sample_rate=sample_rate)
    )
    if source.faults:
        findings = [Finding(fault.code, "error", source.name(fault.index), fault.reason) for fault in source.faults]
        raise InputError(findings)
    return source


def _rows(files: Sequence[Path], data: Mapping[str, Any]) -> Source:
    from torchwork.data.columns import read_csv  # pandas, which other kinds of data go without
    from torchwork.data.table import read_rows

    schema = Schema("table", None, numbers=tuple(data["numbers"]), categories=tuple(data["categories"]))
    return read_rows({str(file): read_csv(file, str(file)) for file in files}, schema, data.get("filled", ()))


def _arrays(files: Sequence[Path], kind: str, source_spec: Mapping[str, Any]) -> InMemory:
    from torchwork.data.arrays import as_inputs, read_npz

    wanted = source_spec.get("inputs", "x") if source_spec["name"] == "Arrays" else "x"
    found, names = [], []
    for file in files:
        arrays = read_npz(file, str(file)) if file.suffix in _NUMPY else {wanted: idx.read_idx(file, str(file))}
        name = next(iter(arrays)) if len(arrays) == 1 else wanted
        if name not in arrays:
            message = f"has no array {name!r}"
            fix = f"it has: {', '.join(sorted(arrays))}"
            raise InputError(Finding("missing-array", "error", str(file), message, fix))
        found.append(arrays[name])
        names += [f"{file} sample {row + 1}" for row in range(len(arrays[name]))]
    shapes = {(array.shape[1:], array.dtype.str) for array in found}
    if len(shapes) > 1:
        said = " and ".join(f"{dtype} {list(shape)}" for shape, dtype in shapes)
        message = f"the arrays of the files differ: {said}"
        raise InputError(Finding("unequal-sizes", "error", "files", message, "give samples of one shape and type"))
    whole = bool(source_spec.get("whole", False)) or source_spec["name"] != "Arrays"
    inputs, is_image_data = as_inputs(np.concatenate(found), whole=whole)
    if is_image_data != (kind == "image"):
        message = f"the arrays are {'images' if is_image_data else 'no images'}, unlike those of training"
        raise InputError(Finding("wrong-files", "error", "files", message, f"this model takes {_EXPECTED[kind]}"))
    return InMemory(inputs, None, Schema(kind, None), names=names)  # type: ignore[arg-type]
