"""fit: the user's own module, data set and optimizer, equal to a loop written by hand."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset, TensorDataset

import torchwork
from torchwork import rng
from torchwork.types import InputError


def net():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


def tensors(count=70, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=generator)
    return x, x[:, :3].argmax(1)


class Noisy(Dataset):
    """Draws from all three global generators."""

    def __init__(self, count=40):
        self.x, self.y = tensors(count)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        import random

        noise = torch.rand(6) + random.random() + float(np.random.rand())
        return self.x[index] + noise, int(self.y[index])


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("wrap", [lambda x, y: (x, y), TensorDataset], ids=["tensors", "TensorDataset"])
def test_fit_equals_a_hand_written_loop_bit_for_bit(wrap):
    ours, theirs = net(), net()
    x, y = tensors()
    optimizer = torch.optim.AdamW(ours.parameters(), lr=1e-2)
    result = torchwork.fit(
        ours, train=wrap(x, y), loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=5, batch_size=16, seed=9
    )
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-2)
    for epoch in range(5):
        total, order = 0.0, torch.from_numpy(rng.permutation(70, 9, "order", epoch))
        for ids in order.split(16):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(theirs(x[ids]), y[ids])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(ids)
        assert result.history[epoch]["train_loss"] == pytest.approx(total / 70, rel=1e-12)
    assert same(ours, theirs)


def test_any_number_of_workers_gives_the_same_weights():
    models = [net() for _ in range(3)]
    for model, workers in zip(models, (0, 1, 3), strict=True):
        torchwork.fit(
            model, Noisy(), loss="CrossEntropyLoss", optimizer="SGD", epochs=2, batch_size=7, num_workers=workers
        )
    assert same(models[0], models[1])
    assert same(models[0], models[2])
    assert not same(models[0], net())


def test_with_val_the_model_ends_with_its_best_weights():
    model, x, y = net(), *tensors()
    seen = []
    optimizer = torch.optim.SGD(model.parameters(), lr=3.0)
    result = torchwork.fit(
        model,
        (x, y),
        tensors(30, seed=1),
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        epochs=6,
        on_epoch=lambda row: seen.append((row["val_loss"], copy.deepcopy(model.state_dict()))),
    )
    best = min(range(6), key=lambda epoch: seen[epoch][0])
    assert result.best_epoch == best + 1
    assert all(torch.equal(value, seen[best][1][name]) for name, value in model.state_dict().items())


def test_val_figures_equal_those_over_the_whole_set_at_once():
    model = net()
    x, y = tensors(30, seed=1)
    result = torchwork.fit(
        model, tensors(), (x, y), loss=nn.CrossEntropyLoss(), optimizer="SGD", epochs=1, batch_size=7
    )
    with torch.no_grad():
        output = model(x)
    assert result.history[0]["val_loss"] == pytest.approx(nn.functional.cross_entropy(output, y).item(), rel=1e-6)
    assert result.history[0]["val_accuracy"] == (output.argmax(1) == y).double().mean().item()


def test_parameters_in_no_group_are_reported():
    model = net()
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    with pytest.warns(UserWarning, match=r"no group with 2\.weight, 2\.bias"):
        torchwork.fit(model, tensors(), loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=1)


def test_a_scalar_output_against_column_targets_is_refused_not_broadcast():
    model = nn.Linear(6, 1)
    x, _ = tensors()
    with pytest.raises(InputError, match=r"outputs of shape \[64, 1\], the targets have \[64\]"):
        torchwork.fit(model, (x, x[:, 0]), loss=nn.MSELoss(), optimizer="SGD")


def test_a_loss_of_the_users_own_is_trained_and_weighted_by_rows():
    model = nn.Linear(6, 2)
    x, _ = tensors()

    def fourth_power(output, target):
        return ((output - target) ** 4).sum(1).mean()

    result = torchwork.fit(model, (x, x[:, :2]), (x, x[:, :2]), loss=fourth_power, optimizer="Adam", epochs=3)
    assert result.history[2]["val_loss"] < result.history[0]["val_loss"]
    best = result.history[result.best_epoch - 1]["val_loss"]
    assert best == pytest.approx(fourth_power(model(x), x[:, :2]).item(), rel=1e-5)


WRONG = {
    "unequal tensors": (lambda: (torch.zeros(4, 6), torch.zeros(3)), {}, "4 inputs and 3 targets"),
    "three tensors": (lambda: (torch.zeros(4),) * 3, {}, "is a tuple of Tensor, Tensor, Tensor"),
    "nothing left": (tensors, {"batch_size": 100, "drop_last": True}, "choose at most 70"),
    "patience without val": (tensors, {"patience": 2}, "needs val"),
    "an unknown loss": (tensors, {"loss": "CrossEntropy"}, "did you mean 'CrossEntropyLoss'"),
    "an unknown optimizer": (tensors, {"optimizer": "Adm"}, "did you mean 'Adam'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_refused_with_the_reason(name):
    data, options, said = WRONG[name]
    with pytest.raises(InputError, match=said):
        torchwork.fit(net(), data(), **{"loss": nn.CrossEntropyLoss(), "optimizer": "SGD", **options})


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"epochs": 0}, "epochs: got 0; expected 1 or more"),
        ({"batch_size": 0}, "batch_size: got 0; expected 1 or more"),
        ({"accumulate": 0}, "accumulate: got 0; expected 1 or more"),
        ({"clip_norm": 0.0}, "clip_norm: got 0.0; expected more than 0"),
        ({"monitor": "val_acuracy"}, "monitor: there is no 'val_acuracy'.*known: train_loss, val_loss, val_accuracy"),
        ({"val": None, "monitor": "val_accuracy"}, "monitor: there is no 'val_accuracy'"),
        ({"val": None, "patience": 1}, "patience: needs val"),
        ({"val": None, "schedule": "ReduceLROnPlateau"}, "schedule: ReduceLROnPlateau needs val"),
    ],
)
def test_options_that_cannot_be_followed_are_refused_before_training(options, found):
    data = tensors()
    given = {"val": data, "loss": "CrossEntropyLoss", "optimizer": "SGD", **options}
    with pytest.raises(InputError, match=found):
        torchwork.fit(net(), data, **given)


def test_the_training_loss_can_be_watched_without_val():
    options = {"loss": "CrossEntropyLoss", "optimizer": "SGD", "schedule": "ReduceLROnPlateau", "epochs": 2}
    result = torchwork.fit(net(), tensors(), monitor="train_loss", patience=2, **options)
    assert result.best_epoch == 2
