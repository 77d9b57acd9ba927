"""The package as its own source code shows it: modules, their imports, their definitions. Nothing is imported."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "torchwork"


@dataclass(frozen=True)
class Module:
    """One file of the package under its dotted name."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def part(self) -> str:
        """The name below ``torchwork``: a package or a module of the house; empty for the package itself."""
        return self.name.split(".")[1] if "." in self.name else ""


@dataclass(frozen=True)
class Import:
    """One imported module, as resolved; ``names`` are what is taken from it."""

    target: str
    names: tuple[str, ...]
    line: int
    at_start: bool  # run when the module is loaded, rather than inside a function or for type checkers only


@cache
def modules() -> dict[str, Module]:
    """Return every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8")))
    return found


@cache
def imports(module: str) -> tuple[Import, ...]:
    """Return all imports of a module, those inside functions too."""
    late = _late_nodes(modules()[module].tree)
    found = []
    for node in ast.walk(modules()[module].tree):
        at_start = node not in late
        if isinstance(node, ast.Import):
            found += [Import(alias.name, (), node.lineno, at_start) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively"
            source = node.module or ""
            plain = tuple(alias.name for alias in node.names if f"{source}.{alias.name}" not in modules())
            submodules = [alias.name for alias in node.names if f"{source}.{alias.name}" in modules()]
            found += [Import(f"{source}.{name}", (), node.lineno, at_start) for name in submodules]
            if plain:
                found.append(Import(source, plain, node.lineno, at_start))
    return tuple(found)


def own_imports(module: str) -> list[Import]:
    """Return the imports of a module that lie inside the package."""
    return [found for found in imports(module) if found.target in modules()]


def _late_nodes(tree: ast.Module) -> set[ast.AST]:
    """Return every node that loading the module does not run: bodies of functions and of ``if TYPE_CHECKING``."""
    late: set[ast.AST] = set()
    for node in ast.walk(tree):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        is_typing = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if is_function or is_typing:
            late.update(child for statement in node.body for child in ast.walk(statement))
    return late


def python_files() -> list[Path]:
    """Return every Python file that a person wrote for this project."""
    folders = ("src", "tests", "examples", "benchmarks", "docs")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
