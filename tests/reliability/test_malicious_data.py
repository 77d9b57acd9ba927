"""Hostile data are told by name or stay what they are: texts and numbers. Nothing in them is run."""

import io
import json

import numpy as np
import pytest

from reliability import gadgets
from reliability.gadgets import place
from reliability.hostile import IRIS, ROW, ends
from torchwork import rundir
from torchwork.data.cifar import _PIXELS

HUGE = 1 << 62

# -- data -------------------------------------------------------------------------------------------------------------


def arrays(folder):
    return f"data: {{source: {{name: Arrays, path: {folder}}}, batch_size: 4}}" + IRIS[IRIS.index("\nmodel") :]


LABELS = gadgets.npy(np.arange(20) % 2)
DATA = {
    "objects.npz": (lambda: gadgets.npz(x=gadgets.npy_of_objects(), y=LABELS), "Object arrays"),
    "objects-as-labels.npz": (lambda: gadgets.npz(x=LABELS, y=gadgets.npy_of_objects()), "Object arrays"),
    "code-as-a-header.npz": (lambda: gadgets.npz(x=gadgets.npy_with_code(), y=LABELS), "cannot be read"),
    "claims.npz": (lambda: gadgets.npz(x=gadgets.npy_that_claims((1 << 40,)), y=LABELS), "cannot be read"),
    "overflow.npz": (lambda: gadgets.npz(x=gadgets.npy_that_claims((HUGE, HUGE)), y=LABELS), "cannot be read"),
    "traversal.npz": (lambda: gadgets.npz(**{"../../x": LABELS, "y": LABELS}), "has no array 'x'"),
    "pickle.npz": (lambda: gadgets.pickled(), "cannot be read"),
    "claims.idx": (lambda: b"\0\0\x08\x03" + b"\xff" * 12, "but has 16"),
    "bomb.idx.gz": (lambda: gadgets.zeros_gzipped(b"\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x02", 8 << 10), "more"),
}


@pytest.mark.parametrize("name", DATA)
def test_arrays_that_are_none(name, folder, counted):
    content, says = DATA[name]
    place(folder / name, content())
    config = arrays(name if "idx" not in name else f"{name}, labels: {name}")
    place(folder / "config.yaml", config)
    ends(folder, "train", "config.yaml", says=says)
    counted(ROW, 1)


def test_objects_to_predict(folder, counted):
    place(folder / "config.yaml", IRIS)
    ends(folder, "train", "config.yaml", "--out", "run", code=0)
    run = folder / "run"
    facts = json.loads((run / rundir.DATA).read_text())
    place(run / rundir.DATA, json.dumps({**facts, "inputs": "array"}))
    for name, content in (("new.npz", gadgets.npz(x=gadgets.npy_of_objects())), ("new.npy", gadgets.npy_of_objects())):
        place(folder / name, content)
        ends(folder, "predict", "run", name, says=name)
    counted(ROW, 2)


BATCHES = [f"cifar-10-batches-bin/data_batch_{n}.bin" for n in range(1, 6)] + ["cifar-10-batches-bin/test_batch.bin"]
RECORD = bytes(1 + _PIXELS)
ARCHIVES = {
    "traversal": (lambda: gadgets.tar({"../../outside.bin": RECORD, "/tmp/outside.bin": RECORD}), "lacks"),
    "links": (lambda: gadgets.tar(dict.fromkeys(BATCHES, "/etc/hostname")), "lacks"),
    "claims": (lambda: gadgets.tar(dict.fromkeys(BATCHES, RECORD), {BATCHES[0]: 1 << 32}), "data_batch_1.bin"),
    "bomb": (lambda: gadgets.tar(dict.fromkeys(BATCHES[1:], RECORD) | {BATCHES[0]: bytes(200 << 20)}), "data_batch_1"),
    "pickle": (lambda: gadgets.pickled(), "cannot be unpacked"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_that_lead_elsewhere_or_are_too_large(kind, folder, counted):
    content, says = ARCHIVES[kind]
    place(folder / "data" / "cifar-10-binary.tar.gz", content())
    place(folder / "config.yaml", arrays("x").replace("name: Arrays, path: x", "name: CIFAR10, root: data"))
    ends(folder, "train", "config.yaml", says=says)
    counted(ROW, 1)


# -- names and cells --------------------------------------------------------------------------------------------------

NAMES = [
    "a\nb",
    "-rf",
    "$(touch canary)",
    "`touch canary`;touch canary",
    "<img src=x onerror=alert(1)>",
    "\u202egnp.exe",
    "\x1b]0;title\x07\x1b[2J",
    "=cmd|' touch canary'!A1",
    "{{7*7}}{% include 'passwd' %}",
    "%(touch)s{0.__class__}",
    "x" * 240,
]


def image(value):
    from PIL import Image

    content = io.BytesIO()
    Image.new("L", (8, 8), value).save(content, "PNG")
    return content.getvalue()


def test_odd_names_of_classes_and_files_stay_names(folder, counted):
    for number, name in enumerate(NAMES):
        for index in range(6):
            place(folder / "data" / name / f"{name[:200]}{index}.png", image(number * 20 + index))
    source = "source: {name: ImageFolder, root: data, mode: L}, clean: {duplicates: ignore}"
    place(folder / "config.yaml", IRIS.replace("source: Iris", source))
    ended = ends(folder, "train", "config.yaml", "--out", "run", code=0)
    assert "\x1b]0" not in ended.out + ended.err, "the terminal takes orders"
    page = (folder / "run" / rundir.REPORT).read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert json.loads((folder / "run" / rundir.DATA).read_text())["classes"] == sorted(NAMES)
    counted(ROW, len(NAMES))


def test_pictures_that_are_bombs_or_lead_elsewhere(folder, counted):
    for index in range(8):
        for name in "ab":
            place(folder / "data" / name / f"{index}.png", image(index * 9 + ord(name) % 2))
    place(folder / "data" / "a" / "bomb.png", gadgets.png_that_claims(100_000, 100_000))
    (folder / "data" / "b" / "link.png").symlink_to("/etc/hostname")
    place(folder / "config.yaml", IRIS.replace("source: Iris", "source: {name: ImageFolder, root: data}"))
    ended = ends(folder, "train", "config.yaml", says="bomb.png")
    assert "link.png" in ended.err
    counted(ROW, 2)


def test_cells_that_are_formulas_or_paths_stay_cells(folder, counted):
    cells = [
        "=1+1",
        "@SUM(A1)",
        "+cmd|'/c calc'!A0",
        "-2+3+cmd",
        "../../outside",
        "/etc/hostname",
        "file:///etc/hostname",
    ]
    rows = [f'"{cell}",{n % 5},{n % 7}' for n, cell in enumerate(cells * 12)]
    place(folder / "table.csv", "\n".join(["y,a,b", *rows]) + "\n")
    place(folder / "config.yaml", IRIS.replace("source: Iris", "source: {name: Table, path: table.csv, target: y}"))
    ends(folder, "train", "config.yaml", "--out", "run", code=0)
    assert json.loads((folder / "run" / rundir.DATA).read_text())["classes"] == sorted(cells)
    counted(ROW, len(cells))


def test_a_list_of_pictures_reads_nothing_but_pictures(folder, counted):
    for index in range(20):
        place(folder / "data" / f"{index}.png", image(index * 10))
    rows = [f"{index}.png,{index % 2}" for index in range(20)] + ["/etc/hostname,0", "../../secret.txt,1"]
    place(folder.parent / "secret.txt", "4711")
    place(folder / "data" / "list.csv", "\n".join(["file,y", *rows]) + "\n")
    place(folder / "config.yaml", IRIS.replace("source: Iris", "source: {name: ImageCSV, annotations: data/list.csv}"))
    ended = ends(folder, "train", "config.yaml", says="/etc/hostname")
    assert "4711" not in ended.err
    counted(ROW, 2)


# -- caches -----------------------------------------------------------------------------------------------------------


def test_caches_that_were_swapped_are_made_anew(folder, counted):
    for index in range(20):
        for name in "ab":
            place(folder / "data" / name / f"{index}.png", image(index * 9 + ord(name) % 2))
    place(folder / "config.yaml", IRIS.replace("source: Iris", "source: {name: ImageFolder, root: data}"))
    cache = folder.parent / "work-said" / "cache"
    place(cache / "files-1.sqlite", gadgets.pickled())
    place(cache / "matplotlib" / "fontlist-v3.11.0.json", gadgets.pickled())
    place(cache / "packs" / "x" / "pixels.bin", gadgets.pickled())
    ends(folder, "train", "config.yaml", "--out", "run", code=0)
    counted(ROW, 3)
