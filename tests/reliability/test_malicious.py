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
from reliability.hostile import IRIS, ROW, ends
from torchwork import rundir
from torchwork.training import checkpoint, store

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


@pytest.mark.parametrize("command", [["report", "run"], ["compare", "run", "other"]])
def test_what_only_draws_imports_nothing_that_a_config_names(command, run, folder, counted):
    place(folder / "evil.py", f"open('{CANARY}', 'w')")
    place(run / rundir.CONFIG, (run / rundir.CONFIG).read_text().replace("name: MLP", "name: 'evil:Net'"))
    shutil.copytree(run, folder / "other")
    ends(folder, *command, code=0)
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
