"""The JSON Schema of a config."""

from __future__ import annotations

import json
import re

import pytest

from torchwork import config
from torchwork.config import components, json_schema
from torchwork.config.loading import SECTIONS
from torchwork.config.sections import Config


def test_the_schema_names_every_key_with_title_and_description():
    schema = config.schema()
    assert schema["$schema"].endswith("2020-12/schema")
    names = [section.__name__ for section in SECTIONS.values() if section is not Config]
    assert set(names) >= {"DataConfig", "SplitConfig", "PairsConfig", "TargetConfig", "TrainConfig"}
    for section in (schema, *(schema["$defs"][name] for name in names)):
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


def test_the_schema_knows_pairs_and_the_run_to_learn_from():
    definitions = config.schema()["$defs"]
    data = definitions["DataConfig"]["properties"]
    assert data["pairs"]["anyOf"] == [{"$ref": "#/$defs/PairsConfig"}, {"type": "null"}]
    assert data["target"]["anyOf"] == [{"$ref": "#/$defs/TargetConfig"}, {"type": "null"}]
    assert definitions["PairsConfig"]["properties"]["mining"]["enum"] == ["none", "hard", "semi-hard"]
    assert definitions["TargetConfig"]["required"] == ["run"]
