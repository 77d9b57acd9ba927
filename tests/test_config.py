"""Configs: how they are read, what is wrong with them, and that they come back as they were."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from torchwork import config
from torchwork.config import components, json_schema, text
from torchwork.config.sections import Config
from torchwork.types import InputError

LEAST = {"data": {"source": "Digits"}, "model": "LeNet", "optimizer": "Adam"}


def mistakes(source, *overrides) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        config.load(source, overrides)
    return {finding.where: f"{finding.message}; {finding.fix}" for finding in caught.value.findings}


def test_defaults_are_written_in():
    loaded = config.load(LEAST)
    assert loaded.model == {"name": "LeNet"}
    assert (loaded.name, loaded.seed, loaded.device, loaded.train.epochs, loaded.data.batch_size) == (
        "run",
        0,
        "auto",
        10,
        64,
    )
    assert loaded.data.split.model_dump() == {"train": 0.7, "val": 0.15, "test": 0.15, "by": None}


def test_a_config_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        config.load(LEAST).seed = 1


def test_loading_leaves_the_dict_as_it_was():
    given_dict = {"data": {"source": "Digits", "transform": ["Normalize"]}, "model": "LeNet", "optimizer": "Adam"}
    config.load(given_dict, ["data.transform[0].mean=1", "train.epochs=3"])
    assert given_dict == {
        "data": {"source": "Digits", "transform": ["Normalize"]},
        "model": "LeNet",
        "optimizer": "Adam",
    }


# What the core schema of YAML 1.2 says about scalars on which 1.1 differs, and some on which it does not.
SCALARS = {
    "1e-3": 0.001, "1E5": 1e5, "1.": 1.0, ".5": 0.5, "+.5e2": 50.0, "-1e+2": -100.0, "1_000": "1_000",
    "no": "no", "off": "off", "yes": "yes", "on": "on", "y": "y", "Off": "Off", "true": True, "FALSE": False,
    "12:30": "12:30", "1:30:00": "1:30:00", "2001-01-01": "2001-01-01", "0o17": 15, "017": 17, "0x1F": 31,
    "0b11": "0b11", "": None, "~": None, "null": None, "nUll": "nUll", ".inf": math.inf, "-.INF": -math.inf,
    "1e": "1e", "e3": "e3", ".": ".", "-": "-", "1.2.3": "1.2.3", "0o8": "0o8", "+12": 12, "'1'": "1", "=": "=",
}  # fmt: skip


@pytest.mark.parametrize("written", [key for key in SCALARS if key != "-"])
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
        ("c.yaml", "[" * 5000, ":1:"),
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


def test_every_mistake_is_told_at_once_with_its_place():
    found = mistakes("""
        data:
          source: {name: Digitss}
          batch_sise: 3
          transform: Normalize
          augment: [{name: RandomCrop, size: 32}, {RandomCrop: {size: 3}}, 5, {name: 5}]
        lr: 3
        num_epochs: 3
        epochs: 2
        model: lenet
        optimizer: {name: SGDD, groups: [{lr: 3}]}
        schedule: {name: SequentialLR, schedulers: [LinearLR, CosinAnnealingLR]}
        loss: CrossEntropyLos
        init: {Linear: {weight: xavier_uniform}, Conv2d: kaiming_norm_}
        task: clasification
        device: "cuda 1"
        train: {epochs: 0, precision: fp8, clip_norm: 0, accumulate: 1.0, patience: true, shuffle: true}
    """)
    expected = {
        "data.source": "did you mean 'Digits'?",
        "data.batch_sise": "did you mean 'batch_size'?",
        "data.transform": "write a list: [Normalize]",
        "data.augment[1]": "write {name: RandomCrop, ...}",
        "data.augment[2]": "got 5",
        "data.augment[3].name": "got 5",
        "lr": "write optimizer.lr",
        "num_epochs": "write train.epochs",
        "epochs": "it belongs at train.epochs",
        "model": "did you mean 'LeNet'?",
        "optimizer": "did you mean 'SGD'?",
        "optimizer.groups[0]": "without match",
        "schedule.schedulers[1]": "did you mean 'CosineAnnealingLR'?",
        "loss": "did you mean 'CrossEntropyLoss'?",
        "init.Linear.weight": "did you mean 'xavier_uniform_'?",
        "init.Conv2d": "did you mean 'kaiming_normal_'?",
        "task": "did you mean 'classification'?",
        "device": "expected auto, cpu, cuda",
        "train.epochs": "got 0; expected a number of at least 1",
        "train.precision": "got 'fp8'; expected one of 'fp32' or 'fp64'",
        "train.clip_norm": "got 0; expected a number above 0",
        "train.accumulate": "got 1.0; expected a whole number",
        "train.patience": "got true; expected a whole number",
        "train.shuffle": "it belongs at data.shuffle",
    }
    assert found.keys() == expected.keys()
    assert {where: said for where, said in expected.items() if said not in found[where]} == {}


def test_missing_sections_are_told_with_what_they_are():
    assert mistakes({}).keys() == {"data", "model", "optimizer"}
    assert mistakes({"data": {}, "model": None, "optimizer": "Adam"}).keys() == {"data.source", "model"}


def test_empty_sections_have_their_defaults():
    content = (
        "data: {source: Digits, split: , transform: , augment: }\nmodel: LeNet\noptimizer: Adam\ninit:\ntrain:\nloss:\n"
    )
    assert config.load(content) == config.load(LEAST)


@pytest.mark.parametrize("section", ["data", "data.split", "train", "init"])
@pytest.mark.parametrize("value", ["a text", 5, ["a"], True])
def test_a_section_of_the_wrong_kind_is_told(section, value):
    outer, _, inner = section.partition(".")
    content = LEAST | ({outer: {"source": "Digits", inner: value}} if inner else {outer: value})
    assert mistakes(content).keys() == {section}


@pytest.mark.parametrize("place", ["data.source", "model", "loss", "optimizer", "schedule", "init.Linear"])
@pytest.mark.parametrize("value", [5, True, {"lr": 1}, {"name": None}])
def test_a_component_of_the_wrong_kind_is_told_once(place, value):
    content: dict = {"data": {"source": "Digits"}, "model": "LeNet", "optimizer": "Adam"}
    outer, _, inner = place.partition(".")
    if inner:
        content.setdefault(outer, {})[inner] = value
    else:
        content[outer] = value
    if place == "init.Linear" and value == {"lr": 1}:  # start values by the name of a parameter
        place += ".lr"
    assert len(mistakes(content)) == 1
    assert next(iter(mistakes(content))).startswith(place)


@pytest.mark.parametrize("kind", [kind for kind in components.CATALOGS if kind != "task"])
def test_every_name_of_every_catalog_is_known_in_its_place(kind):
    for name in components.names(kind):
        content: dict = {"data": {"source": "Digits"}, "model": "LeNet", "optimizer": "Adam"}
        if kind == "layer":
            content["model"] = {"name": "Sequential", "layers": [name]}
        elif kind == "init":
            content["init"] = {"Linear": {"weight": name}, "fc*": name}
        elif kind == "source":
            content["data"]["source"] = name
        elif kind in ("transform", "augment"):
            content["data"][kind] = [name]
        else:
            content[kind] = name
        loaded = config.load(content)
        assert config.load(config.dump(loaded)) == loaded


@pytest.mark.parametrize("kind", components.CATALOGS)
def test_catalogs_are_known_without_importing_torch(kind):
    assert components.names(kind)


def test_no_torch_is_imported_to_find_mistakes():
    code = (
        "import sys; from torchwork import config; from torchwork.types import InputError\n"
        "try: config.load({'data': {'source': 'Digit'}, 'model': 'LeNett', 'optimizer': 'adam'}); sys.exit(1)\n"
        "except InputError as error: assert len(error.findings) == 3, error\n"
        "config.schema(); config.dump(config.load({'data': {'source': 'a:b'}, 'model': 'a:b', 'optimizer': 'a:b'}))\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )


def test_nested_components_become_mappings():
    loaded = config.load(
        LEAST
        | {
            "model": {"name": "Sequential", "layers": ["ReLU", {"name": "Linear", "out_features": 3}]},
            "schedule": {"name": "SequentialLR", "schedulers": ["LinearLR"], "milestones": [3]},
            "init": {"Linear": "zeros_", "Conv2d": {"weight": "ones_", "bias": {"name": "constant_", "val": 1}}},
        }
    )
    assert loaded.model == {"name": "Sequential", "layers": [{"name": "ReLU"}, {"name": "Linear", "out_features": 3}]}
    assert loaded.schedule == {"name": "SequentialLR", "schedulers": [{"name": "LinearLR"}], "milestones": [3]}
    assert loaded.init["Linear"] == {"name": "zeros_"}
    assert loaded.init["Conv2d"] == {"weight": {"name": "ones_"}, "bias": {"name": "constant_", "val": 1}}
    assert mistakes(LEAST | {"model": {"name": "MLP", "activation": "relu"}}).keys() == {"model.activation"}


def test_options_of_components_of_ones_own_are_left_alone():
    model = {"name": "a.b:Net", "layers": [64, 64], "activation": "relu", "groups": {"x": 1}}
    assert config.load(LEAST | {"model": model}).model == model


def test_several_optimizers_are_a_list():
    two = [{"name": "SparseAdam", "match": "embedding.*"}, {"name": "Adam"}]
    assert config.load(LEAST | {"optimizer": [two[0], "Adam"]}).optimizer == two
    assert mistakes(LEAST | {"optimizer": [two[0], "Adm", {"name": "Adam", "groups": [{}]}]}).keys() == {
        "optimizer[1]",
        "optimizer[2].groups[0]",
    }


def test_parts_that_do_not_add_up_to_one_are_refused():
    content = LEAST | {"data": {"source": "Digits", "split": {"by": "random", "train": 0.9}}}
    assert "train 0.9, val 0.15 (the default)" in mistakes(content)["data.split"]
    assert (
        "add up to 0.7" in mistakes(content, "data.split={train: 0.7, val: 0, test: 0, by: stratified}")["data.split"]
    )
    assert config.load(content, ["data.split={train: 0.8, val: 0.1, test: 0.1}"]).data.split.train == 0.8
    assert config.load(content, ["data.split={val: 0.3, by: given}"]).data.split.val == 0.3
    assert "data.split.train" in mistakes(LEAST, "data.split.train=0")


@pytest.mark.parametrize("name", ["a/b", "..", "", ".x", "-x", "a b", "x" * 101])
def test_a_name_that_is_no_directory_is_refused(name):
    assert mistakes(LEAST | {"name": name}).keys() == {"name"}


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_numbers_that_are_not_finite_are_refused(number):
    assert mistakes(LEAST | {"train": {"clip_norm": number}}).keys() == {"train.clip_norm"}


def test_values_of_python_become_those_of_a_config(tmp_path):
    source = {"name": "ImageFolder", "root": tmp_path, "size": (np.int64(3), np.float32(0.5)), "mean": np.arange(2)}
    loaded = config.load(
        {"data": {"source": source}, "model": "LeNet", "optimizer": {"name": "Adam", "lr": np.float64(0.1)}}
    )
    expected = {"name": "ImageFolder", "root": str(tmp_path), "size": [3, 0.5], "mean": [0, 1]}
    assert loaded.data.source == expected
    assert config.load(config.dump(loaded)) == loaded
    assert "holds a object" in mistakes(LEAST | {"model": {"name": "LeNet", "x": [object()]}})["model.x[0]"]


OVERRIDES = {
    "train.epochs=3": lambda c: c.train.epochs == 3,
    "optimizer.lr=1e-3": lambda c: c.optimizer == {"name": "Adam", "lr": 0.001},
    "optimizer=SGD": lambda c: c.optimizer == {"name": "SGD"},
    "optimizer={name: SGD, lr: 1}": lambda c: c.optimizer == {"name": "SGD", "lr": 1},
    "optimizer.name=SGD": lambda c: c.optimizer == {"name": "SGD"},
    "data.transform[0].size=32": lambda c: c.data.transform[0] == {"name": "Resize", "size": 32},
    "data.transform[0].size[1]=32": lambda c: c.data.transform[0]["size"] == [8, 32],
    "data.transform[1].mean=0": lambda c: c.data.transform[1] == {"name": "Normalize", "mean": 0},
    "data.transform[2]=Grayscale": lambda c: len(c.data.transform) == 3,
    "data.augment[0]=RandomCrop": lambda c: c.data.augment == [{"name": "RandomCrop"}],
    "data.transform=[]": lambda c: c.data.transform == [],
    "train.patience=": lambda c: c.train.patience is None,
    "train.monitor=a=b": lambda c: c.train.monitor == "a=b",
    'init."fc.*"=zeros_': lambda c: c.init == {"fc.*": {"name": "zeros_"}},
    "init.Linear.gain=1": lambda c: c.init == {"Linear": {"name": "", "gain": 1}},
    "name=no": lambda c: c.name == "no",
    "optimizer.betas=[0.9, 0.99]": lambda c: c.optimizer["betas"] == [0.9, 0.99],
}


@pytest.mark.parametrize("override", [o for o in OVERRIDES if o != "init.Linear.gain=1"])
def test_an_override_sets_its_place(override):
    content = LEAST | {"data": {"source": "Digits", "transform": [{"name": "Resize", "size": [8, 8]}, "Normalize"]}}
    assert OVERRIDES[override](config.load(content, [override]))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("epochs", "is no override"),
        ("=3", "is no override"),
        ("train..epochs=3", "is no override"),
        ("[0]=3", "is no override"),
        ("train.epochs=[", "flow node"),
        ("train.epochs={a: 1, a: 2}", "twice"),
        ("data.transform[3]=Resize", "has 1 items, [0] to [0]; [1] adds one"),
        ("data.transform.size=3", "data.transform[0].size=value"),
        ("data.batch_size.x=3", "is no mapping but 64"),
        ("data.batch_size[0]=3", "is no list but 64"),
        ("name.x=3", "is no mapping but 'run'"),
    ],
)
def test_a_wrong_override_is_told_with_the_rest(override, said):
    content = LEAST | {"name": "run", "data": {"source": "Digits", "transform": ["Normalize"], "batch_size": 64}}
    found = mistakes(content, override, "seed=-1")
    assert said in found[override]
    assert "seed" in found


def test_later_overrides_win():
    assert config.load(LEAST, ["seed=1", "seed=2"]).seed == 2


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SIMPLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)
OPTIONS = st.dictionaries(
    st.text().filter(lambda key: key not in ("name", "layers", "schedulers", "groups", "match")), VALUES, max_size=3
)


def component(*names: str):
    return st.builds(lambda name, options: {"name": name, **options}, st.sampled_from([*names, "a.b:c"]), OPTIONS)


CONFIGS = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {"source": component("Digits")},
            optional={
                "transform": st.lists(component("Normalize") | st.just("Resize"), max_size=2),
                "batch_size": st.integers(1, 10**6),
                "shuffle": st.booleans(),
                "split": st.fixed_dictionaries({"train": st.floats(1e-9, 1), "by": st.sampled_from(["given", None])}),
            },
        ),
        "model": component("LeNet"),
        "optimizer": component("Adam"),
    },
    optional={
        "seed": st.integers(0, 2**70),
        "init": st.dictionaries(st.text(), component("zeros_"), max_size=2),
        "schedule": component("StepLR"),
        "train": st.fixed_dictionaries({}, optional={"clip_norm": st.floats(1e-300, 1e300), "monitor": st.text()}),
    },
)


@given(CONFIGS)
def test_a_config_comes_back_from_its_yaml_as_it_was(content):
    loaded = config.load(content)
    assert config.load(config.dump(loaded)) == loaded


@given(st.dictionaries(st.text(), VALUES))
def test_readers_of_yaml_1_1_and_1_2_agree_on_what_is_written(content):
    written = text.to_yaml(content)
    assert yaml.safe_load(written) == content
    assert text.parse(written) == content


@given(st.text())
def test_no_text_breaks_the_reader(content):
    with pytest.raises(InputError):  # none is a whole config
        config.load(f"\n{content}")


@given(st.text())
def test_no_text_breaks_the_overrides(content):
    with contextlib.suppress(InputError):
        config.load(LEAST, [content])


def test_lines_of_a_file_are_found_by_place(tmp_path):
    content = "seed: 1\ndata:\n  source: Digits\n  transform:\n  - name: Resize\n    size: 3\n  - Normalize\n"
    (tmp_path / "c.yaml").write_text(content)
    expected = {"seed": 1, "data": 2, "data.source": 3, "data.transform[0].size": 6, "data.transform[1]": 7}
    found = text.lines(tmp_path / "c.yaml")
    assert {place: found[place] for place in expected} == expected
    assert text.lines(tmp_path / "none.yaml") == {}


def test_the_schema_names_every_key_with_title_and_description():
    schema = config.schema()
    assert schema["$schema"].endswith("2020-12/schema")
    for section in (schema, *(schema["$defs"][name] for name in ("DataConfig", "SplitConfig", "TrainConfig"))):
        assert section["additionalProperties"] is False
        for key, described in section["properties"].items():
            assert described["title"], key
            assert described["description"], key
    assert schema["properties"].keys() == Config.model_fields.keys()
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("kind", components.CATALOGS)
def test_the_schema_lists_the_names_of_each_catalog(kind):
    known, path = config.schema()["$defs"][f"{kind}-name"]["anyOf"]
    assert known["enum"] == list(components.names(kind))
    assert path == json_schema.IMPORT_PATH


def test_every_reference_of_the_schema_is_defined():
    schema = config.schema()
    used = set(re.findall(r'"#/\$defs/([^"]*)"', json.dumps(schema)))
    assert used <= schema["$defs"].keys()
    assert {kind for kind in components.CATALOGS if kind != "task"} <= used


def test_the_schema_has_the_options_that_it_is_given():
    given_schema = {"description": "Steps down the slope.", "properties": {"lr": {}}, "additionalProperties": False}
    definitions = config.schema({"optimizer": {"SGD": given_schema}})["$defs"]
    (rule,) = definitions["optimizer"]["anyOf"][1]["allOf"]
    assert rule["if"] == {"properties": {"name": {"const": "SGD"}}}
    assert rule["then"] == {**given_schema, "properties": {"name": True, "lr": {}}}
    assert "Steps down the slope." in definitions["optimizer-name"]["anyOf"][0]["enumDescriptions"]


def test_the_schema_knows_nested_components():
    (rule,) = [r for r in config.schema()["$defs"]["model"]["anyOf"][1]["allOf"] if "Sequential" in str(r)]
    assert rule["then"]["properties"]["layers"] == {"type": "array", "items": {"$ref": "#/$defs/layer"}}
