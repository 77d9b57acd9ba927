"""What is not used is not loaded: help and mistakes come at once, and a run pays only for what it uses."""

from __future__ import annotations

import json
import subprocess
import sys

from architecture.source_tree import modules

HEAVY = ("torch", "pydantic", "yaml", "rich", "sklearn", "pandas", "matplotlib", "PIL", "numpy", "jinja2", "scipy")

CATALOGS = sorted(
    name for name, module in modules().items() if module.is_package and module.part not in ("", "config", "cli")
)


def _loaded_after(code: str) -> set[str]:
    """Run code in a new interpreter and return the heavy libraries that it loaded."""
    report = f"import sys, json; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_torchwork_loads_nothing_heavy():
    assert _loaded_after("import torchwork; dir(torchwork); torchwork.__version__") == set()


HELP = """
from torchwork.cli import main
try:
    main({arguments!r})
except SystemExit as end:
    assert end.code == 0, end.code
"""


def test_help_loads_nothing_heavy():
    assert _loaded_after(HELP.format(arguments=["--help"])) == set()


def test_help_of_a_command_loads_nothing_heavy_but_what_typer_itself_loads():
    assert _loaded_after(HELP.format(arguments=["train", "--help"])) <= {"pydantic"}


def test_python_dash_m_torchwork_is_the_command():
    command = [sys.executable, "-X", "importtime", "-m", "torchwork", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "train" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert not loaded & set(HEAVY)


def test_catalogs_and_public_names_load_nothing_heavy():
    assert _loaded_after("import " + ", ".join(CATALOGS)) == set()


def test_a_misspelt_name_is_found_without_torch():
    code = """
from torchwork import config
from torchwork.types import InputError
try:
    config.load({"data": {"source": "Digitz"}, "model": "LeNet", "optimizer": "Adamm"})
except InputError as error:
    assert len(error.findings) == 2, error
else:
    raise AssertionError("not found")
"""
    assert "torch" not in _loaded_after(code)


def test_making_ready_for_a_run_loads_neither_plots_nor_the_reference_metrics_nor_tables():
    loaded = _loaded_after("import torchwork; torchwork.train, torchwork.check, torchwork.fit")
    assert not loaded & {"sklearn", "matplotlib", "pandas", "jinja2", "rich"}
