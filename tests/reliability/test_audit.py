"""A default run keeps to itself: no network, no other program, no pickle, no code from data, no file elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reliability.audited import CANARY

CONFIG = f"""
name: {CANARY}
data:
  source: {{name: Table, path: {CANARY}.csv, target: {CANARY}-y}}
  transform: [Normalize]
  batch_size: 16
model: {{name: MLP, hidden: [8]}}
optimizer: {{name: Adam, lr: 1e-2}}
train: {{epochs: 2, threads: 1, checkpoint_every_steps: 2}}
"""
COMMANDS = [
    ["train", "config.yaml", "--out", "run"],  # is asked to stop after its first epoch
    ["resume", "run"],
    ["evaluate", "run"],
    ["predict", "run", f"{CANARY}.csv"],
    ["report", "run"],
    ["check", "config.yaml"],
    ["misbehave"],
]
CODES = [75, 0, 0, 0, 0, 0, 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of data and a config to work in, beside an empty home and an empty folder for temporary files."""
    folder = tmp_path_factory.mktemp("audited")
    for name in ("home", "temporary", "work"):
        (folder / name).mkdir()
    rows = [f"{n % 7},{n % 5 - 2},{('猫' if n % 7 > 3 else CANARY)}" for n in range(120)]
    text = "\n".join([f"a,{CANARY}-b,{CANARY}-y", *rows]) + "\n"
    (folder / "work" / f"{CANARY}.csv").write_text(text, encoding="utf-8")
    (folder / "work" / "config.yaml").write_text(CONFIG, encoding="utf-8")
    for name in ("torch.py", "yaml.py", "random.py", "sitecustomize.py"):  # no module is taken from where data lie
        (folder / "work" / name).write_text("raise SystemExit('a file of the working directory was imported')")
    return folder


@pytest.fixture(scope="module")
def noted(folder):
    """What each of the commands did, as the audit hook saw it."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "MPL", "TORCH", "COV", "PYTEST"))}
    there = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary"), "PYTHONDONTWRITEBYTECODE": "1"}
    script = Path(__file__).with_name("audited.py")
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", script, folder / "noted.json"],
        cwd=folder / "work",
        env=inherited | there,
        input=json.dumps(COMMANDS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((folder / "noted.json").read_text())
    assert [command["exit"] for command in found] == CODES, done.stdout[-2000:] + done.stderr[-3000:]
    return found[:-1], found[-1]


@pytest.mark.parametrize("kind", ["network", "program", "pickle", "code"])
def test_a_default_run_has_nothing_to_do_with(kind, noted):
    ours, misbehaviour = noted
    assert [command[kind] for command in ours] == [[]] * len(ours)
    assert misbehaviour[kind], "the hook notices it"


def test_a_default_run_writes_into_the_run_and_the_cache_only(noted, folder):
    ours, misbehaviour = noted
    work, cache = folder / "work", folder / "home" / ".cache" / "torchwork"
    for words, command in zip(COMMANDS, ours, strict=False):
        allowed = {Path(os.devnull), *cache.parents}  # the folders above the cache, where they are not there yet
        written = {Path(path) for path in command["written"]} - allowed
        if words[0] == "predict":  # to the file that is asked for, written beside its place first
            written = {path for path in written if "predictions.csv" not in path.name}
        assert [p for p in written if not (p.is_relative_to(cache) or p.is_relative_to(work / "run"))] == [], words
    assert str(work / "misbehaved") in misbehaviour["written"]


def test_a_default_run_leaves_no_file_elsewhere(noted, folder):
    """What libraries in C write no audit hook sees: the folders themselves tell."""
    there = {path.name for path in (folder / "work").iterdir()}
    given = {f"{CANARY}.csv", "config.yaml", "torch.py", "yaml.py", "random.py", "sitecustomize.py"}
    assert there == {*given, "run", "predictions.csv", "misbehaved"}
    assert [path.name for path in (folder / "temporary").iterdir()] == []
    assert [str(path.relative_to(folder / "home")) for path in (folder / "home").rglob("*")][:2] == [
        ".cache",
        ".cache/torchwork",
    ]
    assert all(path.is_relative_to(folder / "home" / ".cache") for path in (folder / "home").rglob("*"))
