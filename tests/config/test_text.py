"""The text of configs: what is read, what is refused with its line, and that it comes back as it was."""

from __future__ import annotations

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from torchwork import config
from torchwork.config import text
from torchwork.types import InputError


def mistakes(source, *overrides) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        config.load(source, overrides)
    return {finding.where: f"{finding.message}; {finding.fix}" for finding in caught.value.findings}


# What the core schema of YAML 1.2 says about scalars on which 1.1 differs, and some on which it does not.
SCALARS = {
    "1e-3": 0.001, "1E5": 1e5, "1.": 1.0, ".5": 0.5, "+.5e2": 50.0, "-1e+2": -100.0, "1_000": "1_000",
    "no": "no", "off": "off", "yes": "yes", "on": "on", "y": "y", "Off": "Off", "true": True, "FALSE": False,
    "12:30": "12:30", "1:30:00": "1:30:00", "2001-01-01": "2001-01-01", "0o17": 15, "017": 17, "0x1F": 31,
    "0b11": "0b11", "": None, "~": None, "null": None, "nUll": "nUll", ".inf": math.inf, "-.INF": -math.inf,
    "1e": "1e", "e3": "e3", ".": ".", "1.2.3": "1.2.3", "0o8": "0o8", "+12": 12, "'1'": "1", "=": "=",
}  # fmt: skip


@pytest.mark.parametrize("written", SCALARS)
def test_scalars_are_those_of_yaml_1_2(written):
    read = text.parse(f"x: {written}")["x"]
    assert (read, type(read)) == (SCALARS[written], type(SCALARS[written]))


def test_nan_is_a_number_of_yaml_1_2():
    assert math.isnan(text.parse("x: .nan")["x"])


def test_anchors_and_merges_are_read():
    assert text.parse("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 2},
    }


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("c.yaml", "a: [1, 2\nb: 3\n", ":2:2"),
        ("c.yaml", "a: 1\n\tb: 2\n", ":2:1"),
        ("c.yaml", "a: 'x\n", ":2:1"),
        ("c.yaml", "a: 1\n---\nb: 2\n", ":2:1"),
        ("c.yaml", "a: !!python/object:os.system x\n", ":1:4"),
        ("c.yaml", "a: &x [*x]\n", ":1:"),
        ("c.yaml", "? [1]\n: 2\n", ":1:3"),
        ("c.yaml", "a: *nowhere\n", ":1:4"),
        ("c.yaml", "a: \x07\n", ":1:4"),
        ("c.yaml", f"a: {'9' * 5000}\n", ":1:4"),
        ("c.yaml", "[" * 1500, ":1:"),
        ("c.json", '{"a": 1,\n "b" 2}', ":2:6"),
        ("c.json", "[" * 100_000, ":1:1"),
        ("c.toml", "a = 1\nb = = 2\n", ":2:5"),
        ("c.toml", "a = 1\nb = [", ":2:"),
    ],
)
def test_a_syntax_error_is_told_with_file_line_and_column(tmp_path, name, content, place):
    (tmp_path / name).write_text(content)
    (where, message), *rest = mistakes(tmp_path / name).items()
    assert where.startswith(f"{tmp_path / name}{place}")
    assert "is no" in message or "deeply" in message
    assert not rest


@pytest.mark.parametrize(
    ("name", "content"),
    [("c.yaml", "a: 1\nb: {c: 1, 'c': 2}\na: 3\n"), ("c.json", '{"a": 1,\n\t"b": {"c": 1, "c": 2},\n"a": 3}')],
)
def test_a_key_that_stands_twice_is_an_error_with_both_lines(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    found = mistakes(tmp_path / name)
    assert {where.split(":")[1] for where in found} == {"2", "3"}
    assert any("'a' is here twice, first in line 1" in message for message in found.values())
    assert any("'c' is here twice, first in line 2" in message for message in found.values())


def test_a_key_that_stands_twice_in_toml_is_an_error_with_its_line(tmp_path):
    (tmp_path / "c.toml").write_text("a = 1\nb = 2\na = 3\n")
    assert [where.split(":")[1] for where in mistakes(tmp_path / "c.toml")] == ["3"]


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "near.yaml").write_text("")
    assert "near.yaml" in mistakes(tmp_path / "far.yaml")[str(tmp_path / "far.yaml")]
    (tmp_path / "latin.yaml").write_bytes("name: Zürich".encode("latin-1"))
    assert "byte 7 is 0xfc" in mistakes(tmp_path / "latin.yaml")[str(tmp_path / "latin.yaml")]
    assert "is a directory" in mistakes(tmp_path)[str(tmp_path)]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("")
    assert "run/config.yaml" in mistakes(tmp_path / "run")[str(tmp_path / "run")]


@pytest.mark.parametrize(
    ("content", "said"), [("", "is empty"), ("# x\n", "is empty"), ("- 1", "holds [1]"), ("5", "holds 5")]
)
def test_a_file_without_a_mapping_is_refused(tmp_path, content, said):
    (tmp_path / "c.yaml").write_text(content)
    assert said in mistakes(tmp_path / "c.yaml")[str(tmp_path / "c.yaml")]


def test_yaml_toml_json_and_a_dict_give_the_same_config(tmp_path):
    content = {
        "seed": 3,
        "data": {"source": {"name": "Digits"}},
        "model": "LeNet",
        "optimizer": {"name": "SGD", "lr": 0.1},
    }
    (tmp_path / "c.json").write_text(json.dumps(content), encoding="utf-8-sig")
    (tmp_path / "c.yml").write_text(yaml.safe_dump(content))
    toml = 'seed = 3\nmodel = "LeNet"\n[data]\nsource.name = "Digits"\n[optimizer]\nname = "SGD"\nlr = 1e-1\n'
    (tmp_path / "c.toml").write_text(toml)
    expected = config.load(content)
    assert [config.load(str(tmp_path / name)) for name in ("c.json", "c.yml", "c.toml")] == [expected] * 3


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SIMPLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)


@given(st.dictionaries(st.text(), VALUES))
def test_readers_of_yaml_1_1_and_1_2_agree_on_what_is_written(content):
    written = text.to_yaml(content)
    assert yaml.safe_load(written) == content
    assert text.parse(written) == content


@given(st.text())
def test_no_text_breaks_the_reader(content):
    with pytest.raises(InputError):  # none is a whole config
        config.load(f"\n{content}")


def test_lines_of_a_file_are_found_by_place(tmp_path):
    content = "seed: 1\ndata:\n  source: Digits\n  transform:\n  - name: Resize\n    size: 3\n  - Normalize\n"
    (tmp_path / "c.yaml").write_text(content)
    expected = {"seed": 1, "data": 2, "data.source": 3, "data.transform[0].size": 6, "data.transform[1]": 7}
    found = text.lines(tmp_path / "c.yaml")
    assert {place: found[place] for place in expected} == expected
    assert text.lines(tmp_path / "none.yaml") == {}
