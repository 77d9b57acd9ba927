"""torchvision's families: names, shapes, counts and values."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import nn

from torchwork import catalog
from torchwork.models import MODELS, auxiliary
from torchwork.models.build import build
from torchwork.models.googlenet import GoogLeNetOutputs, googlenet
from torchwork.models.inception import InceptionOutputs, inception_v3
from torchwork.models.summary import num_parameters
from torchwork.types import InputError

# Parameters, and a digest of the names and shapes of the whole state in its order, both taken from torchvision 0.29.
PUBLISHED = {
    "alexnet": (61_100_840, "23c3b8d4a3e86dc8"),
    "vgg11": (132_863_336, "ddb4b3f56e9755a6"),
    "vgg11_bn": (132_868_840, "dc54d45fed4bc7b4"),
    "vgg13": (133_047_848, "08687bab35dc8767"),
    "vgg13_bn": (133_053_736, "057b00c1243905f9"),
    "vgg16": (138_357_544, "8a41c838cadbc3e0"),
    "vgg16_bn": (138_365_992, "ae5d7d87f5e61a76"),
    "vgg19": (143_667_240, "5319ee52249b66d1"),
    "vgg19_bn": (143_678_248, "555ec1b35ce917df"),
    "resnet18": (11_689_512, "66b04efc1dfd4b80"),
    "resnet34": (21_797_672, "4aa3e2bbbdc5e2fd"),
    "resnet50": (25_557_032, "614cd53ddf849669"),
    "resnet101": (44_549_160, "593b3bde446ee903"),
    "resnet152": (60_192_808, "9ce3831312550858"),
    "googlenet": (13_004_888, "e4f1217523f861c4"),
    "inception_v3": (27_161_264, "cabfd2014b4dc76a"),
    "densenet121": (7_978_856, "08ed4bd108558638"),
    "densenet161": (28_681_000, "bb7d18457b56db3a"),
    "densenet169": (14_149_480, "aea1d65b180f4dd8"),
    "densenet201": (20_013_928, "1f2601f1e928d952"),
}

# Side of an image, and the first outputs of torchvision 0.29's model (of its ``features`` alone for alexnet and vgg) in
# evaluation mode, for the weights of ``filled``.
VALUES = {
    "alexnet": (63, [1.07549, 0.0, 2.53802]),
    "vgg11": (32, [0.17857, 0.30482, 1.48513]),
    "vgg13_bn": (32, [2.16185, 1.81366, 3.70116]),
    "resnet18": (33, [31.72941, 15.42757, 1.76235]),
    "resnet50": (33, [546.82208, -1451.40991, 1868.15906]),
    "googlenet": (40, [1.13448, -1.0986, -2.30773]),
    "inception_v3": (75, [0.53491, 0.86302, 0.51537]),
    "densenet121": (33, [-0.28056, -0.85823, -0.74221]),
}

LEAST = {"alexnet": 63, "vgg11": 32, "resnet18": 1, "googlenet": 15, "inception_v3": 299, "densenet121": 29}


def on_meta(name: str, side: int = 299, outputs: int = 1000, **options: object) -> nn.Module:
    with torch.device("meta"):
        return build({"name": name, **options}, input_shape=(3, side, side), num_outputs=outputs, seed=0)


@torch.no_grad()
def filled(model: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if value.dim() > 1:
            value.uniform_(-1, 1, generator=generator).mul_((6 / value[0].numel()) ** 0.5)
        elif name.endswith("num_batches_tracked"):
            value.zero_()
        else:
            value.fill_(0.7 if name.endswith("running_var") else 0.9 if name.endswith("weight") else 0.1)
    return model


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_shapes_and_counts_are_torchvisions(name: str) -> None:
    model = on_meta(name)
    text = "\n".join(f"{key} {list(value.shape)}" for key, value in model.state_dict().items())
    assert (num_parameters(model), hashlib.sha256(text.encode()).hexdigest()[:16]) == PUBLISHED[name]


def test_every_family_of_the_catalog_is_published() -> None:
    assert {name for name in MODELS if name.islower()} == PUBLISHED.keys()


@pytest.mark.parametrize("name", VALUES)
def test_outputs_are_torchvisions(name: str) -> None:
    side, expected = VALUES[name]
    with torch.device("meta"):
        model = catalog.load(name, MODELS, "model", "")(num_classes=3)
    whole = model.features if name.startswith(("alexnet", "vgg")) else model
    image = torch.sin(torch.arange(3 * side * side) * 0.37).reshape(1, 3, side, side)
    with torch.no_grad():
        output = filled(whole.to_empty(device="cpu")).eval()(image).flatten()[:3]
    assert torch.allclose(output, torch.tensor(expected), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("name", "least"), LEAST.items())
def test_the_least_size_trains_and_one_less_is_an_error_that_names_it(name: str, least: int) -> None:
    model = on_meta(name, least, 5).train()
    output, _ = auxiliary.split(model(torch.empty(2, 3, least, least, device="meta")))
    assert output.shape == (2, 5)
    if least == 1:
        return
    with pytest.raises(InputError, match=f"at least {least}×{least}, these are {least - 1}×{least - 1}"):
        on_meta(name, least - 1)
    with torch.device("meta"):
        model = catalog.load(name, MODELS, "model", "")()
    with pytest.raises((RuntimeError, ValueError)):
        model(torch.empty(2, 3, least - 1, least - 1, device="meta"))


def test_inception_without_its_auxiliary_head_takes_smaller_images() -> None:
    with pytest.raises(InputError, match="aux_logits: false"):
        on_meta("inception_v3", 298)
    model = on_meta("inception_v3", 75, 4, aux_logits=False).train()
    assert num_parameters(on_meta("inception_v3", 75, aux_logits=False)) == 23_834_568
    assert model(torch.empty(2, 3, 75, 75, device="meta")).shape == (2, 4)
    with pytest.raises(InputError, match="at least 75×75"):
        on_meta("inception_v3", 74, aux_logits=False)


@pytest.mark.parametrize("name", ["alexnet", "vgg11_bn", "resnet18", "googlenet", "inception_v3", "densenet121"])
def test_channels_and_classes_follow_from_the_data(name: str) -> None:
    with torch.device("meta"):
        model = build({"name": name}, input_shape=(1, 299, 299), num_outputs=6, seed=0).eval()
        assert model(torch.empty(1, 1, 299, 299)).shape == (1, 6)


def test_samples_that_are_no_images_are_refused() -> None:
    with pytest.raises(InputError, match=r"resnet18 works on images .* \[30\]"):
        build({"name": "resnet18"}, input_shape=(30,), num_outputs=2, seed=0)


def test_auxiliary_heads_answer_in_training_alone_with_torchvisions_fields() -> None:
    with torch.device("meta"):
        for model, kind, fields in (
            (googlenet(5), GoogLeNetOutputs, ("logits", "aux_logits2", "aux_logits1")),
            (inception_v3(5), InceptionOutputs, ("logits", "aux_logits")),
        ):
            images = torch.empty(2, 3, 299, 299)
            output = model.train()(images)
            assert isinstance(output, kind)
            assert output._fields == fields
            assert all(scores.shape == (2, 5) for scores in output)
            assert len(auxiliary.weights(model)) == len(auxiliary.split(output)[1])
            assert model.eval()(images).shape == (2, 5)


def test_auxiliary_losses_have_the_papers_weights() -> None:
    with torch.device("meta"):
        assert auxiliary.weights(googlenet()) == (0.3, 0.3)
        assert auxiliary.weights(inception_v3()) == (0.4,)
        assert auxiliary.weights(googlenet(aux_logits=False)) == ()
        assert googlenet(aux_logits=False).train()(torch.empty(2, 3, 32, 32)).shape == (2, 1000)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_transform_input_turns_imagenets_normalisation_into_a_half(name: str) -> None:
    from torchwork.models.convolution_block import imagenet_to_half

    image = torch.rand(2, 3, 4, 4)
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    assert torch.allclose(imagenet_to_half((image - mean) / std), (image - 0.5) / 0.5, atol=1e-6)
    with pytest.raises(InputError, match="transform_input"):
        build({"name": name, "transform_input": True}, input_shape=(1, 299, 299), num_outputs=2, seed=0)


def test_a_residual_block_can_start_as_its_shortcut() -> None:
    model = build({"name": "resnet18", "zero_init_residual": True}, input_shape=(3, 32, 32), num_outputs=2, seed=0)
    norms = {name: value for name, value in model.named_parameters() if ".bn2.weight" in name}
    assert len(norms) == 8
    assert not any(value.any() for value in norms.values())
    assert bool((model.layer1[0].bn1.weight == 1).all())
