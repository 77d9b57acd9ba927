"""Configs: what is wrong with them, all at once, and that they come back from YAML as they were."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchwork import config
from torchwork.config import components
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
    written = {key: value for key, value in loaded.data.split.model_dump().items() if value}
    assert written == {"train": 0.7, "val": 0.15, "test": 0.15}


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
        "train.precision": "got 'fp8'; expected one of 'fp32', 'fp64', 'bf16', 'fp16' or 'auto'",
        "train.clip_norm": "got 0; expected a number above 0",
        "train.accumulate": "got 1.0; expected a whole number",
        "train.patience": "got true; expected a whole number",
        "train.shuffle": "it belongs at data.shuffle",
    }
    assert found.keys() == expected.keys()
    assert {where: said for where, said in expected.items() if said not in found[where]} == {}


def test_a_dotted_name_is_told_how_to_be_written():
    content = {**LEAST, "loss": "torch.nn.CrossEntropyLoss", "schedule": "my.own.Rule"}
    found = mistakes(content | {"metrics": ["torchmetrics.CohenKappa", "a:b"]})
    assert "did you mean 'CrossEntropyLoss'?" in found["loss"]
    assert "did you mean 'my.own:Rule'?" in found["schedule"]
    assert "did you mean 'CohenKappa'?" in found["metrics[0]"]


def test_a_misspelt_metric_is_told_at_once_if_it_is_the_only_one_or_not_the_only_mistake():
    assert mistakes(LEAST | {"metrics": ["CohenKapa"]}).keys() == {"metrics[0]"}
    assert mistakes(LEAST | {"metrics": ["CohenKapa", "a:b"], "seed": "x"}).keys() == {"metrics[0]", "seed"}
    assert config.load(LEAST | {"metrics": ["CohenKapa", "a:b"]}).metrics[0] == {"name": "CohenKapa"}  # told later


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
        elif kind in ("metric", "log"):
            content["metrics" if kind == "metric" else kind] = [name]
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
    assert "train 0.9, val 0, test 0 add up to 0.9" in mistakes(content)["data.split"]
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


def test_pairs_and_the_run_to_learn_from_are_sections_of_data():
    loaded = config.load(LEAST, ["data.pairs.mining=semi-hard", "data.target.run=runs/teacher/1"])
    assert loaded.data.pairs.model_dump() == {"file": None, "mining": "semi-hard"}
    assert loaded.data.target.run == "runs/teacher/1"
    plain = config.load(LEAST)
    assert plain.data.pairs is plain.data.target is None
    for found in (loaded, plain):
        assert config.load(config.dump(found)) == found


def test_mistakes_in_pairs_and_target_are_told_at_their_place():
    wrong = LEAST | {"data": {"source": "Digits", "pairs": {"mining": "easy", "fil": "a.csv"}, "target": {}}}
    found = mistakes(wrong)
    assert found.keys() == {"data.pairs.mining", "data.pairs.fil", "data.target.run"}
    assert "'hard' or 'semi-hard'" in found["data.pairs.mining"]
    assert "did you mean 'file'?" in found["data.pairs.fil"]
    assert "is missing" in found["data.target.run"]
    both = LEAST | {"data": {"source": "Digits", "pairs": {"mining": "hard", "file": "a.csv"}}}
    assert "leave out one of the two" in mistakes(both)["data.pairs.mining"]


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
                "pairs": st.none() | st.fixed_dictionaries({}, optional={"file": st.none() | st.text()}),
                "target": st.none() | st.fixed_dictionaries({"run": st.text()}),
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


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, (0.7, 0.15, 0.15)),
        ({"by": "given"}, (0.7, 0.15, 0.15)),
        ({"train": 0.8, "test": 0.2}, (0.8, 0.0, 0.2)),
        ({"val": 0.1}, (0.9, 0.1, 0.0)),
        ({"val": 0.1, "test": 0.2}, (0.7, 0.1, 0.2)),
    ],
)
def test_parts_of_the_split_that_are_left_out_follow_from_those_that_are_written(written, expected):
    split = config.load({"data": {"source": "Iris", "split": written}, "model": "MLP", "optimizer": "SGD"}).data.split
    assert (split.train, split.val, split.test) == expected


def test_an_empty_clean_section_is_the_default_and_a_constant_needs_its_fill():
    assert config.load({**LEAST, "data": {"source": "Digits", "clean": None}}) == config.load(LEAST)
    assert list(mistakes(LEAST, "data.clean.missing=constant")) == ["data.clean.fill"]
    assert list(mistakes(LEAST, "data.clean.fill=0")) == ["data.clean.fill"]
    assert config.load(LEAST, ["data.clean.missing=constant", "data.clean.fill=0"]).data.clean.fill == 0
    assert "'error' or 'drop'" in mistakes(LEAST, "data.clean.unreadable=dorp")["data.clean.unreadable"]


def test_an_augmentation_among_the_transforms_and_the_other_way_round_are_sent_to_their_place():
    data = {"source": "Digits", "transform": ["RandomCrop", {"name": "Compose", "transforms": ["MixUp", "Resiz"]}]}
    assert mistakes(LEAST | {"data": data | {"augment": ["Resize", "RandomCorp"]}}) == {
        "data.transform[0]": "RandomCrop changes samples at random; put it under data.augment",
        "data.transform[1].transforms[0]": "MixUp changes samples at random; put it under data.augment",
        "data.transform[1].transforms[1]": "there is no transform 'Resiz'; did you mean 'Resize'?",
        "data.augment[0]": "Resize does the same to every sample; put it under data.transform",
        "data.augment[1]": "there is no augment 'RandomCorp'; did you mean 'RandomCrop'?",
    }
    listed = {"source": "Digits", "transform": [{"name": "Compose", "transforms": ["ToTensor", {"name": "Normalize"}]}]}
    assert config.load(LEAST | {"data": listed}).data.transform == [
        {"name": "Compose", "transforms": [{"name": "ToTensor"}, {"name": "Normalize"}]}
    ]
