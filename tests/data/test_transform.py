"""The pipeline: its order, what it learns and from whom, and what does not fit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from torchwork.data.builtin import Diabetes, Digits, Iris
from torchwork.data.images import ImageFolder
from torchwork.data.memory import InMemory, Rows
from torchwork.data.transform import Pipeline
from torchwork.types import InputError, Schema

NORMALIZE = [{"name": "Normalize"}]


def _through(pipeline: Pipeline, source: Any, ids: np.ndarray) -> torch.Tensor:
    return pipeline.finish(pipeline.prepare(source.read(ids, epoch=1)[0]))


def _colours(count: int = 50) -> InMemory:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 3, 6, 5), dtype=np.uint8))
    return InMemory(images, np.arange(count) % 2, Schema("image", "class"))


def test_levels_become_floats_from_0_to_1_as_torchvisions_to_tensor() -> None:
    source = _colours()
    x = _through(Pipeline([], source.schema), source, np.arange(4))
    assert x.dtype == torch.float32
    assert torch.equal(x, source.inputs[:4].float().div(255))


def test_normalize_measures_train_only_and_equals_numpy() -> None:
    source, train = _colours(), np.arange(0, 50, 3)
    pipeline = Pipeline(NORMALIZE, source.schema)
    pipeline.fit(source, train)
    levels = source.inputs[train].numpy() / 255
    state = pipeline.state()
    np.testing.assert_allclose(state["normalize.mean"], levels.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(state["normalize.std"], levels.std((0, 2, 3)), rtol=1e-12)
    mean, std = (state[key].float().view(1, 3, 1, 1) for key in ("normalize.mean", "normalize.std"))
    x, found = source.inputs[:9].float(), _through(pipeline, source, np.arange(9))
    torch.testing.assert_close(found, x.div(255).sub(mean).div(std), rtol=1e-6, atol=5e-7)
    mean, std = (state[key].view(1, 3, 1, 1) for key in ("normalize.mean", "normalize.std"))
    assert torch.equal(found, x.mul((1 / (255 * std)).float()).add((-mean / std).float()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tables_are_normalised_in_float64_whatever_their_offset(dtype: torch.dtype) -> None:
    random = np.random.default_rng(0)
    numbers = np.stack([random.normal(1.7e9, 1.0, 200), random.normal(0, 1e-6, 200)], 1)
    schema = Schema("table", "class", numbers=("time", "small"))
    source = Rows(numbers, np.empty((200, 0), object), np.arange(200) % 2, schema)
    train = np.arange(150)
    pipeline = Pipeline(NORMALIZE, schema)
    pipeline.dtype = dtype
    pipeline.fit(source, train)
    expected = (numbers - numbers[train].mean(0)) / numbers[train].std(0)
    x = _through(pipeline, source, np.arange(200))
    assert x.dtype == dtype
    np.testing.assert_allclose(x.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_many_chunks_are_measured_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    source, digits = Diabetes(), Digits()
    for data in (source, digits):
        whole, cut = Pipeline(NORMALIZE, data.schema), Pipeline(NORMALIZE, data.schema)
        ids = np.arange(len(data))
        whole.fit(data, ids)
        with monkeypatch.context() as patch:
            patch.setattr("torchwork.data.resident.CHUNK_ROWS", 7)
            patch.setattr("torchwork.data.resident.CHUNK_IMAGES", 7)
            patch.setattr("torchwork.data.resident.SHARE", 0.0)
            cut.fit(data, ids)
        for key, value in whole.state().items():
            torch.testing.assert_close(cut.state()[key], value, rtol=1e-12, atol=0)


def test_a_constant_column_becomes_0() -> None:
    schema = Schema("table", "class", numbers=("a", "b"))
    source = Rows(np.array([[5.0, 1], [5, 3]]), np.empty((2, 0), object), np.arange(2), schema)
    pipeline = Pipeline(NORMALIZE, schema)
    pipeline.fit(source, np.arange(2))
    assert _through(pipeline, source, np.arange(2)).tolist() == [[0, -1], [0, 1]]


def test_given_figures_are_used_as_they_are() -> None:
    source = _colours()
    one = Pipeline([{"name": "Normalize", "mean": 0.5, "std": 0.25}], source.schema)
    three = Pipeline([{"name": "Normalize", "mean": [0.5] * 3, "std": [0.25] * 3}], source.schema)
    for pipeline in (one, three):
        pipeline.fit(source, np.arange(2))
        wanted = source.inputs[:9].float().mul(1 / (255 * 0.25)).add(-0.5 / 0.25)
        assert torch.equal(_through(pipeline, source, np.arange(9)), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_level_is_normalised_as_torchvision_does_within_rounding(dtype: torch.dtype) -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).expand(256, 3, 1, 1).contiguous()
    source = InMemory(levels, np.arange(256) % 2, Schema("image", "class"))
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    pipeline = Pipeline([{"name": "Normalize", "mean": mean, "std": std}], source.schema)
    pipeline.dtype = dtype
    pipeline.fit(source, np.arange(256))
    exact = (levels.double() / 255 - torch.tensor(mean, dtype=torch.float64).view(3, 1, 1)).div(
        torch.tensor(std, dtype=torch.float64).view(3, 1, 1)
    )
    found = pipeline.finish(levels)
    assert found.dtype == dtype
    bound = 4 * torch.finfo(dtype).eps * (exact.abs() + 0.485 / 0.224)
    assert bool(((found.double() - exact).abs() <= bound).all())


def test_arrays_are_normalised_by_their_second_axis_and_tokens_stay_whole() -> None:
    x = torch.randn(40, 3, 7, dtype=torch.float64)
    source = InMemory(x, np.arange(40) % 2, Schema("array", "class"))
    pipeline = Pipeline(NORMALIZE, source.schema)
    pipeline.fit(source, np.arange(30))
    expected = (x - x[:30].mean((0, 2)).view(1, 3, 1)) / x[:30].std((0, 2), correction=0).view(1, 3, 1)
    torch.testing.assert_close(_through(pipeline, source, np.arange(40)), expected.float())
    assert torch.equal(source.inputs, x)
    tokens = InMemory(torch.arange(6).view(3, 2), np.arange(3) % 2, Schema("array", "class"))
    assert _through(Pipeline([], tokens.schema), tokens, np.arange(3)).dtype == torch.int64


def _coloured(values: list[str], numbers: list[float] | None = None) -> Rows:
    schema = Schema("table", "class", numbers=("size",), categories=("colour",))
    texts = np.array(values, object)[:, None]
    size = np.array(numbers or [0.0] * len(values))[:, None]
    return Rows(size, texts, np.arange(len(values)) % 2, schema)


def test_categories_become_one_hot_columns_after_the_numbers() -> None:
    source = _coloured(["red", "blue", "green", "red"], [1, 2, 3, 4])
    pipeline = Pipeline([], source.schema)
    pipeline.fit(source, np.arange(4))
    assert pipeline.facts()["levels"] == {"colour": ["blue", "green", "red"]}
    expected = [[1, 0, 0, 1], [2, 1, 0, 0], [3, 0, 1, 0], [4, 0, 0, 1]]
    assert _through(pipeline, source, np.arange(4)).tolist() == expected


def test_a_table_of_categories_alone_may_be_normalised() -> None:
    schema = Schema("table", "class", categories=("colour",))
    source = Rows(np.empty((2, 0)), np.array([["red"], ["blue"]], object), np.arange(2), schema)
    pipeline = Pipeline(NORMALIZE, schema)
    pipeline.fit(source, np.arange(2))
    assert _through(pipeline, source, np.arange(2)).tolist() == [[0, 1], [1, 0]]


def test_a_category_that_train_lacks_is_an_error_or_zeros() -> None:
    source = _coloured(["red", "blue", "green"])
    strict = Pipeline([], source.schema)
    strict.fit(source, np.arange(2))
    with pytest.raises(InputError, match="'colour' holds 'green'"):
        strict.prepare(source.read(np.arange(3), epoch=1)[0])
    lenient = Pipeline([{"name": "OneHot", "unknown": "zeros"}], source.schema)
    lenient.fit(source, np.arange(2))
    assert _through(lenient, source, np.array([2])).tolist() == [[0, 0, 0]]


def test_what_was_learnt_survives_saving() -> None:
    source = _coloured(["red", "blue", "green"], [1, 2, 4])
    pipeline = Pipeline(NORMALIZE, source.schema)
    pipeline.fit(source, np.arange(3))
    again = Pipeline(NORMALIZE, source.schema)
    again.load(pipeline.state(), pipeline.facts())
    assert torch.equal(_through(again, source, np.arange(3)), _through(pipeline, source, np.arange(3)))


def test_steps_are_done_in_their_order_and_told(make_folder: Callable[..., Path]) -> None:
    source = ImageFolder(str(make_folder({"a": 1, "b": 1}, height=30, width=20)))
    specs = [{"name": "Resize", "size": 10}, {"name": "CenterCrop", "size": [8, 9]}, {"name": "Grayscale"}]
    pipeline = Pipeline([*specs, *NORMALIZE], source.schema)
    pipeline.fit(source, np.arange(2))
    prepared = pipeline.prepare(source.read(np.arange(2), epoch=1)[0])
    assert prepared.dtype == torch.uint8
    assert prepared.shape == (2, 1, 8, 9)
    assert [line.split("(")[0] for line in pipeline.describe()] == [
        "Resize",
        "CenterCrop",
        "Grayscale",
        "to float, levels 0 to 255 become 0 to 1",
        "Normalize",
    ]


def test_a_users_step_takes_one_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
import torch
def invert(image, level=255): return level - image
def fails(image): raise ValueError("mine")
class Half:
    def __init__(self, by: int): self.by = by
    def __call__(self, image): return image.float() / self.by
"""
    (tmp_path / "own_steps.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("own_steps", None)
    source = _colours()
    x = source.inputs[:3]
    inverted = Pipeline([{"name": "own_steps:invert"}], source.schema)
    assert torch.equal(_through(inverted, source, np.arange(3)), (255 - x).float().div(255))
    halved = Pipeline([{"name": "own_steps:invert", "level": 250}, {"name": "own_steps:Half", "by": 2}], source.schema)
    assert torch.equal(_through(halved, source, np.arange(3)), (250 - x).float() / 2)
    with pytest.raises(ValueError, match=r"^mine$"):
        _through(Pipeline([{"name": "own_steps:fails"}], source.schema), source, np.arange(3))
    with pytest.raises(InputError, match="dicts of tensors"):
        inverted.prepare({"a": x})
    with pytest.raises(InputError, match=r"data.transform\[0\].by"):
        Pipeline([{"name": "own_steps:Half", "by": "x"}], source.schema)


def _codes(specs: list[dict[str, Any]], source: Any) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        Pipeline(specs, source.schema).fit(source, np.arange(4))
    return [(finding.code, finding.where) for finding in caught.value.findings]


def test_every_wrong_step_is_named_at_once() -> None:
    found = _codes(
        [
            {"name": "Resise", "size": 3},
            {"name": "Resize", "size": 0},
            {"name": "Resize", "sise": 3},
            {"name": "Normalize", "mean": 0.5},
            {"name": "OneHot"},
            {"name": "Normalize"},
            {"name": "Grayscale"},
        ],
        _colours(),
    )
    assert [code for code, _ in found] == [
        "unknown-name",
        "wrong-value",
        "unknown-option",
        "missing-option",
        "wrong-value",
        "misfit",
        "order",
    ]
    assert found[1][1] == "data.transform[1]"


def test_steps_that_do_not_fit_the_data_are_refused() -> None:
    assert _codes([{"name": "Resize", "size": 3}], Iris()) == [("misfit", "data.transform[0]")]
    array = InMemory(torch.zeros(4, 3), np.arange(4), Schema("array", "class"))
    assert _codes([{"name": "Grayscale"}], array) == [("misfit", "data.transform[0]")]
    assert _codes([{"name": "Normalize", "mean": [0.0, 0.0], "std": [1.0, 1.0]}], _colours())[0][0] == "wrong-length"
    assert _codes([{"name": "Normalize", "mean": 0.0, "std": 0.0}], _colours())[0][0] == "wrong-value"


def test_images_that_would_not_stack_are_found_before_decoding(make_folder: Callable[..., Path]) -> None:
    root = make_folder({"a": 3})
    make_folder({"b": 1}, height=9)
    source = ImageFolder(str(root))
    plain = Pipeline([], source.schema)
    with pytest.raises(InputError, match=r"3 of 12×16 \(as a/000.png\) and 1 of 9×16 \(as b/000.png\).*add .*Resize"):
        plain.check_sizes(source.sizes, source.name)
    with pytest.raises(InputError, match="do not stack"):
        plain.prepare(source.read(np.arange(4), epoch=1)[0])
    with pytest.raises(InputError, match=r"as b/000.png"):
        Pipeline(NORMALIZE, source.schema).fit(source, np.arange(4))
    Pipeline([{"name": "Resize", "size": [5, 5]}], source.schema).check_sizes(source.sizes, source.name)
    shorter = [{"name": "Resize", "size": 8}, {"name": "CenterCrop", "size": 8}]
    Pipeline(shorter, source.schema).check_sizes(source.sizes, source.name)
    with pytest.raises(InputError, match=r"b/000.png: an image of 9×16 is smaller than the crop"):
        Pipeline([{"name": "CenterCrop", "size": 10}], source.schema).check_sizes(source.sizes, source.name)
