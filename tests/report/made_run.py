"""Run directories written by hand, in the files and columns that a run writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from torchwork import rundir

CONFIG = """name: {name}
seed: 3
device: cpu
task: null
data:
  source: {{name: Digits}}
  split: {{train: 0.7, val: 0.15, test: 0.15, by: stratified}}
  transform:
  - {{name: Resize, size: 32}}
  - Normalize
  augment: []
model: {{name: LeNet}}
loss: null
optimizer: {{name: Adam, lr: 0.001}}
schedule: null
train: {{epochs: 3, monitor: null}}
"""


def classification(directory: Path, classes: Sequence[str], num: int = 40, seed: int = 0) -> Path:
    """Write a finished run of a classifier whose predictions are right for about three in four samples."""
    numbers = np.random.default_rng(seed)
    codes = np.arange(num) % len(classes)
    guesses = np.where(numbers.random(num) < 0.75, codes, numbers.integers(0, len(classes), num))
    scores = numbers.dirichlet(np.ones(len(classes)), num)
    shown = classes if len(classes) <= 20 else []
    header = ["id", "target", "prediction", "loss", *(f"score_{name}" for name in shown)]
    rows = [
        [
            i,
            classes[codes[i]],
            classes[guesses[i]],
            float(-np.log(scores[i, codes[i]])),
            *scores[i, : len(shown)].tolist(),
        ]
        for i in range(num)
    ]
    _common(directory, "digits")
    for split in ("val", "test"):
        rundir.write_csv(directory / rundir.predictions(split), header, rows)
    accuracy = float((codes == guesses).mean())
    rundir.write_json(directory / rundir.METRICS, {s: {"loss": 0.51, "accuracy": accuracy} for s in ("val", "test")})
    _history(directory, "val_accuracy", [0.5, 0.8, 0.7])
    counts = {name: int((codes == code).sum()) for code, name in enumerate(classes)}
    facts = {"inputs": "image", "target": "class", "classes": list(classes), "target_names": []}
    sizes = {"train": 4 * num, "val": num, "test": num}
    _data(directory, facts | {"num_samples": sizes, "class_counts": dict.fromkeys(sizes, counts)})
    return directory


def regression(directory: Path, names: Sequence[str] = ("progression",), num: int = 30) -> Path:
    """Write a finished run of a regression with one output or several."""
    numbers = np.random.default_rng(0)
    target = numbers.normal(size=(num, len(names))) * 10
    prediction = target + numbers.normal(size=target.shape)
    suffixes = [""] if len(names) == 1 else [f"_{name}" for name in names]
    header = ["id", *(f"{kind}{suffix}" for kind in ("target", "prediction") for suffix in suffixes), "loss"]
    rows = [[i, *target[i].tolist(), *prediction[i].tolist(), 1.25] for i in range(num)]
    _common(directory, "diabetes")
    for split in ("val", "test"):
        rundir.write_csv(directory / rundir.predictions(split), header, rows)
    rundir.write_json(directory / rundir.METRICS, {"test": {"loss": 1.25, "mae": 0.8, "r2": 0.99}})
    _history(directory, "val_r2", [0.1, 0.2, 0.3])
    facts = {"inputs": "table", "target": "number", "classes": None, "target_names": list(names)}
    _data(directory, facts | {"num_samples": {"train": 2 * num, "val": num, "test": num}, "class_counts": {}})
    return directory


def _common(directory: Path, name: str) -> None:
    directory.mkdir(parents=True)
    (directory / rundir.CONFIG).write_text(CONFIG.format(name=name), encoding="utf-8")
    environment = {"torch": "2.13.0", "device": "cpu", "threads": 2, "started": "2026-01-02T03:04:05+00:00"}
    rundir.write_json(directory / rundir.ENVIRONMENT, environment)
    layer = {"name": "fc", "type": "Linear", "output_shape": [8, 10], "parameters": 650, "trainable": 650}
    content = {"model": "LeNet", "layers": [layer], "parameters": 650, "trainable": 650}
    rundir.write_json(directory / rundir.MODEL_SUMMARY, content)


def _history(directory: Path, metric: str, values: Sequence[float]) -> None:
    header = ["epoch", "step", "lr", "train_loss", "val_loss", metric, "seconds"]
    losses = [(0.9, 0.8), (0.5, 0.4), (0.3, 0.6)]
    rows = [[e + 1, 10 * (e + 1), 0.1, *losses[e], values[e], 0.5] for e in range(3)]
    rundir.write_csv(directory / rundir.HISTORY, header, rows)


def _data(directory: Path, facts: dict[str, object]) -> None:
    rest = {"levels": {}, "numbers": [], "categories": [], "input_shape": [1, 8, 8]}
    rundir.write_json(directory / rundir.DATA, {**rest, **facts})


def ranking(directory: Path, num: int = 30) -> Path:
    """Write a finished run that puts samples in order: its scores have a scale of their own."""
    regression(directory, num=num)
    facts = rundir.read_json(directory / rundir.DATA)
    rundir.write_json(directory / rundir.DATA, {**facts, "task": "ranking"})
    figures = {"loss": 0.3, "kendall_tau": 0.47, "pairs_in_order": 0.74}
    rundir.write_json(directory / rundir.METRICS, {"test": figures})
    return directory
