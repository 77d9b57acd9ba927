"""Runs that stopped at an awkward place, and what users do to them in between."""

import csv

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

import torchwork
from quick_runs import Told, stopped
from torchwork import rundir
from torchwork.training import checkpoint
from torchwork.training.interrupt import Interrupted
from torchwork.types import InputError, RunError

STEPS = 7  # an epoch of Iris' 104 training samples in batches of 16


def config(**changes):
    return {
        "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 16, **changes.pop("data", {})},
        "model": {"name": "MLP", "hidden": [8], "dropout": 0.3},
        "optimizer": {"name": "Adam", "lr": 1e-2},
        **changes,
        "train": {"epochs": 4, **changes.pop("train", {})},
    }


def weights(path):
    return (path / rundir.MODEL).read_bytes()


@pytest.mark.parametrize("step", [1, STEPS, STEPS + 1, 4 * STEPS])
def test_stopping_at_a_border_and_again_right_after_changes_nothing(step, tmp_path):
    settings = config(schedule={"name": "ReduceLROnPlateau", "patience": 0})
    straight = torchwork.train(settings, out=tmp_path / "straight").path
    out = stopped(settings, tmp_path / "run", step)
    if step < 4 * STEPS:
        with pytest.raises(Interrupted):
            torchwork.resume(out, progress=Told(step + 1))
    torchwork.resume(out)
    assert weights(out) == weights(straight)
    assert [row["step"] for row in rundir.read_history(out)] == [STEPS, 2 * STEPS, 3 * STEPS, 4 * STEPS]


@pytest.mark.parametrize("which", ["newest", "best", "all"])
def test_a_damaged_checkpoint_costs_time_but_changes_nothing(which, tmp_path):
    straight = torchwork.train(config(), out=tmp_path / "straight").path
    out = stopped(config(), tmp_path / "run", 2 * STEPS + 3)
    places = sorted(path for path in (out / rundir.CHECKPOINTS).iterdir() if path.is_dir())
    assert len(places) == 2
    for place in {"newest": places[1:], "best": places[:1], "all": places}[which]:
        (place / "optimizer.safetensors").write_bytes(b"")
    listener = Told()
    torchwork.resume(out, progress=listener)
    assert any("is damaged" in text for text in listener.said)
    assert weights(out) == weights(straight)
    assert (out / rundir.METRICS).read_bytes() == (straight / rundir.METRICS).read_bytes()


def test_a_run_that_ended_before_its_metrics_were_written_only_evaluates(tmp_path):
    run = torchwork.train(config(), out=tmp_path / "run")
    before = (run.path / rundir.METRICS).read_bytes()
    for name in (rundir.METRICS, rundir.REPORT, rundir.MODEL):
        (run.path / name).unlink()
    torchwork.resume(run.path)
    assert (run.path / rundir.METRICS).read_bytes() == before
    assert (run.path / rundir.REPORT).is_file()


def test_figures_of_train_alone_do_not_make_a_run_complete(tmp_path):
    run = torchwork.train(config(), out=tmp_path / "run")
    before = run.metrics
    (run.path / rundir.METRICS).unlink()
    torchwork.evaluate(run.path, ["train"])
    assert set(torchwork.resume(run.path).metrics) == {"train", "val", "test"}
    assert {name: run.metrics[name] for name in before} == before


def test_a_directory_whose_beginning_was_cut_off_is_no_run(tmp_path, monkeypatch):
    def cut(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("torchwork.beginning.contact_sheet", cut)
    with pytest.raises(KeyboardInterrupt):
        torchwork.train(config(), out=tmp_path / "run")
    with pytest.raises(InputError, match="is not a run directory"):
        torchwork.resume(tmp_path / "run")


def test_without_val_the_training_loss_can_decide_and_the_kept_config_says_so(tmp_path):
    settings = config(
        data={"split": {"train": 0.8, "val": 0, "test": 0.2}},
        train={"monitor": "train_loss", "patience": 3},
        schedule={"name": "ReduceLROnPlateau", "patience": 0},
    )
    run = torchwork.train(settings, out=tmp_path / "run")
    assert run.config.train.monitor == "train_loss"
    assert checkpoint.best(run.path / rundir.CHECKPOINTS) is not None


def test_a_schedule_that_judges_is_refused_where_there_is_no_val(tmp_path):
    settings = config(data={"split": {"train": 0.8, "val": 0, "test": 0.2}}, schedule="ReduceLROnPlateau")
    with pytest.raises(InputError, match=r"schedule: ReduceLROnPlateau needs a val split"):
        torchwork.train(settings, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Spoiling(torch.optim.SGD):
    """Spoils the weights in the last step of the second epoch, whose loss was finite."""

    steps = 0

    def step(self, closure=None):
        loss = super().step(closure)
        self.steps += 1
        if self.steps == 2 * STEPS:
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(torch.nan)
        return loss


def test_weights_that_a_last_step_spoilt_are_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.optim, "SGD", Spoiling)
    with pytest.raises(RunError, match=rf"became NaN or infinite by step {2 * STEPS} \(epoch 2\).*is kept"):
        torchwork.train(config(optimizer={"name": "SGD", "lr": 0.01}), out=tmp_path / "run")
    assert checkpoint.latest(tmp_path / "run" / rundir.CHECKPOINTS).name == f"{STEPS:08d}-epoch-1"


@pytest.mark.parametrize("odd", ["a,b", 'a "b"', "a\nb", "a\rb", " a", "NA", "ü"])
def test_any_text_can_be_the_name_of_a_class(odd, tmp_path):
    with open(tmp_path / "t.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["x", "y"])
        writer.writerows([i, odd if i % 2 else "other"] for i in range(60))
    source = {"name": "Table", "path": str(tmp_path / "t.csv"), "target": "y"}
    run = torchwork.train(config(data={"source": source}, train={"epochs": 1}), out=tmp_path / "a run")
    assert torchwork.evaluate(run.path)["test"] == pytest.approx(run.metrics["test"])
    assert {row["target"] for row in rundir.read_csv(run.path / "predictions-test.csv")} == {odd, "other"}


def test_names_that_are_no_utf8_are_written_with_escapes(tmp_path):
    rundir.write_csv(tmp_path / "a.csv", ["name"], [["\udce9.png"]])
    assert rundir.read_csv(tmp_path / "a.csv") == [{"name": r"\udce9.png"}]
    rundir.write_json(tmp_path / "a.json", {"name": "\udce9.png"})
    assert rundir.read_json(tmp_path / "a.json") == {"name": "\udce9.png"}


class Tokens(Dataset):
    """Whole numbers, as places in a vocabulary."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return torch.tensor([index % 10, (index * 3) % 10]), index % 2


class TwoInputs(Tokens):
    def __getitem__(self, index):
        inputs, target = super().__getitem__(index)
        return {"first": inputs.float(), "second": -inputs.float()}, target


class Embedded(nn.Module):
    def __init__(self, num_classes=2):
        super().__init__()
        self.table = nn.Embedding(10, 4)
        self.head = nn.Linear(4, num_classes)

    def forward(self, tokens):
        return self.head(self.table(tokens).mean(1))


class Joined(nn.Module):
    def __init__(self, num_classes=2):
        super().__init__()
        self.head = nn.Linear(4, num_classes)

    def forward(self, inputs):
        return self.head(torch.cat([inputs["first"], inputs["second"]], 1))


@pytest.mark.parametrize(("data", "model"), [("Tokens", "Embedded"), ("TwoInputs", "Joined")])
def test_a_run_of_a_users_data_set_predicts_a_data_set_as_it_was_evaluated(data, model, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = config(data={"source": f"{__name__}:{data}", "transform": []}, model=f"{__name__}:{model}")
    run = torchwork.train(settings, out=tmp_path / "run")
    found = torchwork.load(run.path).predict(globals()[data]())
    for row in rundir.read_csv(run.path / "predictions-test.csv"):
        assert found[int(row["id"])]["prediction"] == row["prediction"]
        assert found[int(row["id"])]["scores"]["1"] == pytest.approx(float(row["score_1"]), abs=1e-6)


def test_token_numbers_given_as_an_array_stay_whole_in_prediction(tmp_path):
    settings = config(data={"source": f"{__name__}:Tokens", "transform": []}, model=f"{__name__}:Embedded")
    run = torchwork.train(settings, out=tmp_path / "run")
    array = np.stack([Tokens()[i][0].numpy() for i in range(5)])
    for of_array, of_data_set in zip(run.predict(array), run.predict(Tokens())[:5], strict=True):
        assert of_array["scores"] == pytest.approx(of_data_set["scores"], abs=1e-6)  # another batch, another rounding


class Growing(nn.Module):
    """Keeps a table that grows with the largest batch, which the first evaluation shows, not the first step."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.ones = None

    def forward(self, x):
        if self.ones is None or len(self.ones) < len(x):
            self.ones = torch.ones(len(x), 1)
        return self.head(x * self.ones[: len(x)])


def test_a_model_that_keeps_tensors_of_an_evaluation_trains_on():
    x, y = torch.randn(30, 4), torch.arange(30) % 3
    options = {"loss": "CrossEntropyLoss", "optimizer": "SGD", "epochs": 3}
    assert len(torchwork.fit(Growing(), (x[:10], y[:10]), (x, y), **options).history) == 3


class Complex(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)
        self.phase = nn.Parameter(torch.tensor([1 + 2j]))


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_complex_parameters_keep_their_imaginary_parts(precision, tmp_path):
    settings = config(model=f"{__name__}:Complex", train={"precision": precision, "epochs": 1})
    assert torchwork.train(settings, out=tmp_path / "run").model.phase.detach() == 1 + 2j


class WithExtraState(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)

    def get_extra_state(self):
        return {"calls": 1}

    def set_extra_state(self, state): ...


def test_a_state_that_no_checkpoint_can_hold_is_refused_before_training(tmp_path):
    with pytest.raises(InputError, match="holds what is no tensor: _extra_state"):
        torchwork.train(config(model=f"{__name__}:WithExtraState"), out=tmp_path / "run")


def test_objects_in_a_config_are_refused_once_and_pointed_to_fit():
    for settings, where in (
        (config(data={"source": Tokens()}), "data.source"),
        (config(model=Joined()), "model"),
        (config(data={"source": {"name": Tokens}}), "data.source.name"),
    ):
        with pytest.raises(InputError, match=r"torchwork\.fit") as caught:
            torchwork.train(settings)
        assert [finding.where for finding in caught.value.findings] == [where]
