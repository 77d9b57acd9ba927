"""A run goes on with another config where it stays the same run, and is refused where it would be another."""

import csv
import json
import re

import pytest

import torchwork
from quick_runs import STEPS, Told, config, outcome, quick, stopped  # noqa: F401
from torchwork import assembly, changes, resolved, rundir
from torchwork.config import Config, load
from torchwork.training import checkpoint
from torchwork.training import device as devices
from torchwork.types import InputError

pytestmark = pytest.mark.usefixtures("quick")

WHOLE = [
    config(),
    "examples/digits.yaml",
    config(data={"source": "Diabetes"}, loss="HuberLoss", schedule="ReduceLROnPlateau", model="MLP"),
    config(init={"Linear": "kaiming_normal_", "*.bias": "zeros_"}, metrics=["torchwork.metrics.scores:accuracy"][:0]),
    config(
        optimizer=[{"name": "SGD", "lr": 0.1, "match": "*.bias"}, {"name": "Adam"}],
        schedule={"name": "SequentialLR", "milestones": [2], "schedulers": [{"name": "LinearLR"}, "CosineAnnealingLR"]},
    ),
    config(data={"split": {"train": 0.8, "val": 0, "test": 0.2}}, train={"monitor": "train_loss"}),
]


@pytest.mark.parametrize("settings", WHOLE, ids=range(len(WHOLE)))
def test_what_a_run_wrote_out_or_decided_is_no_change(settings):
    given = load(settings)
    with devices.using_threads(1):
        parts = assembly.assemble(given)
    kept = load(resolved.written_out(parts).model_dump())
    parts.data.close()
    assert changes.between(kept, changes.closed(given, kept)) == []


def keys(section, prefix=""):
    for name, field in section.model_fields.items():
        below = next((kind for kind in _kinds(field.annotation) if hasattr(kind, "model_fields")), None)
        yield f"{prefix}{name}"
        if below is not None:
            yield from keys(below, f"{prefix}{name}.")


def _kinds(annotation):
    return getattr(annotation, "__args__", (annotation,))


def test_every_key_that_is_named_as_harmless_or_decided_is_one():
    named = (*changes._HARMLESS, *changes._DECIDED, *changes._ORDERING, *changes.OPEN)
    assert set(named) - set(keys(Config)) == {"model.weights"}


OTHERS = {
    "seed": "3",
    "device": "cuda",
    "data.source.name": "Wine",
    "data.batch_size": "8",
    "data.shuffle": "false",
    "data.augment": "[RandomHorizontalFlip]",
    "model.hidden": "[4]",
    "model.dropout": "0.1",
    "loss": "MultiMarginLoss",
    "optimizer.lr": "0.1",
    "optimizer.weight_decay": "0.1",
    "schedule": "ExponentialLR",
    "train.precision": "fp64",
    "train.accumulate": "2",
    "train.clip_norm": "1.0",
    "train.threads": "2",
    "data.split.by": "random",
    "data.transform": "[]",
    "init.Linear": "zeros_",
    "train.monitor": "train_loss",
}
DECIDED = [key for key in OTHERS if key.startswith(("data.split", "data.transform", "init", "train.monitor"))]


def test_all_that_would_make_another_run_is_refused_at_once_with_old_and_new(tmp_path):
    out = stopped(config(), tmp_path / "run", 3)
    before = (out / rundir.CONFIG).read_bytes()
    with pytest.raises(InputError) as raised:
        torchwork.resume(out, overrides=[f"{key}={value}" for key, value in OTHERS.items()])
    told = {finding.where: finding for finding in raised.value.findings}
    named = {"data.source" if key == "data.source.name" else key for key in OTHERS}
    assert set(told) == named
    assert "the run has 0.01, and this would be 0.1" in told["optimizer.lr"].message
    assert "--allow-change optimizer.lr" in told["optimizer.lr"].fix
    assert [key for key in told if "--allow-change" not in told[key].fix] == DECIDED
    with pytest.raises(InputError) as raised:
        torchwork.resume(out, overrides=[f"{key}={OTHERS[key]}" for key in DECIDED], allow_changes=DECIDED)
    assert [finding.where for finding in raised.value.findings] == DECIDED
    assert (out / rundir.CONFIG).read_bytes() == before
    assert not (out / rundir.CHANGES).exists()


def test_what_is_done_about_nan_may_change_as_long_as_nothing_was_done_about_it():
    assert changes.Change("train.nonfinite", "stop", "skip").harmless
    assert not changes.Change("train.nonfinite", "skip", "stop").harmless


def test_a_config_that_lost_what_decided_the_loss_is_another(tmp_path):
    out = stopped(config(loss="MultiMarginLoss"), tmp_path / "run", 3)
    with pytest.raises(InputError, match=r"loss: the run has MultiMarginLoss.*and this would be CrossEntropyLoss"):
        torchwork.train(config(), out=out, resume="auto")


def test_harmless_changes_pass_and_leave_the_result_as_it_is(tmp_path):
    straight = torchwork.train(config(), out=tmp_path / "straight").path
    out = stopped(config(), tmp_path / "run", 3)
    overrides = ["name=other", "data.num_workers=1", "train.keep_best=2", "train.checkpoint_every_steps=2"]
    told = Told()
    run = torchwork.resume(out, overrides=[*overrides, "train.patience=9"], progress=told)
    assert outcome(out) == outcome(straight)
    assert "changed after step 3: train.patience null → 9" in told.said
    assert (run.config.name, run.config.train.keep_best, run.config.train.patience) == ("other", 2, 9)
    (entry,) = rundir.read_changes(out)
    assert (entry["step"], entry["epoch"], entry["harmless"]) == (3, 0, True)
    assert {"key": "name", "old": "iris", "new": "other"} in entry["changes"]


@pytest.mark.parametrize("schedule", [None, {"name": "ReduceLROnPlateau", "patience": 0}], ids=["none", "plateau"])
def test_a_run_that_is_complete_goes_on_to_what_more_epochs_had_given_at_once(schedule, tmp_path):
    straight = torchwork.train(config(schedule=schedule, train={"epochs": 4}), out=tmp_path / "straight").path
    run = torchwork.train(config(schedule=schedule, train={"epochs": 2}), out=tmp_path / "run")
    before = run.metrics
    stop = Told(2 * STEPS + 1)
    with pytest.raises(KeyboardInterrupt):
        torchwork.resume(run.path, overrides=["train.epochs=4"], progress=stop)
    assert not rundir.is_complete(run.path)  # or it would stay where it was killed
    torchwork.resume(run.path)
    assert outcome(run.path) == outcome(straight)
    assert rundir.read_changes(run.path)[0]["metrics"] == before


def test_patience_that_ended_a_run_can_be_given_anew(tmp_path):
    settings = config(optimizer={"name": "SGD", "lr": 0.0}, train={"epochs": 4, "patience": 1})
    run = torchwork.train(settings, out=tmp_path / "run")
    assert len(run.history) == 2
    told = Told()
    torchwork.resume(run.path, overrides=["train.epochs=9"], progress=told)
    assert "is complete: nothing is left to do; these have no effect on it any more: train.epochs" in told.said[0]
    assert len(torchwork.resume(run.path, overrides=["train.patience=2"]).history) == 3


def lrs(path):
    return [row["lr"] for row in rundir.read_history(path)]


@pytest.mark.parametrize("name", ["CosineAnnealingLR", "OneCycleLR"])
def test_a_schedule_that_follows_the_length_goes_on_as_in_a_run_of_the_new_length_and_says_so(name, tmp_path):
    schedule = {"name": name, "warmup_steps": 2, **({"max_lr": 0.1} if name == "OneCycleLR" else {})}
    of = {
        epochs: lrs(
            torchwork.train(config(schedule=schedule, train={"epochs": epochs}), out=tmp_path / f"{epochs}").path
        )
        for epochs in (2, 4)
    }
    told = Told(2 * STEPS + 1)
    with pytest.raises(KeyboardInterrupt):
        torchwork.resume(tmp_path / "2", overrides=["train.epochs=4"], progress=told)
    assert any("no run from the start gives the same result" in text for text in told.said)
    torchwork.resume(tmp_path / "2")
    assert lrs(tmp_path / "2") == [*of[2], *of[4][2:]]
    assert not rundir.read_changes(tmp_path / "2")[0]["harmless"]


def test_what_is_allowed_by_name_takes_effect_from_there_on_and_stays_after_a_crash(tmp_path):
    """The change is written before a checkpoint is: a run that is killed in between must not forget it."""
    settings = config(optimizer={"name": "SGD", "lr": 0.1, "momentum": 0.9})
    out = stopped(settings, tmp_path / "run", STEPS + 2)
    options = {"overrides": ["optimizer.lr=0.001", "optimizer.momentum=0.5"], "allow_changes": ["optimizer"]}
    with pytest.raises(InputError, match=r"optimizer\.momentum"):
        torchwork.resume(out, **{**options, "allow_changes": ["optimizer.lr"]})
    places = {path.name for path in (out / rundir.CHECKPOINTS).iterdir()}
    with pytest.raises(RuntimeError, match="killed"):
        torchwork.resume(out, **options, progress=Killed())
    assert {path.name for path in (out / rundir.CHECKPOINTS).iterdir()} == places
    torchwork.resume(out)
    assert lrs(out)[1:] == [0.001, 0.001]
    last = checkpoint.latest(out / rundir.CHECKPOINTS)
    (group,) = json.loads((last / checkpoint.STATE).read_text())["optimizer"]["optimizers"][0]["groups"]
    assert (group["options"]["lr"], group["options"]["momentum"]) == (0.001, 0.5)
    assert len(rundir.read_changes(out)) == 1


class Killed(Told):
    def start(self, *_):
        raise RuntimeError("killed")


def test_a_change_whose_writing_was_cut_off_leaves_no_record(tmp_path, monkeypatch):
    out = stopped(config(), tmp_path / "run", 3)

    def killed(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr("torchwork.resuming.config.dump", killed)
        with pytest.raises(RuntimeError, match="killed"):
            torchwork.resume(out, overrides=["train.epochs=4"])
    assert len(rundir.read_changes(out)) == 1
    run = torchwork.resume(out, overrides=["train.keep_best=2"])
    assert [[change["key"] for change in entry["changes"]] for entry in rundir.read_changes(out)] == [
        ["train.keep_best"]
    ]
    assert run.config.train.epochs == 3


def test_what_decides_the_order_of_an_epoch_changes_between_epochs_only(tmp_path):
    out = stopped(config(), tmp_path / "run", STEPS + 2)
    options = {"overrides": ["data.batch_size=8"], "allow_changes": ["data.batch_size"]}
    said = "data.batch_size: cannot be changed in the middle of epoch 2"
    with pytest.raises(InputError, match=rf"{said}.*torchwork resume {out} train.epochs=2"):
        torchwork.resume(out, **options)
    torchwork.resume(out, overrides=["train.epochs=2"])
    run = torchwork.resume(out, overrides=["data.batch_size=8", "train.epochs=3"], allow_changes=["data.batch_size"])
    assert [row["step"] for row in run.history] == [STEPS, 2 * STEPS, 4 * STEPS]


def test_epochs_that_are_over_cannot_be_taken_back(tmp_path):
    out = stopped(config(), tmp_path / "run", STEPS + 2)
    with pytest.raises(InputError, match=re.escape("got 1, and 1 epochs are over and epoch 2 has begun; expected 2")):
        torchwork.resume(out, overrides=["train.epochs=1"])


def table(path, shift=0.0):
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["x", "y"])
        rows.writerows([i + shift, "a" if i % 2 else "b"] for i in range(60))
    return {"name": "Table", "path": str(path), "target": "y"}


def test_data_may_move_as_long_as_they_are_the_same(tmp_path):
    settings = config(data={"source": table(tmp_path / "t.csv")})
    straight = torchwork.train(settings, out=tmp_path / "straight").path
    out = stopped(settings, tmp_path / "run", 3)
    table(tmp_path / "other.csv", 0.5)
    with pytest.raises(InputError, match="of other content"):
        torchwork.resume(out, overrides=[f"data.source.path={tmp_path / 'other.csv'}"])
    (tmp_path / "t.csv").rename(tmp_path / "moved.csv")
    run = torchwork.resume(out, overrides=[f"data.source.path={tmp_path / 'moved.csv'}"])
    assert outcome(out)[1] == outcome(straight)[1]
    assert run.config.data.source["path"] == str(tmp_path / "moved.csv")
