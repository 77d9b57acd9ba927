"""Between the text of a config and plain data: YAML with the scalars of YAML 1.2, TOML and JSON in, YAML out."""

from __future__ import annotations

import datetime
import io
import json
import re
import tomllib
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from torchwork.types import Finding, InputError

# The core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#1032-tag-resolution); PyYAML's own rules are those of 1.1.
# "<<" is 1.1's merge key, which people use; nothing else in a config is written so.
_SCALARS: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", r"<<", "<"),
)


# A few lines of aliases of aliases stand for more than any memory holds.
_MOST_VALUES = 100_000


class _Loader(yaml.SafeLoader):
    """A safe loader that reads scalars as YAML 1.2 does."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


class _Dumper(yaml.SafeDumper):
    """A safe dumper that quotes whatever a reader of YAML 1.1 or of 1.2 would not take for a text."""

    yaml_implicit_resolvers = {key: list(rules) for key, rules in yaml.SafeDumper.yaml_implicit_resolvers.items()}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # In any other style the emitter of PyYAML writes Unicode's line breaks so that its reader loses them.
        style = '"' if any(character in data for character in "\x85\u2028\u2029") else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_Dumper.add_representer(str, _Dumper.represent_str)


for _tag, _pattern, _first in _SCALARS:
    _rule = (f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"))
    for _character in _first:
        _key = "" if _character == "\0" else _character
        _Loader.yaml_implicit_resolvers.setdefault(_key, []).append(_rule)
        _Dumper.yaml_implicit_resolvers.setdefault(_key, []).append(_rule)


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    try:
        return int(text[2:], {"0o": 8, "0x": 16}[text[:2]]) if text[:2] in ("0o", "0x") else int(text)
    except ValueError as error:
        raise yaml.constructor.ConstructorError(None, None, f"{error}", node.start_mark) from error


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node).lower()
    try:
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError as error:
        raise yaml.constructor.ConstructorError(None, None, f"{error}", node.start_mark) from error


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


def read(path: Path) -> Any:
    """Read a config file as plain data: TOML and JSON by their suffix, anything else as YAML.

    Raises:
        InputError: there is no such file, it is no text, it has a syntax error or a key twice; with line and column.
    """
    return parse(_text(path), path.suffix.lower(), str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        near = [
            p.name for p in sorted(path.parent.glob("*")) if p.suffix.lower() in (".yaml", ".yml", ".toml", ".json")
        ]
        fix = f"config files there: {', '.join(near[:10])}" if near else "write one with: torchwork init FOLDER"
        finding = Finding("no-config", "error", str(path), "there is no such file", fix)
    except IsADirectoryError:
        inside = path / "config.yaml"
        fix = f"did you mean {inside}?" if inside.is_file() else "name a YAML, TOML or JSON file"
        finding = Finding("no-config", "error", str(path), "is a directory, not a config file", fix)
    except UnicodeDecodeError as error:
        message = f"is no text in UTF-8: byte {error.start} is {error.object[error.start]:#04x}"
        finding = Finding("no-config", "error", str(path), message, "save it as UTF-8")
    except OSError as error:
        finding = Finding("no-config", "error", str(path), f"cannot be read: {error.strerror}", "check its permissions")
    raise InputError(finding)


def parse(text: str, suffix: str = ".yaml", name: str = "config") -> Any:
    """Parse the text of a config; ``suffix`` says its language, ``name`` stands in the findings.

    >>> parse("lr: 1e-3\\nwhen: 12:30\\nanswer: no")
    {'lr': 0.001, 'when': '12:30', 'answer': 'no'}
    """
    if suffix == ".toml":
        return _parse_toml(text, name)
    if suffix == ".json":
        return _parse_json(text, name)
    return _parse_yaml(text, name)


def _syntax(name: str, line: int, column: int, message: str, fix: str = "") -> Finding:
    return Finding("syntax", "error", f"{name}:{line}:{column}", message, fix)


def _compose(text: str) -> tuple[_Loader, yaml.Node | None]:
    loader = _Loader(text)
    try:
        return loader, loader.get_single_node()
    finally:
        loader.dispose()


def _parse_yaml(text: str, name: str) -> Any:
    try:
        loader, node = _compose(text)
        if node is None:
            return None
        if _expanded(node, {}) > _MOST_VALUES:
            message = f"is no config: it stands for more than {_MOST_VALUES:,} values, by aliases (*) of aliases"
            raise InputError(_syntax(name, 1, 1, message, "write out what it says"))
        twice = list(_repeated_keys(node, name))
        if twice:
            raise InputError(twice)
        return loader.construct_object(node, deep=True)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        context = f" {error.context}" if error.context else ""
        raise InputError(
            _syntax(name, line, column, f"is no YAML{context}: {error.problem}", _mend(text, line))
        ) from error
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1
        message = f"is no YAML: the character {error.character:#06x} is not allowed"
        raise InputError(_syntax(name, line, column, message, "remove it")) from error
    except RecursionError as error:
        raise InputError(_syntax(name, 1, 1, "is nested too deeply to be a config")) from error


def _expanded(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node stands for when every alias is written out; too many for one inside of itself."""
    if id(node) not in known:
        known[id(node)] = _MOST_VALUES + 1
        if isinstance(node, yaml.MappingNode):
            below = [item for pair in node.value for item in pair]
        else:
            below = node.value if isinstance(node, yaml.SequenceNode) else []
        known[id(node)] = 1 + sum(_expanded(item, known) for item in below)
    return known[id(node)]


def _mend(text: str, line: int) -> str:
    lines = text.split("\n")
    if line <= len(lines) and lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())].count("\t"):
        return "indent with spaces, not with tabs"
    return ""


def _repeated_keys(node: yaml.Node, name: str, seen: set[int] | None = None) -> Iterator[Finding]:
    seen = set() if seen is None else seen
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item, name, seen)
    if isinstance(node, yaml.MappingNode):
        first: dict[Hashable, int] = {}
        for key, value in node.value:
            mark = key.start_mark
            if isinstance(key, yaml.ScalarNode):
                identity = (key.tag, key.value)
                if identity in first:
                    message = f"the key {key.value!r} is here twice, first in line {first[identity]}"
                    yield _syntax(name, mark.line + 1, mark.column + 1, message, "remove one of them")
                first.setdefault(identity, mark.line + 1)
            yield from _repeated_keys(value, name, seen)


def _parse_json(text: str, name: str) -> Any:
    repeated = False

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        repeated = repeated or len({key for key, _ in items}) < len(items)
        return dict(items)

    try:
        content = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise InputError(_syntax(name, error.lineno, error.colno, f"is no JSON: {error.msg}")) from error
    except (RecursionError, ValueError) as error:
        raise InputError(_syntax(name, 1, 1, f"is no JSON: {error}")) from error
    if repeated:  # JSON is YAML but for tabs between tokens, so YAML's parser knows the places
        node = _compose(text.replace("\t", " "))[1]
        assert node is not None
        raise InputError(list(_repeated_keys(node, name)))
    return content


def _parse_toml(text: str, name: str) -> Any:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise InputError(_syntax(name, 1, 1, "is nested too deeply to be a config")) from error
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"^(.*) \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error), re.DOTALL)
        message, line, column = found.groups() if found else (str(error), None, None)
        last = text.count("\n") + 1
        raise InputError(_syntax(name, int(line or last), int(column or 1), f"is no TOML: {message}")) from error
    except ValueError as error:  # a number of too many digits
        raise InputError(_syntax(name, 1, 1, f"is no TOML: {error}")) from error


def lines(path: Path) -> dict[str, int]:
    """Return the line of each place of a YAML or JSON config, as ``data.transform[0].size``; empty where unknown."""
    if path.suffix.lower() == ".toml":
        return {}
    try:
        node = _compose(path.read_text(encoding="utf-8-sig").replace("\t", " "))[1]
        return {} if node is None or _expanded(node, {}) > _MOST_VALUES else dict(_places(node, ""))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return {}


def _places(node: yaml.Node, where: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            at = f"{where}.{key.value}" if where else str(key.value)
            yield at, key.start_mark.line + 1
            yield from _places(value, at)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield f"{where}[{index}]", item.start_mark.line + 1
            yield from _places(item, f"{where}[{index}]")


def plain(value: Any, where: str, findings: list[Finding]) -> Any:
    """Copy a value into what a config holds: mappings, lists, texts, numbers, true, false and null.

    Tuples, arrays, paths and TOML's dates become lists and texts; anything else is added to the findings.
    """
    if isinstance(value, Mapping):
        return {key: plain(item, f"{where}.{key}" if where else str(key), findings) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]", findings) for index, item in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)  # numpy's float64 is a float that YAML cannot write
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return plain(value.tolist(), where, findings)
    message = f"holds a {type(value).__name__}"
    fix = (
        "a config holds mappings, lists, texts, numbers, true, false and null; "
        "name objects as package.module:attribute, or train them with torchwork.fit"
    )
    findings.append(Finding("wrong-type", "error", where, message, fix))
    return None


def to_yaml(content: dict[str, Any]) -> str:
    """Write plain data as YAML that ``parse`` reads back equal: sections as blocks, what is small in one line.

    >>> print(to_yaml({"seed": 0, "model": {"name": "LeNet"}, "train": {"epochs": 1}}), end="")
    seed: 0
    model: {name: LeNet}
    train:
      epochs: 1
    """
    stream = io.StringIO()
    dumper = _Dumper(stream, default_flow_style=None, allow_unicode=True, sort_keys=False, width=110)
    dumper.open()
    node = dumper.represent_data(content)
    assert isinstance(node, yaml.MappingNode)
    node.flow_style = False
    for _, value in node.value:
        if isinstance(value, yaml.MappingNode) and value.value and not _is_component(value):
            value.flow_style = False
    dumper.serialize(node)
    dumper.close()
    return stream.getvalue()


def _is_component(node: yaml.MappingNode) -> bool:
    return any(key.value == "name" for key, _ in node.value)


def said(value: Any) -> str:
    """Return a value as a message shows it: as YAML writes it, and not all of it where it is long.

    >>> said(None), said(True), said("a text"), said([1, 2])
    ('null', 'true', "'a text'", '[1, 2]')
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def inline(value: Any) -> str:
    """Write plain data as YAML in one line.

    >>> inline({"name": "Resize", "size": [32, 32]}), inline("no")
    ('{name: Resize, size: [32, 32]}', "'no'")
    """
    written: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**9
    )
    return written.removesuffix("\n...\n").rstrip("\n")
