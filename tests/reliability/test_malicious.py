"""A hostile file ends in an error that names it, quickly and in little memory, and nothing in it is run."""

import io
import json
import shutil
import tarfile
import warnings

import numpy as np
import pytest
import torch

from reliability import commands, gadgets
from reliability.gadgets import CANARY, Gadget, deep, place, safetensors, tensor, torch_zip
from torchwork import rundir
from torchwork.data.cifar import _PIXELS
from torchwork.training import checkpoint, store

ROW = "Malicious files, none executed"

IRIS = """
data: {source: Iris, transform: [Normalize], batch_size: 16}
model: {name: MLP, hidden: [8]}
optimizer: {name: Adam, lr: 1e-2}
train: {epochs: 2, threads: 1}
"""


def ends(folder, *arguments, code=2, says=""):
    """Run a command; it must end with this code, an error that says this, and without any misdeed."""
    before = {path.name for path in folder.parent.iterdir()} | {f"{folder.name}-said"}
    ended = commands.run(*arguments, folder=folder)
    assert "Traceback" not in ended.err + ended.out, ended.err[-1000:]
    assert ended.code == code, ended.out[-500:] + ended.err[-1000:]
    assert "mistake in Torchwork" not in ended.err
    if code:
        assert "error: " in ended.err
    assert says in ended.err + ended.out, ended.out[-500:] + ended.err[-1000:]
    assert ended.misdeeds == []
    assert not list(folder.parent.rglob(CANARY)), "it was executed"
    assert {path.name for path in folder.parent.iterdir()} == before, "something was written outside"
    return ended


@pytest.fixture
def folder(tmp_path):
    """The working directory of a command, in a folder with nothing else."""
    made = tmp_path / "all" / "work"
    made.mkdir(parents=True)
    return made


# -- weights ----------------------------------------------------------------------------------------------------------


def legacy_tar():
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as file:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            info = tarfile.TarInfo(name)
            info.size = len(gadgets.pickled())
            file.addfile(info, io.BytesIO(gadgets.pickled()))
    return content.getvalue()


def torch_saved(thing):
    content = io.BytesIO()
    torch.save(thing, content)
    return content.getvalue()


def scripted():
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), content)
    return content.getvalue()


HUGE = 1 << 62
WEIGHTS = {
    "pickle.pth": lambda: gadgets.pickled(),
    "pickle-in-a-zip.pth": lambda: torch_zip(gadgets.pickled()),
    "eval.pth": lambda: torch_zip(gadgets.pickled(eval, f"open('{CANARY}', 'w')")),
    "exec.pth": lambda: torch_zip(gadgets.pickled(exec, f"open('{CANARY}', 'w')")),
    "beside-a-tensor.pth": lambda: torch_saved({"weight": torch.ones(2), "more": Gadget()}),
    "legacy.pth": legacy_tar,
    "scripted.pt": scripted,
    "pickle.safetensors": lambda: gadgets.pickled(),
    "long-header.safetensors": lambda: safetensors({}, length=HUGE),
    "header-beyond-the-end.safetensors": lambda: safetensors({"a": tensor(0, 8)}, bytes(8), length=900),
    "overlapping.safetensors": lambda: safetensors({"a": tensor(0, 8), "b": tensor(4, 12)}, bytes(12)),
    "data-beyond-the-end.safetensors": lambda: safetensors({"a": tensor(0, 1 << 40)}, bytes(8)),
    "negative.safetensors": lambda: safetensors({"a": tensor(-8, 0, [2])}, bytes(8)),
    "huge-shape.safetensors": lambda: safetensors({"a": tensor(0, 8, [HUGE, HUGE])}, bytes(8)),
    "unknown-type.safetensors": lambda: safetensors({"a": tensor(0, 8, dtype="object")}, bytes(8)),
    "deep-header.safetensors": lambda: safetensors(deep('{"a":', "}", "1").encode()),
}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return place(tmp_path_factory.mktemp("config") / "config.yaml", IRIS)


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_are_more_than_weights(name, folder, config, counted):
    place(folder / name, WEIGHTS[name]())
    ends(folder, "train", str(config), f"model.weights={name}", says=name)
    counted(ROW, 1)


# -- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory, config):
    """A run that has come to its end."""
    folder = tmp_path_factory.mktemp("finished") / "work"
    folder.mkdir()
    assert commands.run("train", str(config), "--out", "run", folder=folder).code == 0
    return folder / "run"


@pytest.fixture
def run(finished, folder):
    """A copy of it in the working directory."""
    shutil.copytree(finished, folder / "run")
    return folder / "run"


@pytest.fixture
def last(run):
    """The last checkpoint of a run that has still to be evaluated; it has no other."""
    (run / rundir.METRICS).unlink()
    newest, *others = store.places(run / rundir.CHECKPOINTS)
    for other in others:
        shutil.rmtree(other)
    state = json.loads((newest / checkpoint.STATE).read_text())
    return newest, state


def seal(found):
    """Make the manifest of a checkpoint say what its files are now, as whoever changed them on purpose would."""
    files = {p.name: store._digest(p.read_bytes()) for p in found.iterdir() if p.name != store.MANIFEST}
    (found / store.MANIFEST).write_bytes(store._manifest(files))
    assert store.fault(found) is None


SEALED = {
    "pickled-state": (checkpoint.STATE, lambda: gadgets.pickled()),
    "deep-state": (checkpoint.STATE, lambda: deep("[", "]")),
    "other-state": (checkpoint.STATE, lambda: '{"progress": {"dict": [["index", {"float": "x"}]]}}'),
    "pickled-model": (checkpoint.MODEL, lambda: torch_zip(gadgets.pickled())),
    "overlapping-optimizer": (checkpoint.OPTIMIZER, WEIGHTS["overlapping.safetensors"]),
    "aliases-of-nothing": (
        checkpoint.MODEL,
        lambda: safetensors({"__metadata__": {"aliases": '{"a": ["b"]}'}, "b": tensor(0, 4)}, bytes(4)),
    ),
}


@pytest.mark.parametrize("kind", SEALED)
def test_checkpoints_that_were_changed_with_their_manifest(kind, last, folder, counted):
    name, content = SEALED[kind]
    newest, _ = last
    place(newest / name, content())
    seal(newest)
    ends(folder, "resume", "run", code=1, says=name)
    counted(ROW, 1)


def test_a_checkpoint_names_no_code(last, folder, counted):
    newest, state = last
    for one in state["optimizer"]["optimizers"]:
        one["class"] = "os:system"
        one["groups"][0]["options"] = {"command": f"touch {CANARY}"}
    place(newest / checkpoint.STATE, json.dumps(state))
    seal(newest)
    ends(folder, "resume", "run", says="fits no parameter")
    counted(ROW, 1)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname"])
def test_a_manifest_lists_files_of_its_own_folder_only(name, last, folder, counted):
    newest, _ = last
    place(newest.parent / "outside", "outside")
    listed = json.loads((newest / store.MANIFEST).read_text())
    size, digest = store._digest(b"outside")
    listed["files"][name] = {"size": size, "sha256": digest}
    place(newest / store.MANIFEST, json.dumps(listed, indent=1) + "\n")
    ends(folder, "resume", "run", code=0, says="lists files elsewhere")
    counted(ROW, 1)


def test_a_checkpoint_elsewhere_is_none(last, folder, counted):
    newest, _ = last
    newest.rename(folder / "elsewhere")
    newest.symlink_to(folder / "elsewhere")
    ends(folder, "resume", "run", code=0, says="it is no directory")
    counted(ROW, 1)


# -- run directories --------------------------------------------------------------------------------------------------

TAGGED = f"!!python/object/apply:os.system ['touch {CANARY}']\n"
MEASURED = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n5.1,3.5,1.4,0.2\n"
BROKEN = {  # command, file of the run, content, exit code, what is said
    "config-with-code": ("predict", rundir.CONFIG, TAGGED, 2, "config.yaml:1:1"),
    "deep-facts": ("predict", rundir.DATA, deep("["), 2, rundir.DATA),
    "other-facts": ("predict", rundir.DATA, '{"encoding": []}', 2, rundir.DATA),
    "pickled-transform": ("predict", rundir.FITTED, gadgets.pickled(), 2, rundir.FITTED),
    "overlapping-model": ("predict", rundir.MODEL, WEIGHTS["overlapping.safetensors"](), 1, rundir.MODEL),
    "split-without-names": ("evaluate", rundir.SPLIT, "a\n1\n", 2, rundir.SPLIT),
    "split-with-a-long-field": ("evaluate", rundir.SPLIT, f"id,name,split\n0,{'x' * 200_000},train\n", 2, rundir.SPLIT),
    "deep-metrics": ("report", rundir.METRICS, deep("["), 0, "report.html"),
    "deep-config": ("report", rundir.CONFIG, deep("["), 0, "report.html"),
    "many-aliases": ("report", rundir.CONFIG, gadgets.aliases(), 0, "report.html"),
    "long-field": ("report", rundir.HISTORY, f"epoch,step\n{'9' * 200_000},1\n", 0, "report.html"),
    "predictions-with-a-nul": ("report", rundir.predictions("test"), "id,\0name\n1,\0\n", 0, "report.html"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_files_of_a_run_that_are_none(kind, run, folder, counted):
    command, name, content, code, says = BROKEN[kind]
    place(run / name, content)
    place(folder / "new.csv", MEASURED)
    arguments = [command, "run", *(["new.csv"] if command == "predict" else [])]
    ends(folder, *arguments, code=code, says=says)
    counted(ROW, 1)


def test_what_a_run_learnt_names_no_code(run, folder, counted):
    place(folder / "evil.py", f"open('{CANARY}', 'w')")
    facts = json.loads((run / rundir.DATA).read_text())
    facts["encoding"]["target_transform"] = "evil:run"
    place(run / rundir.DATA, json.dumps(facts))
    place(folder / "new.csv", MEASURED)
    ends(folder, "predict", "run", "new.csv", code=0)
    counted(ROW, 1)


def test_a_report_shows_nothing_from_outside_of_its_run(run, folder, counted):
    secret = place(folder.parent / "secret.png", "a secret that is no picture")
    place(folder / "secret.npz", gadgets.npz(secret=gadgets.npy(np.full(3, 4711.5))))
    found = json.loads((run / rundir.INSPECTED).read_text())

    def pointed(value, to):
        if isinstance(value, dict):
            return {k: to if k in ("file", "picture") else pointed(v, to) for k, v in value.items()}
        return [pointed(item, to) for item in value] if isinstance(value, list) else value

    before = len(list(folder.parent.iterdir()))
    for to in (str(secret), "../../secret.png", "../secret.npz", "samples/link.png"):
        (run / rundir.SAMPLES / "link.png").unlink(missing_ok=True)
        (run / rundir.SAMPLES / "link.png").symlink_to(secret)
        place(run / rundir.INSPECTED, json.dumps({**pointed(found, to), "worst": {"file": to}}))
        ends(folder, "report", "run", code=0)
        page = (run / rundir.REPORT).read_text(encoding="utf-8")
        assert "YSBzZWNyZXQgdGhhd" not in page, "the beginning of the file in base64"
        assert "4711.5" not in page
    assert len(list(folder.parent.iterdir())) == before + 1
    counted(ROW, 4)


def test_markup_from_data_stays_text_in_the_report(run, folder, counted):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    for path in (run / rundir.DATA, run / rundir.METRICS, run / rundir.INSPECTED, run / rundir.ENVIRONMENT):
        text = path.read_text(encoding="utf-8")
        place(path, text.replace('"setosa"', json.dumps(evil)).replace('"val"', json.dumps(evil)))
    for split in ("val", "test"):
        path = run / rundir.predictions(split)
        place(path, path.read_text(encoding="utf-8").replace("setosa", evil.replace(",", ";")))
    ends(folder, "report", "run", code=0)
    page = (run / rundir.REPORT).read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    counted(ROW, 1)


# -- configs ----------------------------------------------------------------------------------------------------------

CONFIGS = {
    "object.yaml": TAGGED,
    "name.yaml": "model: !!python/name:os.system\n",
    "module.yaml": "model: !!python/module:os\n",
    "new.yaml": f"model: !!python/object/new:os.system [touch {CANARY}]\n",
    "aliases.yaml": gadgets.aliases(),
    "merges.yaml": "\n".join(
        ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12))]
    ),
    "circle.yaml": "model: &a [*a]\n",
    "deep.yaml": deep("["),
    "deep-mapping.yaml": deep("{a: "),
    "long-number.yaml": f"seed: {'9' * 100_000}\n",
    "nul.yaml": "seed: \0\n",
    "deep.json": deep('{"a":'),
    "long-number.json": f'{{"seed": {"9" * 100_000}}}',
    "deep.toml": f"seed = {deep('[')}",
    "dotted.toml": f"{'.'.join(['a'] * 3_000)} = 1",
    "name-elsewhere.yaml": f"name: ../../outside\n{IRIS}",
    "code-as-a-name.yaml": IRIS.replace("MLP", f"__import__('os').system('touch {CANARY}')"),
    "code-as-a-pattern.yaml": IRIS.replace("Adam,", "Adam, groups: [{match: '{0.__class__}', lr: 1}],"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configs_that_are_more_than_a_config(name, folder, counted):
    place(folder / name, CONFIGS[name])
    ends(folder, "train", name, says="name" if "name" in name else "")
    counted(ROW, 1)


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


def test_objects_to_predict(run, folder, counted):
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
