"""Every model and every task is looked into at its end, or says why not; and stays what it was."""

from __future__ import annotations

import random
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from inspection import odd_models
from inspection.looked import looked, pictures, settings, subject
from torchwork import durable, rundir
from torchwork.inspection.attribution import map_layer
from torchwork.inspection.calls import calls
from torchwork.inspection.judged import judged
from torchwork.inspection.kernels import convolutions
from torchwork.inspection.look import PARTS, look
from torchwork.inspection.shown_samples import MOST
from torchwork.models import MODELS
from torchwork.models.build import build
from torchwork.types import RunError

QUICK = ("LeNet", "MLP", "LSTM", "resnet18")
SIDES = {"alexnet": 64, "AlexNet": 224, "inception_v3": 75}
SLOW = ("alexnet", "AlexNet", "vgg11", "vgg11_bn", "resnet50", "googlenet", "inception_v3", "densenet121")
FAMILIES = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
STRIPS = "{name: DigitStrips, num_strips: 60, target: %s}"
FLAT = {"name": "Sequential", "layers": ["Flatten", {"name": "Linear", "out_features": 12}]}
LABELS = {"name": "Sequential", "layers": ["Flatten", "Linear"]}
CONVOLUTIONAL = {
    "name": "Sequential",
    "layers": [
        {"name": "Conv2d", "out_channels": 4, "kernel_size": 3},
        "ReLU",
        {"name": "Conv2d", "out_channels": 6, "kernel_size": 3},
        "Flatten",
        "Linear",
    ],
}
TASKS: dict[str, tuple[Any, Any, str]] = {
    "classification": ("Iris", {"name": "MLP", "hidden": [8]}, "CrossEntropyLoss"),
    "binary": ("BreastCancer", {"name": "MLP", "hidden": [8]}, "BCEWithLogitsLoss"),
    "pictures": ("Digits", CONVOLUTIONAL, "CrossEntropyLoss"),
    "sequence": (
        {"name": "DigitStrips", "num_strips": 60, "target": "sequence"},
        {"name": "inspection.odd_models:Reader"},
        "CTCLoss",
    ),
    "embedding": ("Digits", FLAT, "TripletMarginLoss"),
    "multilabel": ({"name": "DigitStrips", "num_strips": 60, "target": "labels"}, LABELS, "BCEWithLogitsLoss"),
    "counts": ({"name": "DigitStrips", "num_strips": 60, "target": "count"}, LABELS, "PoissonNLLLoss"),
    "regression": ("Diabetes", {"name": "MLP", "hidden": [8]}, "MSELoss"),
    "ranking": ("Diabetes", {"name": "MLP", "hidden": [8]}, "MarginRankingLoss"),
}
GIVES = {
    "classification": {"samples", "activations", "embedding", "importance"},
    "binary": {"samples", "activations", "embedding", "importance"},
    "pictures": {"kernels", "samples", "maps", "feature_maps", "activations", "embedding"},
    "sequence": {"kernels", "samples", "maps", "feature_maps", "activations", "alignments"},
    "embedding": {"samples", "activations", "embedding"},
    "multilabel": {"samples", "maps", "activations", "embedding"},
    "counts": {"samples", "maps", "activations", "embedding"},
    "regression": {"samples", "activations", "embedding", "importance"},
    "ranking": {"samples", "activations", "embedding"},
}


def of_task(task: str, directory: Any) -> Any:
    source, model, loss = TASKS[task]
    given = settings(source if isinstance(source, dict) else {"name": source}, model, loss=loss)
    return subject(given, directory)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_looked_into_or_says_why_not(name, tmp_path):
    source = pictures(tmp_path, side=SIDES.get(name, 32), count=16)
    options = {"aux_logits": False} if name == "inception_v3" else {}
    found = looked(settings(source, {"name": name, **options}), tmp_path / "run")
    has_maps = name not in ("MLP", "LSTM")
    assert {"samples", "maps", "activations", "embedding"} <= set(found)
    assert not any(reason["failed"] for reason in found["left_out"].values())
    for part in ("kernels", "feature_maps"):
        assert (part in found) == has_maps
        assert has_maps or "no convolution" in found["left_out"][part]["reason"]
    assert ("layer" in found["maps"]) == has_maps
    assert has_maps or "no convolution" in found["maps"]["no_cam"]
    with np.load(tmp_path / "run" / found["maps"]["file"]) as arrays:
        assert arrays["gradient"].any()
        assert not has_maps or arrays["cam"].shape[0] == len(found["maps"]["samples"])


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"MLP", "LSTM", "Sequential", "TextCNN"}))
def test_every_convolutional_model_of_the_catalog_has_maps_with_more_than_one_place(name):
    side, channels = 299 if name == "inception_v3" else 224, 1 if name in ("LeNet", "AlexNet") else 3
    with torch.device("meta"):
        model = build({"name": name}, input_shape=(channels, side, side), num_outputs=5, seed=0).eval()
    chosen = map_layer(calls(model, torch.zeros(1, channels, side, side, device="meta")))
    assert chosen.shape[2] * chosen.shape[3] >= 25
    last = list(convolutions(model))[-1]
    stage = last.split(".")[0]
    assert chosen.name.split(".")[0] in (stage, "inception5b", "Mixed_7c")


@pytest.mark.parametrize("task", TASKS)
def test_every_task_gives_its_parts_and_reasons_for_the_others(task, tmp_path):
    found = look(of_task(task, tmp_path / "run"))
    assert {name: why for name, why in found["left_out"].items() if why["failed"]} == {}
    assert set(found) - {"left_out"} == GIVES[task]
    assert set(found["left_out"]) == set(PARTS) - GIVES[task]
    assert all(len(why["reason"]) > 10 for why in found["left_out"].values())
    written = rundir.read_json(tmp_path / "run" / rundir.INSPECTED)
    assert set(written) == set(found)


def test_texts_are_traced_to_their_words(tmp_path):
    words = ["good", "fine", "bad", "poor", "film", "day"]
    numbers = random.Random(0)
    rows = [(" ".join(numbers.choices(words, k=5)), numbers.choice(["up", "down"])) for _ in range(60)]
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    source = {"name": "TextCSV", "path": str(tmp_path / "t.csv"), "text_column": "text", "target_column": "label"}
    model = {"name": "TextCNN", "embedding_dim": 4, "out_channels": 4, "kernel_sizes": [2]}
    found = looked(settings(source, model), tmp_path / "run")
    assert set(found) - {"left_out"} == {"samples", "maps", "activations", "embedding"}
    first = found["maps"]["samples"][0]
    assert [word for word, _ in first["tokens"]] == found["samples"]["most_wrong"][0]["words"].split()
    assert any(weight for _, weight in first["tokens"])


def test_the_most_wrong_samples_stand_in_the_order_of_their_losses(tmp_path):
    found = look(of_task("pictures", tmp_path / "run"))
    table = rundir.read_csv(tmp_path / "run" / rundir.predictions("test"))
    order = sorted((row for row in table if row["target"] != row["prediction"]), key=lambda row: -float(row["loss"]))
    assert found["samples"]["wrong"] == len(order)
    assert [sample["id"] for sample in found["samples"]["most_wrong"]] == [int(row["id"]) for row in order[:MOST]]
    for sample, row in zip(found["samples"]["most_wrong"], order, strict=False):
        assert (sample["target"], sample["prediction"]) == (row["target"], row["prediction"])
        scores = [float(value) for name, value in row.items() if name.startswith("score_")]
        assert sample["certainty"] == pytest.approx(max(scores))
    worst = {sample["id"] for sample in found["samples"]["most_wrong"]}
    sure = {int(r["id"]): max(float(v) for n, v in r.items() if n.startswith("score_")) for r in table}
    rest = sorted((number for number in sure if number not in worst), key=lambda number: sure[number])
    shown = [sample["id"] for sample in found["samples"]["least_certain"]]
    assert shown == [number for number in rest if number in shown]
    assert max(sure[number] for number in shown) <= min(sure[number] for number in rest if number not in shown)


def judged_from(directory, rows, **data):
    rundir.write_csv(directory / rundir.predictions("test"), ["id", "target", "prediction", "loss"], rows)
    return judged(directory, "test", data)


def test_right_predictions_come_after_all_wrong_ones_whatever_their_losses(tmp_path):
    rows = [[0, "a", "a", 9.0], [1, "a", "b", 1.0], [2, "b", "b", "nan"], [3, "b", "a", 2.0]]
    found = judged_from(tmp_path, rows, task="sequence", target="sequence")
    assert found.wrong.tolist() == [False, True, True, True]  # a loss that is NaN is none to trust
    assert found.worst(4).tolist() == [2, 3, 1, 0]


def test_numbers_are_not_right_or_wrong(tmp_path):
    found = judged_from(tmp_path, [[0, 1.0, 1.5, 0.25], [1, 2.0, 2.0, 0.0]], task="regression", target="number")
    assert found.wrong is None
    assert found.worst(1).tolist() == [0]


def test_a_sample_of_two_empty_texts_is_not_the_best_one(tmp_path):
    rows = [[0, "", "", 0.0], [1, "ab", "ab", 0.5], [2, "a", "", 0.75]]
    found = judged_from(tmp_path, rows, task="sequence", target="sequence")
    assert found.best(3).tolist() == [1, 2, 0]


def test_where_no_prediction_is_wrong_no_sample_is_the_most_wrong_one(tmp_path):
    whose = of_task("pictures", tmp_path / "run")
    path = tmp_path / "run" / rundir.predictions("test")
    table = rundir.read_csv(path)
    rundir.write_csv(path, list(table[0]), [list({**row, "prediction": row["target"]}.values()) for row in table])
    found = look(whose)["samples"]
    assert (found["wrong"], found["most_wrong"]) == (0, [])
    assert len(found["least_certain"]) == MOST


def test_importance_is_the_rise_of_the_loss_with_a_column_shuffled(tmp_path):
    whose = of_task("regression", tmp_path / "run")
    with torch.no_grad():  # a model that looks at the third column alone
        for parameter in whose.model.parameters():
            parameter.zero_()
        first, last = [module for module in whose.model.modules() if isinstance(module, nn.Linear)]
        first.weight[0, 2], last.weight[0, 0] = 1.0, 100.0
    found = look(whose)["importance"]
    rise = dict(zip(found["columns"], found["rise"], strict=True))
    assert min(abs(value) for value in rise["bmi"]) > 0
    assert {value for name, values in rise.items() if name != "bmi" for value in values} == {0.0}


def test_nothing_of_the_model_and_of_the_generators_is_changed(tmp_path):
    whose = replace(of_task("pictures", tmp_path / "run"), model=odd_models.Counting())
    whose.model.conv = nn.Conv2d(1, 4, 3)
    whose.model.fc = nn.Linear(4, 10)
    before = {name: value.clone() for name, value in whose.model.state_dict().items()}
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    found = look(whose)
    assert {"kernels", "maps", "feature_maps", "activations", "embedding"} <= set(found)
    assert all(torch.equal(value, before[name]) for name, value in whose.model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in whose.model.parameters())
    assert all(module.training for module in whose.model.modules())
    assert not any(module._forward_hooks for module in whose.model.modules())
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert torch.equal(torch.get_rng_state(), states[2])


def test_the_same_model_gives_the_same_bytes(tmp_path):
    files = []
    for run in ("one", "two"):
        whose = of_task("pictures", tmp_path / run)
        look(whose)
        written = (tmp_path / run / rundir.INSPECTED).read_bytes()
        files.append({**whose.files, "json": written})
    assert files[0] == files[1]


def _scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(odd_models.Counting().eval(), torch.zeros(2, 3, 32, 32), check_trace=False)


def _quantised() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(odd_models.Picky().eval(), {nn.Linear})


ODD = {
    "functional": odd_models.Functional,
    "refusing": odd_models.Refusing,
    "detached": odd_models.Detached,
    "constant": odd_models.Constant,
    "counting": odd_models.Counting,
    "not finite": odd_models.NotFinite,
    "picky": odd_models.Picky,
    "inside out": odd_models.InsideOut,
    "scripted": _scripted,
    "quantised": _quantised,
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_models_lose_parts_and_never_the_run(kind, tmp_path):
    whose = subject(settings(pictures(tmp_path), {"name": "MLP"}), tmp_path / "run")
    whose = replace(whose, model=ODD[kind]())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = look(whose)
    assert "samples" in found
    assert set(found) - {"left_out"} | set(found["left_out"]) == set(PARTS)
    assert all(why["reason"] for why in found["left_out"].values())
    if kind in ("detached", "constant"):
        assert "maps" in found["left_out"]
    if kind == "inside out":
        assert found["maps"]["layer"] == "first"


def test_a_picture_that_is_gone_has_its_reason_and_the_others_their_pictures(tmp_path):
    from PIL import Image

    for number in range(40):
        folder = tmp_path / "data" / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (number, 100, 200 * (number % 2))).save(folder / f"{number}.png")
    whose = subject(
        settings({"name": "ImageFolder", "root": str(tmp_path / "data")}, {"name": "MLP"}), tmp_path / "run"
    )
    gone = whose.judged.ids[whose.judged.worst(1)[0]]
    (tmp_path / "data" / whose.source.name(int(gone))).unlink()
    found = look(whose)["samples"]
    assert "picture" not in found["most_wrong"][0]
    assert "cannot be read" in found["most_wrong"][0]["reason"]
    assert all((tmp_path / "run" / sample["picture"]).is_file() for sample in found["most_wrong"][1:])


def test_thumbnails_show_the_pictures_as_they_are(tmp_path):
    from PIL import Image

    whose = of_task("pictures", tmp_path / "run")
    for sample in look(whose)["samples"]["most_wrong"]:
        shown = np.asarray(Image.open(tmp_path / "run" / sample["picture"]))
        assert np.array_equal(shown, whose.source.read(np.array([sample["id"]]), epoch=0)[0][0, 0].numpy())


def test_a_run_without_an_evaluated_split_keeps_its_kernels(tmp_path):
    given = settings({"name": "Digits"}, CONVOLUTIONAL, data={"split": {"train": 1.0, "val": 0, "test": 0}})
    found = looked(given, tmp_path / "run")
    assert "kernels" in found
    assert found["left_out"]["samples"] == {"reason": "neither test nor val was evaluated", "failed": False}


def test_a_disk_that_takes_no_files_is_told_as_that(tmp_path, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    whose = of_task("classification", tmp_path / "run")
    monkeypatch.setattr(durable, "write_file", full)
    with pytest.raises(RunError, match="No space left"):
        look(whose)
