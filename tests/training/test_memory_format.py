"""Convolutions in channels-last: as plain PyTorch does it, chosen by a trial, written down and gone on with."""

import numpy as np
import pytest
import torch
from torch import nn

import torchwork
from torchwork.models import memory_format
from torchwork.training import precision
from torchwork.types import InputError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    draws = np.random.default_rng(0)
    y = np.arange(120) % 3
    x = (draws.integers(0, 60, (120, 3, 12, 12)) + 60 * y[:, None, None, None]).astype(np.uint8)
    np.savez(folder / "images.npz", x=x.transpose(0, 2, 3, 1), y=y)
    return folder / "images.npz"


def config(images, optimizer="Adagrad", **train):
    return {
        "data": {"source": {"name": "Arrays", "path": str(images)}, "batch_size": 20},
        "model": {"name": f"{__name__}:Net"},
        "optimizer": {"name": optimizer, "lr": 0.05},
        "train": {"epochs": 2, "threads": 1, **train},
    }


class Net(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.conv, self.deep, self.last = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, num_classes)

    def forward(self, x):
        return self.last(torch.relu(self.deep(torch.relu(self.conv(x)))).mean((2, 3)))


def weights(run):
    return dict(torchwork.load(run.path).model.named_parameters())


@pytest.mark.parametrize("optimizer", ["Adagrad", "Adam", "SGD"])
def test_weights_lie_in_channels_last_and_train_to_nearly_the_same(images, tmp_path, optimizer):
    usual = torchwork.train(config(images, optimizer), out=tmp_path / "usual")
    other = torchwork.train(config(images, optimizer, memory_format="channels_last"), out=tmp_path / "other")
    found = weights(other)
    assert found["deep.weight"].is_contiguous(memory_format=torch.channels_last)
    for name, expected in weights(usual).items():
        torch.testing.assert_close(found[name], expected, rtol=1e-3, atol=1e-4)


def test_auto_writes_down_what_the_trial_chose_which_is_the_run_with_that_given(images, tmp_path, monkeypatch):
    trial = precision.Trial(0.02, 0.01, 2.0)
    monkeypatch.setattr(precision, "race", lambda *arguments: trial)
    auto = torchwork.train(config(images, precision="auto"), out=tmp_path / "auto")
    chosen = auto.config.train
    assert (chosen.precision, chosen.memory_format) == ("bf16", "channels_last")
    assert (
        "precision: auto chose channels_last: a forward and backward pass takes 10 ms in channels_last"
        in (auto.path / "log.txt").read_text()
    )
    given = torchwork.train(config(images, precision="bf16", memory_format="channels_last"), out=tmp_path / "given")
    for name in ("model.safetensors", "metrics.json"):
        assert (auto.path / name).read_bytes() == (given.path / name).read_bytes()
    monkeypatch.undo()
    longer = torchwork.resume(auto.path, overrides=["train.epochs=3"])
    assert longer.config.train.memory_format == "channels_last"
    straight = torchwork.train(
        config(images, precision="bf16", memory_format="channels_last", epochs=3), out=tmp_path / "straight"
    )
    assert (longer.path / "model.safetensors").read_bytes() == (straight.path / "model.safetensors").read_bytes()


def test_what_is_given_is_not_tried_and_no_gain_stays_contiguous(images, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "race", lambda *arguments: precision.Trial(0.01, 0.01, 1.0))
    given = torchwork.train(config(images, precision="auto", memory_format="channels_last"), out=tmp_path / "given")
    assert given.config.train.memory_format == "channels_last"
    assert "precision: auto chose channels_last" not in (given.path / "log.txt").read_text()
    no_gain = torchwork.train(config(images, precision="auto"), out=tmp_path / "no-gain")
    assert no_gain.config.train.memory_format == "contiguous"


def test_the_trial_leaves_no_trace_and_tells_why_it_is_not_made():
    model = Net()
    x, y = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.random.get_rng_state()
    found, why = precision.choose_memory_format(model, lambda tried: nn.functional.cross_entropy(tried(x), y), CPU)
    assert found in ("contiguous", "channels_last")
    assert "ms in channels_last" in why
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.deep.weight.is_contiguous()
    assert torch.equal(torch.random.get_rng_state(), generator)
    said = precision.choose_memory_format(nn.Linear(2, 2), lambda tried: tried(torch.ones(1, 2)).sum(), CPU)
    assert said == ("contiguous", "the model has no 2-d convolutions")


class Viewing(Net):
    def forward(self, x):
        return self.last(self.conv(x).view(len(x), -1)[:, :8])


def test_a_model_that_views_its_outputs_stays_contiguous():
    x = torch.randn(4, 3, 8, 8)
    found, why = precision.choose_memory_format(Viewing(), lambda tried: tried(x).sum(), CPU)
    assert found == "contiguous"
    assert why.startswith("channels_last fails on this model: view size is not compatible")


def test_lbfgs_is_refused_with_it_and_not_tried_with_auto(images, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="LBFGS cannot take channels-last weights"):
        torchwork.train(config(images, "LBFGS", memory_format="channels_last"), out=tmp_path / "given")
    monkeypatch.setattr(precision, "race", lambda *arguments: precision.Trial(0.02, 0.01, 2.0))
    auto = torchwork.train(config(images, "LBFGS", precision="auto", epochs=1), out=tmp_path / "auto")
    assert auto.config.train.memory_format is None


def layers(*names):
    options = {"Conv2d": {"out_channels": 8, "kernel_size": 3}, "MaxPool2d": {"kernel_size": 2}}
    return [{"name": name, **options.get(name, {})} for name in names]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"name": "LeNet", "image_size": 12, "padding": 2}, "channels_last"),
        ({"name": "Sequential", "layers": layers("Conv2d", "GELU", "MaxPool2d", "Flatten", "Linear")}, "channels_last"),
        ({"name": "Sequential", "layers": layers("Conv2d", "BatchNorm2d", "Flatten", "Linear")}, None),
        ({"name": "Sequential", "layers": layers("Flatten", "Linear")}, None),
        ({"name": f"{__name__}:Net"}, None),
    ],
    ids=["lenet", "pooling", "batch norm", "no convolution", "one's own"],
)
def test_the_rule_knows_where_it_is_faster_and_is_written_down(images, tmp_path, model, expected):
    settings = {**config(images, epochs=1), "model": model}
    ruled = torchwork.train(settings, out=tmp_path / "ruled")
    assert ruled.config.train.memory_format == expected
    said = "convolutions compute in channels_last" in (ruled.path / "log.txt").read_text()
    assert said == (expected is not None)
    given = {**settings, "train": {**settings["train"], "memory_format": expected or "contiguous"}}
    same = torchwork.train(given, out=tmp_path / "given")
    assert (ruled.path / "model.safetensors").read_bytes() == (same.path / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"train": {"precision": "fp64", "epochs": 1}},
        {"optimizer": {"name": "LBFGS"}},
        {"distributed": {"strategy": "fsdp"}},
        {"train": {"memory_format": "contiguous", "epochs": 1}},
    ],
    ids=["fp64", "LBFGS", "fsdp", "turned off"],
)
def test_the_rule_leaves_out_what_takes_contiguous_weights(images, tmp_path, change):
    lenet = {"name": "LeNet", "image_size": 12, "padding": 2}
    run = torchwork.train({**config(images, epochs=1), "model": lenet, **change}, out=tmp_path / "run")
    assert run.config.train.memory_format in (None, "contiguous")
    assert weights(run)["conv2.weight"].is_contiguous()


def known_layers():
    """One of every kind that the rule knows, and what it is made with."""
    sizes = {nn.MaxPool2d: (2,), nn.AvgPool2d: (2,), nn.AdaptiveAvgPool2d: (3,), nn.AdaptiveMaxPool2d: (3,)}
    tried = memory_format._KNOWN - {nn.Conv2d, nn.Linear, nn.Sequential}  # which stand in the model of the test
    return [(kind, sizes.get(kind, ())) for kind in sorted(tried, key=str) if kind.__module__.startswith("torch.nn")]


@pytest.mark.parametrize(("kind", "options"), known_layers(), ids=lambda value: getattr(value, "__name__", ""))
def test_every_layer_that_the_rule_knows_computes_the_same_in_channels_last(kind, options):
    torch.manual_seed(0)
    usual = nn.Sequential(nn.Conv2d(2, 6, 3), kind(*options), nn.Flatten(), nn.LazyLinear(4)).eval()
    x = torch.randn(5, 2, 12, 9)
    expected = usual(x)
    expected.square().sum().backward()
    gradients = [parameter.grad.clone() for parameter in usual.parameters()]
    usual.zero_grad()
    other = usual.to(memory_format=torch.channels_last)
    found = other(x)
    found.square().sum().backward()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    for parameter, gradient in zip(other.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-5)
