"""Steps of torchvision that have nothing to do here are taken, left out, and said to be so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from torchwork.data.builtin import Digits
from torchwork.data.transform import Pipeline
from torchwork.types import InputError

IDS = np.arange(5)


def _inputs(steps: list[dict[str, Any]]) -> torch.Tensor:
    source = Digits()
    pipeline = Pipeline(steps, source.schema)
    pipeline.fit(source, np.arange(50))
    return pipeline.finish(pipeline.prepare(source.read(IDS, epoch=1)[0]))


BARE = [{"name": "Pad", "padding": 1}, {"name": "Resize", "size": 12}, {"name": "Normalize", "mean": 0.5, "std": 0.5}]


def test_a_list_of_torchvision_gives_what_its_needed_steps_give() -> None:
    padded, resized, normalized = BARE
    taken_over = [
        {"name": "ToPILImage"},
        {
            "name": "Compose",
            "transforms": [
                padded,
                {"name": "Compose", "transforms": [resized, {"name": "ToTensor"}]},
                {"name": "ConvertImageDtype", "dtype": "torch.float32"},
                normalized,
            ],
        },
        {"name": "ToTensor"},
    ]
    assert torch.equal(_inputs(taken_over), _inputs(BARE))
    found = Pipeline(taken_over, Digits().schema).findings
    assert {(finding.code, finding.severity) for finding in found} == {("unnecessary", "info")}
    assert [finding.where for finding in found] == [
        "data.transform[0]",
        "data.transform[1]",
        "data.transform[1].transforms[1]",
        "data.transform[1].transforms[1].transforms[1]",
        "data.transform[1].transforms[2]",
        "data.transform[2]",
    ]
    assert Pipeline(BARE, Digits().schema).findings == []


def test_mistakes_inside_a_compose_are_placed_and_another_dtype_is_refused() -> None:
    inside = [{"name": "Pad", "padding": -1}, {"name": "ConvertImageDtype", "dtype": "float16"}, {"name": "Resize"}]
    with pytest.raises(InputError) as caught:
        Pipeline([{"name": "Compose", "transforms": inside}], Digits().schema)
    assert [(finding.code, finding.where) for finding in caught.value.findings] == [
        ("wrong-value", "data.transform[0].transforms[0]"),
        ("wrong-value", "data.transform[0].transforms[1]"),
        ("missing-option", "data.transform[0].transforms[2]"),
    ]
    assert "train.precision sets" in str(caught.value)


def test_lambda_applies_a_function_to_each_sample() -> None:
    plain = _inputs([])
    turned = _inputs([{"name": "Lambda", "function": "torch:fliplr"}])
    expected = torch.stack([torch.fliplr(sample) for sample in plain])
    assert torch.equal(turned, expected)
