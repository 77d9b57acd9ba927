"""``predict --explain``: what carries a prediction is told and drawn, for every kind of samples."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

import torchwork as library
from torchwork import rundir

LINEAR = {"name": "Sequential", "layers": ["Flatten", "Linear"]}


def words(path):
    root = ElementTree.parse(path).getroot()
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]


def trained(out, source, model, **data):
    given = {"data": {"source": source, "batch_size": 8, **data}, "model": model, "optimizer": "Adam"}
    return library.train({"name": "explained", **given, "train": {"epochs": 1}}, out=out)


@pytest.fixture
def pictures(tmp_path):
    for number in range(24):
        folder = tmp_path / "data" / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 12), (number, 100, 200 * (number % 2))).save(folder / f"{number}.png")
    return tmp_path / "data"


def test_a_picture_is_told_and_drawn_with_its_scores_beside_the_predictions(torchwork, tmp_path, pictures):
    layers = [{"name": "Conv2d", "out_channels": 4, "kernel_size": 3}, "ReLU", "Flatten", "Linear"]
    trained(tmp_path / "run", {"name": "ImageFolder", "root": str(pictures)}, {"name": "Sequential", "layers": layers})
    (tmp_path / "out").mkdir()
    done = torchwork("predict", "run", pictures / "cat" / "1.png", "--explain", "--out", "out/p.csv")
    assert done.code == 0, done.err
    row = rundir.read_csv(tmp_path / "out" / "p.csv")[0]
    assert f"prediction  {row['prediction']}" in done.out
    for name in ("cat", "dog"):
        assert f"{name}  {float(row[f'score_{name}']):.4f}" in done.out
    assert "of the picture, around its" in done.out
    drawing = tmp_path / "out" / "explain-1.svg"
    assert f"drawn in {drawing.relative_to(tmp_path)}" in done.out
    said = words(drawing)
    assert {"picture", "Grad-CAM", "gradient", "scores", "cat", "dog"} <= set(said)
    assert any(line.startswith(f"predicted: {row['prediction']} (") for line in said)


def test_a_row_is_told_by_its_columns_whatever_they_are_encoded_to(torchwork, tmp_path):
    numbers = np.random.default_rng(0)
    rows = [
        (f"{numbers.normal():.3f}", numbers.choice(["red", "green", "blue"]), f"{numbers.normal():.3f}")
        for _ in range(40)
    ]
    lines = [f"{width},{colour},{float(width) * 2:.3f},{noise}" for width, colour, noise in rows]
    (tmp_path / "t.csv").write_text("width,colour,price,noise\n" + "\n".join(lines) + "\n")
    source = {"name": "Table", "path": str(tmp_path / "t.csv"), "target": "price"}
    run = trained(tmp_path / "run", source, LINEAR, transform=["Normalize"])
    done = torchwork("predict", "run", "t.csv", "--explain")
    assert done.code == 2
    assert "40 samples; at most 20" in done.err
    assert not (tmp_path / "predictions.csv").exists()
    (tmp_path / "two.csv").write_text("width,colour,noise\n1.5,red,0\n-1,blue,3\n")
    done = torchwork("predict", "run", "two.csv", "--explain")
    assert done.code == 0, done.err
    assert "the columns that carry the prediction most" in done.out
    weight = run.model[1].weight[0].detach().double().numpy()
    levels = run.data["levels"]["colour"]
    scaled = (1.5 - float(run.pipeline.state()["normalize.mean"][0])) / float(run.pipeline.state()["normalize.std"][0])
    assert f"'width' ({weight[0] * scaled:+.3g})" in done.out
    first = words(tmp_path / "explain-two.csv-row-1.svg")
    assert {"width", "colour", "noise"} <= set(first)
    assert not any(level in first for level in levels)
    assert (tmp_path / "explain-two.csv-row-2.svg").is_file()


def test_a_text_is_told_by_its_words(torchwork, tmp_path):
    numbers = np.random.default_rng(0)
    label = numbers.integers(0, 2, 60)
    lines = [f"{'good' if up else 'bad'} film number{place},{'up' if up else 'down'}" for place, up in enumerate(label)]
    (tmp_path / "t.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    source = {"name": "TextCSV", "path": str(tmp_path / "t.csv"), "text_column": "text", "target_column": "label"}
    trained(tmp_path / "run", source, {"name": "TextCNN", "embedding_dim": 4, "out_channels": 4, "kernel_sizes": [2]})
    (tmp_path / "new.txt").write_text("good film <b>\n")
    done = torchwork("predict", "run", "new.txt", "--explain")
    assert done.code == 0, done.err
    assert "the words that carry the output of the predicted class most" in done.out
    said = words(next(tmp_path.glob("explain-*.svg")))
    assert {"good", "film"} <= set(said)


def test_files_of_one_name_are_drawn_apart(torchwork, tmp_path, pictures):
    trained(tmp_path / "run", {"name": "ImageFolder", "root": str(pictures)}, LINEAR)
    Image.new("RGB", (12, 12)).save(pictures / "cat" / "0.png")
    done = torchwork("predict", "run", pictures / "cat" / "0.png", pictures / "dog" / "0.png", "--explain")
    assert done.code == 0, done.err
    assert sorted(path.name for path in tmp_path.glob("explain-*")) == ["explain-0-2.svg", "explain-0.svg"]
    assert "half of the gradient lies in" in done.out  # no convolution, so no Grad-CAM


def test_what_cannot_be_traced_back_is_said(torchwork, tmp_path):
    given = {"data": {"source": "Digits", "batch_size": 32}, "model": LINEAR, "optimizer": "Adam"}
    library.train(
        {"name": "vectors", **given, "loss": "TripletMarginLoss", "train": {"epochs": 1}}, out=tmp_path / "run"
    )
    np.savez(tmp_path / "new.npz", inputs=np.zeros((1, 8, 8), np.uint8))
    done = torchwork("predict", "run", "new.npz", "--explain")
    assert done.code == 0, done.err
    assert "cannot be told: the model's output is no one number" in done.out
