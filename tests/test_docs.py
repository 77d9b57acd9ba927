"""Every code block of the documentation runs: pages are read from top to bottom, each in a directory of its own.

A fenced block of ``python`` is executed, one with a file name after the language is written to that file. In a block of
``console``, lines that begin with ``$ torchwork`` are run as commands, but for those with a PLACEHOLDER in capitals,
which are only checked to exist. A command whose shown output begins with ``error:`` must end with exit code 2 and say
just that. Trainings are cut to two epochs where the command does not say how many.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from torchwork.cli import main
from torchwork.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SLOW = {"sweep.md", "data.md"}  # they start some dozen processes
OTHER_COMMANDS = {"git", "cd", "pip", "python3", ".venv/bin/pip"}
PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b(?!\.md)")


class Block(NamedTuple):
    """A fenced block: its language, the file that it is, its text, and the line where it begins."""

    language: str
    file: str
    text: str
    line: int


class Command(NamedTuple):
    """A command of a console block and what is shown below it."""

    line: str
    output: str


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    fences = re.finditer(r"^```(\w+)(?: +(\S+))?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [Block(m[1], m[2] or "", m[3], text.count("\n", 0, m.start()) + 1) for m in fences]


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block; a backslash at a line's end goes on."""
    text = block.text.replace("\\\n", " ")
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    return [Command(line.strip(), output.strip()) for line, _, output in (part.partition("\n") for part in parts)]


def _of(language: str) -> list[Any]:
    found = [(page, block) for page in PAGES for block in blocks(page) if block.language == language]
    return [pytest.param(page, block, id=f"{page.relative_to(ROOT)}:{block.line}") for page, block in found]


@pytest.mark.parametrize(("page", "block"), _of("console"))
def test_commands_of_the_documentation_exist(page, block):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    known = {command.name or command.callback.__name__.replace("_", "-") for command in app.registered_commands}
    assert commands(block), "a console block without a command"
    for command in commands(block):
        words = shlex.split(command.line)
        if words[0] == "torchwork":
            assert words[1] in known | {"--help"}, command.line
        elif words[0] == "make":
            assert set(words[1:]) <= targets, command.line
        else:
            assert words[0] in OTHER_COMMANDS, command.line


def _run(command: Command) -> None:
    words = shlex.split(command.line, comments=True)[1:]
    target = words[words.index(">") + 1] if ">" in words else None
    words = words[: words.index(">")] if target else words
    if words[0] == "train" and not any(word.startswith("train.epochs=") for word in words):
        words.append("train.epochs=2")
    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained), pytest.raises(SystemExit) as end:
        main(words)
    if target:
        Path(target).write_text(said.getvalue(), encoding="utf-8")
    if command.output.startswith("error:"):
        assert end.value.code == 2, command.line
        assert complained.getvalue().strip() == command.output
    else:
        assert end.value.code in (0, None), f"{command.line}\n{complained.getvalue()}"


def _page(page: Path) -> Any:
    marks = [pytest.mark.slow] if page.name in SLOW else []
    return pytest.param(page, id=str(page.relative_to(ROOT)), marks=marks)


@pytest.mark.parametrize("page", [_page(page) for page in PAGES])
def test_every_block_of_the_documentation_runs(page, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("runs", "__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [os.fspath(tmp_path), *sys.path])
    loaded = set(sys.modules)
    names: dict[str, Any] = {"__name__": "documentation"}
    try:
        for block in blocks(page):
            if block.file:
                Path(block.file).parent.mkdir(parents=True, exist_ok=True)
                Path(block.file).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                code = compile("\n" * block.line + block.text, os.fspath(page), "exec")
                exec(code, names)
            elif block.language == "console":
                for command in commands(block):
                    if command.line.startswith("torchwork ") and not PLACEHOLDER.search(command.line):
                        _run(command)
    finally:
        for name in set(sys.modules) - loaded:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(os.fspath(tmp_path)):
                del sys.modules[name]
