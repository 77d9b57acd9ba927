"""What a run leaves of a window that was not finite: whole, without pickle, and read back to the bit."""

import json
import math

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from torchwork.losses.criterion import Criterion
from torchwork.tasks.classification import Classification
from torchwork.training import bundle, diagnosis
from torchwork.training.diagnosis import Fault
from torchwork.types import Batch, InputError

TASK = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b", "c"))
NAMES = {4: "a/b.png", 9: "ü"}


def fault(inputs):
    window = [Batch(inputs, torch.tensor([0, 2]), np.array([4, 9])) for _ in range(2)]
    return Fault(12, 1, "loss", math.nan, window, 4.0, 77, nn.Linear(3, 3), TASK)


@pytest.mark.parametrize("kind", ["tensor", "dict"])
def test_what_was_written_is_read_back(kind, tmp_path):
    values = torch.tensor([[1.0, math.nan, math.inf], [0.0, 1.0, 2.0]])
    inputs = values if kind == "tensor" else {"x": values, "mask": torch.tensor([[True], [False]])}
    written = fault(inputs)
    found = diagnosis.Origin("output", "fc", "Linear", (4,), (4,), math.nan)
    for _ in range(2):  # one that is there is replaced
        bundle.write(tmp_path / "f" / "12", written, found, NAMES, {"config.yaml": b"a: 1"})
    read = bundle.read(tmp_path / "f" / "12", torch.device("cpu"))
    assert (read.index, read.epoch, read.what, read.total, read.layer_seed) == (12, 1, "loss", 4.0, 77)
    assert math.isnan(read.loss)
    assert math.isnan(read.origin.loss)
    assert (read.origin.kind, read.origin.name, read.origin.ids, read.names) == ("output", "fc", (4,), NAMES)
    for a, b in zip(read.window, written.window, strict=True):
        pairs = [(a.inputs, b.inputs)] if kind == "tensor" else [(a.inputs[key], b.inputs[key]) for key in inputs]
        assert all(torch.equal(x.nan_to_num(7), y.nan_to_num(7)) for x, y in pairs)
        assert torch.equal(a.target, b.target)
        assert a.ids.tolist() == b.ids.tolist()
    weights = safetensors.torch.load_file(tmp_path / "f" / "12" / "model.safetensors")
    assert torch.equal(weights["weight"], written.model.weight)
    assert sorted(path.suffix for path in (tmp_path / "f" / "12").iterdir()) == [
        ".json",
        ".safetensors",
        ".safetensors",
        ".yaml",
    ]


@pytest.mark.parametrize("name", ["fault.json", "window.safetensors"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", None])
def test_a_damaged_bundle_is_an_input_error(name, content, tmp_path):
    place = tmp_path / "12"
    bundle.write(place, fault(torch.ones(2, 3)), diagnosis.Origin("nothing"), NAMES, {})
    (place / name).unlink()
    if content is not None:
        (place / name).write_bytes(content)
    with pytest.raises(InputError, match="is no bundle to replay"):
        bundle.read(place, torch.device("cpu"))


def test_the_json_is_plain(tmp_path):
    bundle.write(tmp_path / "12", fault(torch.ones(2, 3)), diagnosis.Origin("nothing"), NAMES, {})

    def refuse(value):
        raise AssertionError(value)

    assert json.loads((tmp_path / "12" / "fault.json").read_text(), parse_constant=refuse)["loss"] == "NaN"
