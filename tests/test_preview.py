"""``torchwork preview`` shows the samples of the first batch, as the loader gives them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from torchwork import config, preview, run
from torchwork.cli import main
from torchwork.report import plots
from torchwork.run_data import open_data
from torchwork.types import InputError

REST = {"model": {"name": "MLP", "hidden": [4]}, "optimizer": "Adam", "train": {"threads": 1}}
FLIP = [{"name": "RandomHorizontalFlip", "p": 1.0}]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def settings(source: object, **options: object) -> config.Config:
    return config.load({"data": {"source": source, "batch_size": 6, **options.pop("data", {})}, **REST, **options})


def seen(wanted: config.Config, monkeypatch: pytest.MonkeyPatch) -> tuple[list, list[str], list[str], list[str]]:
    """Return pictures, titles, labels and lines as they are handed to the sheet."""
    kept: list = []
    monkeypatch.setattr("torchwork.inspection.sheet.sheet", lambda *given: kept.extend(given) or b"")
    lines = preview.write(wanted)
    return [*kept[:3], lines]


def test_pictures_before_and_after_are_of_the_same_samples(monkeypatch):
    wanted = settings("Digits", data={"transform": ["Normalize"], "augment": FLIP})
    (before, after), titles, labels, lines = seen(wanted, monkeypatch)
    data, _ = open_data(wanted, torch.device("cpu"))
    batch = next(iter(data.loaders["train"].batches(1)))
    assert torch.equal(before, data.source.inputs[torch.from_numpy(batch.ids)])
    assert torch.equal(after, before.flip(3))
    assert titles == ["before", "after"]
    assert labels == [str(label) for label in data.source.targets[batch.ids]]
    assert lines[0] == "run: all 6 samples of the first batch of training"
    figures = f"float32 [6, 1, 8, 8], {batch.inputs.min():.4g} to {batch.inputs.max():.4g}"
    assert any(figures in line for line in lines)


def test_without_augmentation_there_is_one_picture_each(monkeypatch):
    pictures, titles, _, _ = seen(settings("Digits"), monkeypatch)
    assert (len(pictures), titles) == (1, [""])


def test_a_mixed_sample_is_told_with_its_shares(monkeypatch):
    _, _, labels, _ = seen(settings("Digits", data={"augment": ["MixUp"]}), monkeypatch)
    shares = [[float(part.split()[0]) for part in label.split(" + ")] for label in labels if "+" in label]
    assert len(shares) >= 3
    assert all(abs(sum(pair) - 1) < 0.011 and pair[0] >= pair[1] for pair in shares)


def test_triplets_stand_side_by_side_with_the_class_of_each(monkeypatch):
    pictures, titles, labels, _ = seen(settings("Digits", loss="TripletMarginLoss"), monkeypatch)
    assert titles == ["anchor", "positive", "negative"]
    assert all(part.shape == (6, 1, 8, 8) for part in pictures)
    for label in labels:
        anchor, positive, negative = label.split(" | ")
        assert anchor == positive != negative


def test_a_table_is_shown_as_the_columns_that_the_model_gets():
    Path("t.csv").write_text(
        "size,colour,y\n" + "".join(f"{i},{'red' if i % 3 else 'blue'},{i % 2}\n" for i in range(40))
    )
    spec = {"name": "Table", "path": "t.csv", "target": "y"}
    lines = preview.write(settings(spec, data={"transform": ["Normalize"]}))
    columns = [line.split()[0] for line in lines[-4:]]
    assert columns == ["target", "size", "colour=blue", "colour=red"]
    blue, red = ([float(cell) for cell in line.split()[1:]] for line in lines[-2:])
    assert np.array_equal(np.add(blue, red), np.ones(6))


def test_texts_are_shown_as_their_tokens():
    Path("t.tsv").write_text("".join(f"{'ham' if i % 2 else 'spam'}\tSay hello No{i}!\n" for i in range(40)))
    lines = preview.write(settings({"name": "TextCSV", "path": "t.tsv", "header": False}), Path("t.txt"))
    written = Path("t.txt").read_text().splitlines()
    assert lines[-1] == "written to t.txt"
    assert len([line for line in written if line.startswith("  say hello no")]) == 6
    assert any(line.endswith(("[ham]", "[spam]")) for line in written)


class Own(torch.utils.data.Dataset):
    """Draws from torch's generator: two readings of one epoch are the same only where both are seeded alike."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return torch.rand(3), index % 2


def test_a_data_set_of_ones_own_is_read_in_the_same_epoch(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    lines = preview.write(settings({"name": "test_preview:Own"}))
    assert any("float32 [6, 3]" in line for line in lines)
    assert sum(line.startswith("sample ") for line in lines) == 6


@pytest.mark.parametrize(
    ("source", "out", "said"), [("Digits", "a.jpg", ".png"), ("Iris", "a.png", ".txt"), ("Digits", "no/a.png", "no")]
)
def test_a_place_that_does_not_fit_is_refused(source, out, said):
    with pytest.raises(InputError, match=said) as caught:
        preview.write(settings(source), Path(out))
    assert caught.value.findings[0].where in ("--out", out)
    assert not Path(out).exists()


def test_the_command_writes_a_png_and_says_where(capsys):
    Path("c.yaml").write_text(
        "data: {source: Digits, augment: [RandomHorizontalFlip]}\nmodel: LeNet\noptimizer: Adam\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["preview", "c.yaml", "data.batch_size=40"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "run: 32 of the 40 samples of the first batch of training"
    assert lines[-1] == "written to preview.png"
    with Image.open(io.BytesIO(Path("preview.png").read_bytes())) as image:
        assert image.format == "PNG"


SCHEDULED = {
    "data": {"source": "Iris", "batch_size": 21},
    "model": {"name": "MLP", "hidden": [4]},
    "optimizer": {"name": "SGD", "lr": 0.1, "groups": [{"match": "output*", "lr": 0.5}]},
    "schedule": {"name": "StepLR", "step_size": 1, "warmup_steps": 3},
    "train": {"epochs": 3},
}


def test_a_schedule_is_drawn_as_training_will_follow_it(monkeypatch):
    drawn = []
    original = plots.learning_rate
    monkeypatch.setattr(
        "torchwork.report.plots.schedule.learning_rate",
        lambda rates, **options: drawn.append((rates, options)) or original(rates, **options),
    )
    lines = preview.write(config.load(SCHEDULED))
    assert lines[-1] == "learning rate  written to learning-rate.svg"
    assert Path("learning-rate.svg").read_text(encoding="utf-8").count("<svg") == 1
    ((rates, options),) = drawn
    seen = []
    watch = type("Watch", (), {name: lambda *_: None for name in ("start", "epoch", "message", "stop")})()
    watch.step = lambda step, epoch: seen.append(step.lr)
    trained = run.train(SCHEDULED, out=Path("run"), progress=watch)
    assert [row[0] for row in rates] == seen
    assert len(rates) == trained.history[-1]["step"]
    assert {round(row[1] / row[0], 9) for row in rates} in ({5.0}, {0.2})
    assert "output*" in options["names"]


def test_a_schedule_that_waits_for_a_metric_says_so_and_none_draws_nothing():
    lines = preview.write(config.load({**SCHEDULED, "schedule": "ReduceLROnPlateau"}))
    assert lines[-1].startswith("learning rate  written")
    assert "falls when the metric stands still" in Path("learning-rate.svg").read_text(encoding="utf-8")
    Path("learning-rate.svg").unlink()
    preview.write(config.load({**SCHEDULED, "schedule": None}))
    assert not Path("learning-rate.svg").exists()


def test_a_batch_is_seen_where_the_schedule_is_wrong():
    wrong = {**SCHEDULED, "schedule": {"name": "StepLR", "step_size": 0}}
    lines = preview.write(config.load(wrong))
    assert lines[0].startswith("run: all 21")
    assert "learning rate  not drawn: schedule.step_size" in lines[-1]
