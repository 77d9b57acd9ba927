"""Files and functions stay small enough to read in one sitting, and say what they are."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from functools import cache

import pytest

from architecture.source_tree import ROOT, Module, modules, python_files

LONGEST_FILE = 450
LONGEST_FUNCTION = 60
FORBIDDEN_MODULES = {"utils", "util", "helpers", "helper", "common", "misc", "base"}
FORBIDDEN_CLASSES = re.compile(
    r"(Manager|Handler|Wrapper|Engine|Strategy|Plugin|DataModule|Callback|Trainer|Mixin|Base)$|^(Base|Abstract)[A-Z]"
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _lines(path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _relative(path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", python_files(), ids=_relative)
def test_no_file_is_longer_than_450_lines(path):
    assert len(_lines(path)) <= LONGEST_FILE


def test_median_file_is_under_200_lines():
    assert statistics.median(len(_lines(module.path)) for module in modules().values()) < 200


def _length(function: Function) -> int:
    """Return the lines of a function without its docstring."""
    first = function.body[0]
    has_docstring = ast.get_docstring(function) is not None
    said = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - said


def test_no_function_is_longer_than_60_lines_of_code():
    long = [
        f"{_relative(path)}:{node.lineno} {node.name}: {_length(node)} lines"
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, Function) and _length(node) > LONGEST_FUNCTION
    ]
    assert not long, "\n".join(long)


def test_no_module_has_a_name_that_says_nothing():
    assert not [name for name in modules() if FORBIDDEN_MODULES & set(name.split("."))]


def test_no_class_is_of_a_kind_that_the_design_goes_without():
    wrong = [
        f"{module.name}.{node.name}"
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and FORBIDDEN_CLASSES.search(node.name)
    ]
    assert not wrong


def _public(module: Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield what others may use: the module, its classes and functions, and the methods with a meaning of their own.

    A method that a Protocol declares is described there, and what torch calls by torch.
    """
    yield module.name, module.tree
    for node in module.tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield f"{module.name}.{node.name}", node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, Function) and not inner.name.startswith("_") and inner.name not in _declared():
                    yield f"{module.name}.{node.name}.{inner.name}", inner


@cache
def _declared() -> set[str]:
    """Return the names that the package's Protocols declare."""
    protocols = (
        node
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases)
    )
    return {"forward", "extra_repr"} | {_name(statement) for protocol in protocols for statement in protocol.body}


def _name(statement: ast.stmt) -> str:
    if isinstance(statement, ast.AnnAssign):
        return ast.unparse(statement.target)
    return statement.name if isinstance(statement, Function) else ""


def test_every_public_module_class_function_and_method_has_a_docstring():
    silent = [
        name
        for module in modules().values()
        if module.path.stat().st_size
        for name, node in _public(module)
        if not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)


def test_nothing_is_left_to_do_in_the_code():
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [
        f"{_relative(path)}:{number}"
        for path in python_files()
        if path.name != "test_sizes.py"
        for number, line in enumerate(_lines(path), 1)
        if marks.search(line)
    ]
    assert not found
