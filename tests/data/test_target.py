"""The training split fixes classes and their order; what does not fit is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from torchwork.data.target import Target
from torchwork.types import InputError, Schema

CLASS, NUMBER = Schema("array", "class"), Schema("array", "number", target_names=("a",))


def _fit(raw: np.ndarray, schema: Schema = CLASS, transform: str | None = None, **splits: list[int]) -> Target:
    parts = {name: np.array(ids) for name, ids in splits.items()} or {"train": np.arange(len(raw))}
    return Target.fit(schema, raw, parts, lambda index: f"sample {index}", transform)


def _wrong(*arguments: object, **options: object) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        _fit(*arguments, **options)
    return [(finding.code, finding.message) for finding in caught.value.findings]


def test_texts_are_sorted_and_whole_numbers_sorted_as_numbers() -> None:
    assert _fit(np.array(["b", "a", "c"], object)).classes == ("a", "b", "c")
    target = _fit(np.array([10, 9, 100]))
    assert target.classes == ("9", "10", "100")
    assert target.encode(np.array([100, 9])).tolist() == [2, 0]


def test_a_class_that_no_split_uses_is_none_and_the_data_sets_own_order_stays() -> None:
    schema = Schema("image", "class", classes=("z", "y", "x"))
    target = _fit(np.array([0, 1, 0, 2]), schema, train=[0, 1, 2])
    assert target.classes == ("z", "y", "x")
    assert target.encode(np.array([2, 0])).tolist() == [2, 0]
    assert target.encode(np.array([2])).dtype == torch.int64


def test_classes_come_from_train_alone() -> None:
    target = _fit(np.array(["a", "b", "unused"], object), train=[0, 1])
    assert target.classes == ("a", "b")


def test_classes_that_train_lacks_are_listed_with_counts_and_an_example() -> None:
    raw = np.array(["a", "b", "c", "c", "d"], object)
    found = _wrong(raw, train=[0, 1], val=[2, 3], test=[4])
    assert [code for code, _ in found] == ["class-not-in-train"] * 2
    assert "val has 1 class that train lacks: 'c' (2, as sample 2)" in found[0][1]
    assert "'d' (1, as sample 4)" in found[1][1]


def test_a_named_class_without_training_samples_is_an_error_where_it_is_tested() -> None:
    schema = Schema("image", "class", classes=("z", "y", "x"))
    assert _wrong(np.array([0, 1, 2]), schema, train=[0, 1], test=[2])[0][0] == "class-not-in-train"


def test_one_class_is_refused() -> None:
    assert _wrong(np.array(["a", "a"], object))[0][0] == "one-class"


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_out_of_range_is_named(label: int) -> None:
    ((code, message),) = _wrong(np.array([0, 1, label]), Schema("image", "class", classes=("x", "y", "z")))
    assert code == "label-range"
    assert f"{label} of sample 2" in message


def test_encoding_an_unknown_class_lists_it_and_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'z'.*known: 'a', 'b'"):
        _fit(np.array(["a", "b"], object)).encode(np.array(["z"], object))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_must_be_finite_in_the_samples_that_are_used(value: float) -> None:
    raw = np.array([[1.0], [2.0], [value]])
    assert _wrong(raw, NUMBER)[0][0] == "target-not-finite"
    assert _fit(raw, NUMBER, train=[0, 1]).kind == "number"


def test_numbers_pass_through_in_the_precision_asked_for() -> None:
    target = _fit(np.array([[0.1], [0.2]]), NUMBER)
    assert target.encode(np.array([[0.1]])).dtype == torch.float32
    assert target.encode(np.array([[0.1]]), torch.float64).item() == 0.1
    assert target.target_names == ("a",)


def test_counts_follow_the_order_of_the_classes() -> None:
    raw = np.array(["b", "a", "b"], object)
    assert _fit(raw).counts(raw) == {"a": 1, "b": 2}


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    text = """
import math
def odd(digit): return digit % 2
def parity(digit): return "odd" if digit % 2 else "even"
def log(value): return math.log(value)
def both(value): return [value, value**2]
def high(value): return "high" if value > 1.5 else "low"
def nothing(value): return None
"""
    (tmp_path / "own_targets.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("own_targets", None)
    return "own_targets"


def test_a_transform_of_classes(functions: str) -> None:
    schema = Schema("image", "class", classes=tuple("0123"))
    raw = np.array([0, 1, 2, 3])
    assert _fit(raw, schema, f"{functions}:odd").classes == ("0", "1")
    target = _fit(raw, schema, f"{functions}:parity")
    assert target.classes == ("even", "odd")
    assert target.encode(raw).tolist() == [0, 1, 0, 1]


def test_a_transform_of_numbers(functions: str) -> None:
    raw = np.array([[1.0], [2.0]])
    target = _fit(raw, NUMBER, f"{functions}:log")
    np.testing.assert_allclose(target.encode(raw, torch.float64).numpy(), np.log(raw))
    assert target.target_names == ("a",)
    two = _fit(raw, NUMBER, f"{functions}:both")
    assert two.encode(raw).tolist() == [[1, 1], [2, 4]]
    assert two.target_names == ("target_0", "target_1")
    assert _fit(raw, NUMBER, f"{functions}:high").classes == ("high", "low")


def test_a_transform_that_gives_no_target_is_refused(functions: str) -> None:
    assert _wrong(np.array([[1.0]]), NUMBER, f"{functions}:nothing")[0][0] == "target-transform"
    assert _wrong(np.array([0, 1]), CLASS, f"{functions}:none")[0][0] == "no-attribute"


def test_the_state_survives_json(functions: str) -> None:
    raw = np.array([0, 1, 2, 3])
    for target in (
        _fit(raw, Schema("image", "class", classes=tuple("wxyz"))),
        _fit(raw, CLASS, f"{functions}:parity"),
        _fit(raw[:, None].astype(float), NUMBER),
    ):
        again = Target.from_state(json.loads(json.dumps(target.state())))
        rows = raw if target.kind == "class" else raw[:, None].astype(float)
        assert torch.equal(again.encode(rows), target.encode(rows))
        assert (again.kind, again.classes, again.target_names) == (target.kind, target.classes, target.target_names)
