"""Weights from files, and frozen parameters."""

from __future__ import annotations

import copy
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from torchwork.models.build import Built, assemble
from torchwork.models.densenet import DenseNet
from torchwork.models.freeze import freeze
from torchwork.models.weights import load, measured_statistics, read
from torchwork.types import InputError


def made(spec: dict[str, Any], outputs: int = 10, shape: tuple[int, ...] = (3, 32, 32), **more: Any) -> Built:
    return assemble(spec, input_shape=shape, num_outputs=outputs, seed=0, **more)


def errors(spec: dict[str, Any], outputs: int = 10, shape: tuple[int, ...] = (3, 32, 32)) -> list[str]:
    with pytest.raises(InputError) as caught:
        made(spec, outputs, shape)
    return [str(finding) for finding in caught.value.findings]


@pytest.fixture(scope="module")
def pretrained() -> nn.Module:
    return assemble({"name": "resnet18"}, input_shape=(3, 32, 32), num_outputs=1000, seed=7).model


@pytest.fixture(scope="module")
def file(pretrained: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(pretrained.state_dict(), path)
    return path


def same(one: nn.Module, other: nn.Module, but: str = "-") -> bool:
    return all(
        torch.equal(a, b)
        for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True)
        if not name.startswith(but)
    )


def test_weights_load_from_both_formats(pretrained: nn.Module, file: Path, tmp_path: Path) -> None:
    save_file(pretrained.state_dict(), tmp_path / "w.safetensors")
    for path in (file, tmp_path / "w.safetensors"):
        built = made({"name": "resnet18", "weights": str(path)}, 1000)
        assert same(built.model, pretrained)
        assert built.findings == []


def test_another_number_of_classes_replaces_the_head_and_says_so(pretrained: nn.Module, file: Path) -> None:
    built = made({"name": "resnet18", "weights": str(file)})
    fresh = made({"name": "resnet18"}).model
    for name, value in built.model.state_dict().items():
        expected = fresh if name.startswith("fc.") else pretrained
        assert torch.equal(value, expected.state_dict()[name]), name
    [finding] = built.findings
    assert (finding.code, finding.severity, finding.where) == ("head-replaced", "info", "model.weights")
    assert "1000 outputs, the data call for 10: fc starts anew" in finding.message


def test_a_checkpoint_of_several_processes_is_understood(pretrained: nn.Module, tmp_path: Path) -> None:
    inside = {f"module.{name}": value for name, value in pretrained.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": inside}, tmp_path / "w.pth")
    assert same(made({"name": "resnet18", "weights": str(tmp_path / "w.pth")}, 1000).model, pretrained)


def test_a_file_without_batch_counts_loads(pretrained: nn.Module, tmp_path: Path) -> None:
    old = OrderedDict((n, v) for n, v in pretrained.state_dict().items() if not n.endswith("num_batches_tracked"))
    torch.save(old, tmp_path / "w.pth")
    assert same(made({"name": "resnet18", "weights": str(tmp_path / "w.pth")}, 1000).model, pretrained)


def test_densenets_old_names_load(tmp_path: Path) -> None:
    model, other = (DenseNet(4, (2, 2, 2, 2), 8, 5, 3, 0.0) for _ in range(2))
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", n): v for n, v in model.state_dict().items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "w.pth")
    assert load(other, tmp_path / "w.pth", num_outputs=5) == []
    assert same(model, other)


def test_auxiliary_heads_can_be_left_out_and_their_scaling_is_torchvisions(tmp_path: Path) -> None:
    model = made({"name": "googlenet"}, 4).model
    torch.save(model.state_dict(), tmp_path / "w.pth")
    spec = {"name": "googlenet", "weights": str(tmp_path / "w.pth")}
    built = made({**spec, "aux_logits": False}, 4)
    assert [finding.code for finding in built.findings] == ["auxiliary-left-out"]
    assert built.model.transform_input is True
    assert made({**spec, "transform_input": False}, 4).model.transform_input is False
    assert model.transform_input is False
    both = made(spec, 9)
    assert "aux1.fc2, aux2.fc2, fc start anew" in both.findings[0].message
    torch.save(built.model.state_dict(), tmp_path / "w.pth")
    assert errors(spec, 4)[0].endswith("set aux_logits: false")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("executed",))


def test_a_file_that_is_no_weights_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = {"name": "resnet18", "weights": str(tmp_path / "w.pth")}
    assert "does not exist" in errors(spec)[0]
    torch.save({"fc.weight": Evil()}, tmp_path / "w.pth")
    assert "torch.save(model.state_dict(), path)" in errors(spec)[0]
    assert "executed" not in capsys.readouterr().out
    (tmp_path / "w.pth").write_bytes(b"not a file of torch")
    assert "model.weights" in errors(spec)[0]
    torch.save([1, 2], tmp_path / "w.pth")
    assert "no named tensors" in errors(spec)[0]
    (tmp_path / "w.safetensors").write_bytes(b"short")
    assert "cannot be read" in errors({**spec, "weights": str(tmp_path / "w.safetensors")})[0]
    assert "is a directory" in errors({**spec, "weights": str(tmp_path)})[0]
    assert "expected the path of a file" in errors({**spec, "weights": 3})[0]


def test_weights_of_another_model_or_for_other_channels_are_an_error(file: Path, tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "w.pth")
    assert "is for another model" in errors({"name": "resnet18", "weights": str(tmp_path / "w.pth")})[0]
    assert "and" in errors({"name": "resnet34", "weights": str(file)})[0]
    said = errors({"name": "resnet18", "weights": str(file)}, shape=(1, 32, 32))[0]
    assert "conv1.weight [64, 3, 7, 7] for [64, 1, 7, 7]" in said


def test_nothing_is_loaded_where_something_does_not_fit(file: Path) -> None:
    model = made({"name": "resnet18"}, shape=(1, 32, 32)).model
    before = copy.deepcopy(model)
    with pytest.raises(InputError):
        load(model, file, num_outputs=10)
    assert same(model, before)


def test_the_file_is_not_needed_for_a_model_from_a_checkpoint() -> None:
    assert made({"name": "resnet18", "weights": "gone.pth"}, pretrained=False).findings == []


def test_reading_takes_a_path_below_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "w.pth")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read("~/w.pth").keys() == {"a"}


def test_measured_statistics_beside_weights_are_a_finding() -> None:
    assert measured_statistics().severity == "warning"
    assert "0.485" in measured_statistics().fix


def test_frozen_parameters_do_not_move_and_frozen_batch_norm_stays_in_evaluation() -> None:
    model = made({"name": "resnet18", "freeze": ["conv1.*", "bn1.*", "layer1.*"]}).model
    before = copy.deepcopy(model.state_dict())
    model.train()
    assert not model.bn1.training
    assert not any(m.training for m in model.layer1.modules() if isinstance(m, nn.BatchNorm2d))
    assert model.layer2[0].bn1.training
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    nn.functional.cross_entropy(model(torch.rand(4, 3, 32, 32)), torch.tensor([0, 1, 2, 3])).backward()
    optimizer.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert not any(name.startswith(("conv1", "bn1", "layer1")) for name in moved)
    assert {"fc.weight", "layer2.0.bn1.running_mean"} <= moved


def test_a_norm_whose_scale_alone_is_frozen_still_trains() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.BatchNorm1d(2, affine=False))
    assert freeze(model, ["1.weight"]) == ["1.weight"]
    assert model.train()[1].training
    assert model[2].training
    freeze(model, ["2.*"])
    assert not model.train()[2].training


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_a_frozen_model_stays_frozen_by_itself(again: Any) -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    freeze(model, ["0.*"])
    other = again(model)
    assert not other.train()[0].training
    assert other[0].train() is other[0]
    other[0].training = True
    assert not model[0].training


def test_a_pattern_that_matches_nothing_is_an_error_and_changes_nothing() -> None:
    said = errors({"name": "LeNet", "freeze": ["conv1.*", "conv1", "fcc*"]}, shape=(1, 32, 32))
    assert said == [
        "model.freeze[1]: 'conv1' matches no parameter; did you mean 'conv1.*'?",
        "model.freeze[2]: 'fcc*' matches no parameter; " + said[1].rpartition("; ")[2],
    ]
    assert "nothing is left to train" in errors({"name": "LeNet", "freeze": "*"}, shape=(1, 32, 32))[0]
    assert "expected a pattern" in errors({"name": "LeNet", "freeze": 3}, shape=(1, 32, 32))[0]


class OwnWeights(nn.Module):
    """A user's model with options of these names."""

    def __init__(self, num_classes: int, weights: str = "none", freeze: bool = False) -> None:
        super().__init__()
        self.said = (weights, freeze)
        self.linear = nn.Linear(2, num_classes)


def test_a_factory_with_such_parameters_gets_them_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("own_weights")
    vars(module).update(OwnWeights=OwnWeights)
    monkeypatch.setitem(sys.modules, "own_weights", module)
    model = made({"name": "own_weights:OwnWeights", "weights": "IMAGENET", "freeze": True}).model
    assert model.said == ("IMAGENET", True)


def test_factories_of_torchvision_and_timm_get_what_the_data_say_as_keywords(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    def create_model(model_name: str, pretrained: bool = False, **kwargs: Any) -> nn.Module:
        model = nn.Linear(2, 2)
        model.said = kwargs
        return model

    def resnet18(*, weights: str | None = None, progress: bool = True, **kwargs: Any) -> nn.Module:
        return create_model("resnet18", **kwargs)

    for name, factory in (("timm", create_model), ("torchvision", resnet18), ("other", create_model)):
        module = types.ModuleType(name)
        vars(module)[factory.__name__] = factory
        monkeypatch.setitem(sys.modules, name, module)
    timm = {"name": "timm:create_model", "model_name": "resnet18"}
    assert made(timm).model.said == {"num_classes": 10, "in_chans": 3}
    assert made({**timm, "num_classes": 2}).model.said == {"num_classes": 2, "in_chans": 3}
    assert made({"name": "torchvision:resnet18"}).model.said == {"num_classes": 10}
    assert made({"name": "torchvision:resnet18", "weights": "DEFAULT"}).model.said == {}
    assert made({**timm, "name": "other:create_model"}).model.said == {}
