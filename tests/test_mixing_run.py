"""MixUp and CutMix in whole runs: with every loss they train or are refused in words, and so with a teacher."""

import numpy as np
import pytest

import torchwork
from torchwork.losses import LOSSES
from torchwork.losses.contracts import CONTRACTS
from torchwork.types import InputError

# what a model ends in, where the loss asks for it
LAST = {
    "BCELoss": ["Sigmoid"],
    "NLLLoss": [{"name": "LogSoftmax", "dim": 1}],
    "KLDivLoss": [{"name": "LogSoftmax", "dim": 1}],
}
RANDOM = np.random.default_rng(0)
CLASSES = np.arange(48) % 3
LABELS = np.stack([CLASSES == 0, CLASSES != 1, CLASSES == 1], 1).astype(np.float64)
# by task
TARGETS = {
    "classification": CLASSES,
    "binary": CLASSES % 2,
    "multilabel": LABELS,
    "regression": 1.0 + CLASSES[:, None] + RANDOM.random((48, 2)),
    "ranking": RANDOM.random((48, 1)),
    "embedding": CLASSES,
}


def settings(tmp_path, loss, task, mixing="MixUp", last=None, **options):
    outputs = {"name": "Linear", "out_features": 4} if loss == "GaussianNLLLoss" else "Linear"
    source = {"name": "DigitStrips", "num_strips": 60, "max_digits": 2}
    if task != "sequence":
        path, signed = tmp_path / "images.npz", (loss, task) == ("SoftMarginLoss", "multilabel")
        np.savez(path, x=RANDOM.integers(0, 256, (48, 8, 8), np.uint8), y=2 * LABELS - 1 if signed else TARGETS[task])
        source = {"name": "Arrays", "path": str(path)}
    return {
        "data": {"source": source, "augment": [mixing], "batch_size": 8},
        "model": {
            "name": "Sequential",
            "layers": ["Flatten", outputs, *(LAST.get(loss, []) if last is None else last)],
        },
        "loss": {"name": loss, **options},
        "task": task,
        "optimizer": "SGD",
        "train": {"epochs": 1, "threads": 1},
    }


@pytest.mark.parametrize(("loss", "task"), [(name, task) for name in LOSSES for task in CONTRACTS[name].task])
def test_with_every_loss_mixing_trains_or_is_refused_with_a_way_out(loss, task, tmp_path):
    mixing = "MixUp" if len(loss) % 2 else "CutMix"
    config = settings(tmp_path, loss, task, mixing)
    if CONTRACTS[loss].soft:
        run = torchwork.train(config, out=tmp_path / "run")
        assert np.isfinite(run.history[0]["train_loss"])
        assert run.metrics["test"]
        assert len((run.path / "predictions-test.csv").read_text().splitlines()) == 1 + run.data["num_samples"]["test"]
        return
    with pytest.raises(InputError, match=rf"data\.augment\[0\]: {mixing} .*; remove it") as raised:
        torchwork.train(config, out=tmp_path / "run")
    assert len(raised.value.findings) == 1
    assert not (tmp_path / "run").exists()


def test_the_refusal_names_the_losses_of_the_task_that_can_be_taken(tmp_path):
    with pytest.raises(InputError, match=r"MultiMarginLoss does not.*remove it, or take CrossEntropyLoss or KLDivLoss"):
        torchwork.train(settings(tmp_path, "MultiMarginLoss", "classification", "CutMix"), out=tmp_path / "run")
    with pytest.raises(InputError, match="take BCELoss or BCEWithLogitsLoss"):
        torchwork.train(settings(tmp_path, "SoftMarginLoss", "binary"), out=tmp_path / "run")


def test_an_ignored_class_and_mixing_exclude_each_other(tmp_path):
    config = settings(tmp_path, "CrossEntropyLoss", "classification", ignore_index=1)
    with pytest.raises(InputError, match=r"CrossEntropyLoss with ignore_index does not; remove one of them"):
        torchwork.train(config, out=tmp_path / "run")


def test_mined_triplets_are_not_mixed(tmp_path):
    config = settings(tmp_path, "TripletMarginLoss", "embedding")
    config["data"]["pairs"] = {"mining": "hard"}
    with pytest.raises(InputError, match="MixUp gives targets between those of the data"):
        torchwork.train(config, out=tmp_path / "run")


def test_two_classes_mixed_evaluate_as_two_classes(tmp_path):
    config = settings(tmp_path, "BCEWithLogitsLoss", "binary")
    mixed = torchwork.train(config | {"optimizer": {"name": "SGD", "lr": 0.0}}, out=tmp_path / "mixed")
    config["data"]["augment"] = []
    plain = torchwork.train(config | {"optimizer": {"name": "SGD", "lr": 0.0}}, out=tmp_path / "plain")
    assert mixed.metrics["test"] == plain.metrics["test"]
    files = [run.path / "predictions-test.csv" for run in (mixed, plain)]
    assert files[0].read_text() == files[1].read_text()


def test_a_teacher_is_refused_for_a_loss_of_whole_classes(tmp_path):
    config = settings(tmp_path, "CrossEntropyLoss", "classification")
    teacher = torchwork.train(config, out=tmp_path / "teacher")
    student = settings(tmp_path, "MultiMarginLoss", "classification")
    student["data"] |= {"augment": [], "target": {"run": str(teacher.path)}}
    with pytest.raises(InputError, match=r"data\.target\.run: the teacher gives .*MultiMarginLoss does not"):
        torchwork.train(student, out=tmp_path / "student")


@pytest.mark.parametrize("mixing", ["MixUp", "CutMix"])
def test_rows_of_a_table_are_not_mixed(mixing, tmp_path):
    config = {
        "data": {"source": "Wine", "augment": [mixing]},
        "model": {"name": "Sequential", "layers": ["Linear"]},
        "optimizer": "SGD",
        "train": {"epochs": 1},
    }
    with pytest.raises(InputError, match=rf"data\.augment\[0\]: {mixing} is for images \[C, H, W\], the samples are"):
        torchwork.train(config, out=tmp_path / "run")
