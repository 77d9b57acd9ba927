"""The commands as such: help, what they import, mistakes, exit codes."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import typer

from torchwork import losses
from torchwork.cli import app as commands
from torchwork.cli import layout, listing, options
from torchwork.cli.reporting import mistakes, reporting
from torchwork.config import components
from torchwork.training.interrupt import Interrupted
from torchwork.types import Finding, InputError, RunError

HEAVY = {"torch", "numpy", "pandas", "sklearn", "matplotlib", "PIL", "pydantic", "yaml", "rich"}
MISSPELT = "data: {source: Digitz}\nmodel: LeNett\noptimizer:\n  name: Adam\n  lr: 1e-3\ntrain:\n  epochs: 0\n"


def imported(*arguments: str, cwd: Path | None = None) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Run a command in a process of its own; return it with the top-level modules that it imported."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('\\nMODULES', *{name.split('.')[0] for name in sys.modules}))\n"
        "from torchwork.cli import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, check=False)
    return done, set(done.stdout.rpartition("MODULES")[2].split())


def test_help_imports_nothing_heavy():
    done, modules = imported("--help")
    assert done.returncode == 0
    assert not HEAVY & modules
    for name in ("train", "check", "resume", "evaluate", "predict", "report", "list", "explain", "schema", "init"):
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize("command", ["train", "check"])
def test_misspelt_names_are_told_before_torch_is_loaded(command, tmp_path):
    (tmp_path / "c.yaml").write_text(MISSPELT)
    done, modules = imported(command, "c.yaml", "train.precision=3", cwd=tmp_path)
    assert done.returncode == 2
    assert not {"torch", "numpy", "rich"} & modules
    assert done.stderr.splitlines() == [
        "error: 4 mistakes in c.yaml",
        "  c.yaml:1: data.source: there is no source 'Digitz'; did you mean 'Digits'?",
        "  c.yaml:2: model: there is no model 'LeNett'; did you mean 'LeNet'?",
        "  c.yaml:7: train.epochs: got 0; expected a number of at least 1",
        "  train.precision: got 3; expected one of 'fp32', 'fp64', 'bf16', 'fp16' or 'auto'",
    ]


def test_python_m_torchwork_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "torchwork", "resume", "nowhere"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: nowhere: is not a run directory")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["train", "c.yaml", "--nothing"],
        ["predict", "run"],
        ["frobnicate"],
        ["train", "nothing.yaml"],
        ["check", "nothing.yaml"],
        ["resume", "nothing"],
        ["evaluate", "nothing"],
        ["predict", "nothing", "a.png"],
        ["report", "nothing"],
        ["list", "nothing"],
        ["explain", "nothing"],
        ["init", "nothing"],
    ],
)
def test_wrong_arguments_end_with_2_and_no_traceback(torchwork, arguments):
    done = torchwork(*arguments)
    assert done.code == 2
    assert done.err
    assert "Traceback" not in done.err
    assert not done.out


FINDING = Finding("code", "error", "train.epochs", "got 0", "expected 1")


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (InputError(FINDING), 2, "error: train.epochs: got 0; expected 1"),
        (InputError([FINDING, FINDING]), 2, "error: 2 mistakes"),
        (RunError("the loss is NaN in step 3"), 1, "error: the loss is NaN in step 3"),
        (Interrupted("stopped after step 3", signal.SIGINT), 130, "stopped after step 3"),
        (Interrupted("stopped after step 3", signal.SIGTERM), 143, "stopped after step 3"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "error: No space left on device"),
        (MemoryError(), 1, "error: out of memory; take a smaller data.batch_size"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), 1, "take a smaller data.batch_size"),
    ],
)
def test_what_went_wrong_is_told_without_a_traceback(capsys, raised, code, said):
    with pytest.raises(typer.Exit) as ended, reporting():
        raise raised
    err = capsys.readouterr().err
    assert ended.value.exit_code == code
    assert said in err
    assert "Traceback" not in err


def test_what_nobody_expected_is_told_with_its_traceback(capsys):
    with pytest.raises(typer.Exit) as ended, reporting():
        raise ZeroDivisionError("oh")
    err = capsys.readouterr().err
    assert ended.value.exit_code == 1
    assert "test_app.py" in err
    assert "error: ZeroDivisionError: oh" in err


def test_a_reader_that_has_gone_is_no_error(tmp_path):
    command = f"{sys.executable} -m torchwork list layers | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_sigterm_ends_with_143(tmp_path):
    code = (
        "import os, signal\n"
        "from torchwork.cli import app\n"
        "app.reporting = lambda *a: os.kill(os.getpid(), signal.SIGTERM)\n"
        "app.main(['schema'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 143, done.stderr


def test_the_handler_of_sigterm_is_put_back(torchwork):
    before = signal.getsignal(signal.SIGTERM)
    torchwork("--help")
    assert signal.getsignal(signal.SIGTERM) is before


def test_mistakes_are_told_with_the_line_of_the_place_or_of_what_holds_it(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("data:\n  source:\n    name: Digits\n  transform:\n  - Normalize\nmodel: LeNet\n")
    found = [
        Finding("a", "error", "data.source.root", "is missing"),
        Finding("a", "error", "data.transform[0]", "is wrong"),
        Finding("a", "error", "optimizer", "is missing"),
        Finding("a", "error", "model.padding", "got 3"),
        Finding("a", "error", "data.transform[0].mean", "got 3"),
    ]
    said = mistakes(found, config, ["model.padding=3", "data.transform[0].mean=3"]).splitlines()
    assert said == [
        f"error: 5 mistakes in {config}",
        f"  {config}:2: data.source.root: is missing",
        "  data.transform[0]: is wrong",  # an override set something inside of it
        "  optimizer: is missing",
        "  model.padding: got 3",
        "  data.transform[0].mean: got 3",
    ]


@pytest.mark.parametrize("kind", components.CATALOGS)
def test_list_names_every_component_with_a_line(torchwork, kind):
    done = torchwork("list", listing.plural(kind))
    assert done.code == 0
    lines = done.out.splitlines()
    for name in components.names(kind):
        assert any(line.startswith(f"{name}: ") and len(line) > len(name) + 6 for line in lines), name
    assert torchwork("list", kind).out == done.out


def test_list_shows_options_and_defaults_but_not_what_is_not_the_users(torchwork):
    adam = torchwork("list", "optimizers").out.split("Adam: ")[1].splitlines()[1]
    assert "lr=0.001, betas=[0.9, 0.999]" in adam
    assert not {"params", "foreach", "differentiable"} & set(adam.replace("=", " ").replace(",", " ").split())
    cosine = torchwork("list", "schedules").out.split("CosineAnnealingLR: ")[1].splitlines()[1]
    assert "T_max (from the run's length)" in cosine
    assert "num_classes (from the data)" in torchwork("list", "models").out
    assert "size (required)" in torchwork("list", "transforms").out
    assert "reduction" not in torchwork("list", "losses").out


def test_list_says_in_words_what_a_layer_is_and_keeps_private_options_out(torchwork):
    layers = torchwork("list", "layers").out
    assert "LSTM: Apply a multi-layer" in layers or "LSTM: Applies a multi-layer" in layers
    assert "__init__" not in layers
    assert not any(option.startswith("_") for line in layers.splitlines() for option in line.strip().split(", "))


def test_the_schema_holds_the_options_of_every_component(torchwork):
    done = torchwork("schema")
    assert done.code == 0
    definitions = json.loads(done.out)["$defs"]
    for kind in components.CATALOGS:
        if kind == "task":
            continue
        rules = {r["if"]["properties"]["name"]["const"]: r["then"] for r in definitions[kind]["anyOf"][1]["allOf"]}
        assert rules.keys() == components.names(kind).keys()
        assert all(rule["properties"]["name"] is True for rule in rules.values())
    adam = next(r["then"] for r in definitions["optimizer"]["anyOf"][1]["allOf"] if "'Adam'" in str(r["if"]))
    assert adam["additionalProperties"] is False
    assert adam["properties"]["amsgrad"] == {"type": "boolean", "default": False}
    assert adam["properties"]["betas"]["type"] == "array"


def test_a_config_is_valid_by_the_schema(torchwork):
    schema = json.loads(torchwork("schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = {
        "data": {"source": "Digits", "transform": [{"name": "Resize", "size": 32}, "Normalize"]},
        "model": {"name": "Sequential", "layers": ["Flatten", {"name": "Linear", "bias": False}]},
        "optimizer": [{"name": "Adam", "match": "a*"}, "SGD"],
        "schedule": {"name": "SequentialLR", "schedulers": ["LinearLR", "CosineAnnealingLR"], "milestones": [3]},
        "init": {"Linear": "zeros_", "fc*": {"weight": {"name": "constant_", "val": 1}}},
    }
    assert not list(validator.iter_errors(good))
    for wrong in ({"lr": 1}, {"optimizer": {"name": "Adam", "lrr": 1}}, {"model": "LeNett"}, {"train": {"epochs": 0}}):
        assert list(validator.iter_errors(good | wrong)), wrong


@pytest.mark.parametrize("name", losses.LOSSES)
def test_explain_prints_the_contract_of_every_loss(torchwork, name):
    done = torchwork("explain", name)
    assert done.code == 0
    for fact in ("task", "target", "output", "activation", "batches", "prediction", "metrics", "divided by"):
        assert f"\n  {fact} " in done.out


def test_explain_imports_no_torch():
    done, modules = imported("explain", "CrossEntropyLoss")
    assert done.returncode == 0
    assert "torch" not in modules


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (bool, {"type": "boolean"}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (tuple[float, float], {"type": "array", "items": {"type": "number"}}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (tuple[int, str], {"type": "array"}),
        (dict[str, int], {"type": "object"}),
        (object, {}),
        (int | object, {}),
    ],
)
def test_annotations_become_json_schemas(annotation, schema):
    assert options.type_schema(annotation) == schema


def test_plain_tables_are_aligned_and_have_no_trailing_spaces():
    lines = layout.plain_table(["a", "number"], [["x", "1"], ["long", "1,000"]], right=["number"])
    assert lines == ["a     number", "x          1", "long   1,000"]


def test_rich_tables_show_what_plain_ones_do(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    layout.title("[bold] is no markup here")
    layout.table(["a", "number"], [["[x]", "1"]], right=["number"])
    out = capsys.readouterr().out
    assert "[bold] is no markup here" in out
    assert "[x]" in out


def test_commands_have_one_line_of_help_that_fits():
    for command in commands.app.registered_commands:
        assert command.callback is not None
        line = (command.callback.__doc__ or "").splitlines()[0]
        assert 0 < len(line) < 62, line
