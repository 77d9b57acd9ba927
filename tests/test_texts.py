"""Texts from end to end: a file, a run, its predictions."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import torchwork
from torchwork import assembly, config, rundir
from torchwork.training.interrupt import Interrupted
from torchwork.types import InputError

EXAMPLE = Path(__file__).parents[1] / "examples" / "spam.yaml"
MODELS = {
    "TextCNN": {"name": "TextCNN", "embedding_dim": 8, "out_channels": 8, "kernel_sizes": [1, 2]},
    "LSTM": {"name": "LSTM", "embedding_dim": 8, "hidden_size": 8, "bidirectional": True, "dropout": 0.2},
    "bag": {
        "name": "Sequential",
        "layers": [{"name": "EmbeddingBag", "embedding_dim": 8, "padding_idx": 0}, "Linear"],
    },
}


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    """186 made messages that differ; those of one label say free or win."""
    path = tmp_path / "messages.tsv"
    calm = product(["see you", "call me", "ok then", "I am late"], ["at home", "at five", '"soon"'], "abcdefgh")
    loud = product(["FREE prize!", "win £100", "you WIN"], ["call now", "text 8007", "reply yes"], "abcdefghij")
    rows = [f"{label}\t{' '.join(said)}" for label, all_of in (("ham", calm), ("spam", loud)) for said in all_of]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def settings(path: Path, model: str = "bag", **changes: Any) -> dict[str, Any]:
    return {
        "seed": 3,
        "data": {
            "source": {"name": "TextCSV", "path": str(path), "header": False},
            "batch_size": 16,
            **changes.pop("data", {}),
        },
        "model": MODELS[model],
        "optimizer": {"name": "Adam", "lr": 0.02},
        "train": {"epochs": 4, "threads": 1},
        **changes,
    }


@pytest.mark.parametrize("model", MODELS)
def test_a_model_of_texts_learns_and_predicts_what_it_was_evaluated_on(
    model: str, messages: Path, tmp_path: Path
) -> None:
    tokens = {"transform": [{"name": "Tokenize", "length": 6}]}
    run = torchwork.train(settings(messages, model, data=tokens), out=tmp_path / "run")
    assert run.metrics["test"]["accuracy"] > 0.9
    with open(run.path / rundir.predictions("test"), newline="") as file:
        evaluated = {int(row["id"]): float(row["score_spam"]) for row in csv.DictReader(file)}
    texts = [line.split("\t")[1] for line in messages.read_text(encoding="utf-8").splitlines()]
    loaded = torchwork.load(run.path)
    (tmp_path / "new.txt").write_text("\n".join(texts), encoding="utf-8")
    several = {
        "list": loaded.predict(texts),
        "lines": loaded.predict(tmp_path / "new.txt"),
        "file of training": loaded.predict([messages]),
        "frame": loaded.predict(pd.DataFrame({"1": texts})),
        "array": loaded.predict(np.array(texts)),
    }
    for found in several.values():
        scores = [row["scores"]["spam"] for row in found]
        assert scores == [row["scores"]["spam"] for row in several["list"]]
        np.testing.assert_allclose([scores[place] for place in evaluated], list(evaluated.values()), rtol=1e-5)
    assert several["list"][1]["name"] == "text 2"
    assert several["lines"][1]["name"] == f"{tmp_path / 'new.txt'} line 2"
    facts = json.loads((run.path / rundir.DATA).read_text())
    assert facts["num_tokens"] == len(facts["vocabulary"]) + 2
    assert any(p.shape[0] == facts["num_tokens"] for p in loaded.model.parameters())
    assert facts["num_texts_cut"] > 0
    said = f"{facts['num_tokens']} different; {facts['num_texts_cut']} texts of train cut to {facts['text_length']}"
    assert said in (run.path / rundir.REPORT).read_text(encoding="utf-8")
    assert "of train are cut to that" in (run.path / rundir.LOG).read_text(encoding="utf-8").splitlines()[0]


def assembled(path: Path, **data: Any) -> assembly.Parts:
    return assembly.assemble(config.load(settings(path, data=data)))


def test_the_vocabulary_is_that_of_train_and_how_many_texts_are_cut_is_told(messages: Path) -> None:
    with open(messages, "a", encoding="utf-8") as file:
        file.writelines(f"ham\tword{'abcdefgh'[place]} once upon a time\n" for place in range(8))
    data = assembled(messages, transform=[{"name": "Tokenize", "length": 4, "min_count": 1}]).data
    train = [data.source.texts[place] for place in data.splits["train"]]
    words = {word for text in train for word in re.findall(r"[^\W\d_]+|\S", text.lower())}
    assert set(data.facts()["vocabulary"]) == words
    elsewhere = {f"word{letter}" for letter in "abcdefgh"} - words
    assert elsewhere
    assert data.pipeline.prepare(sorted(elsewhere))[:, 0].tolist() == [1] * len(elsewhere)
    cut = sum(len(re.findall(r"[^\W\d_]+|\S", text)) > 4 for text in train)
    assert f"{cut} texts of train are cut to that" in data.pipeline.describe()[0]
    assert data.input_shape == (4,)


class StopAt:
    """Asks to stop at a step, as a scheduler would."""

    def __init__(self, index: int) -> None:
        self.index = index

    def start(self, *_: Any) -> None: ...
    def epoch(self, row: Any) -> None: ...
    def stop(self) -> None: ...
    def message(self, text: str) -> None: ...
    def finding(self, found: object) -> None: ...

    def step(self, step: Any, epoch: int) -> None:
        if step.index == self.index:
            signal.raise_signal(signal.SIGTERM)


def test_a_run_on_texts_that_stopped_goes_on_to_the_same_weights(messages: Path, tmp_path: Path) -> None:
    changes = settings(messages, "LSTM", train={"epochs": 2, "threads": 1})
    straight = torchwork.train(changes, out=tmp_path / "straight").path
    with pytest.raises(Interrupted):
        torchwork.train(changes, out=tmp_path / "run", progress=StopAt(5))
    resumed = torchwork.resume(tmp_path / "run").path
    assert (resumed / rundir.MODEL).read_bytes() == (straight / rundir.MODEL).read_bytes()


def test_a_repeated_text_stands_on_one_side(messages: Path) -> None:
    lines = messages.read_text(encoding="utf-8").splitlines()
    messages.write_text("\n".join(lines + lines[::3] + lines[::5]), encoding="utf-8")
    data = assembled(messages).data
    sides: dict[str, set[str]] = {}
    for name, places in data.splits.items():
        for place in places:
            sides.setdefault(data.source.texts[place], set()).add(name)
    assert len(sides) == len(lines)
    assert all(len(found) == 1 for found in sides.values())


def test_empty_texts_are_an_error_unless_they_are_set_aside(messages: Path) -> None:
    with open(messages, "a", encoding="utf-8") as file:
        file.write("ham\t  \nspam\t\n")
    with pytest.raises(InputError, match=r"line 187 \(the text is empty\), line 188"):
        assembled(messages)
    data = assembled(messages, clean={"unreadable": "drop"}).data
    assert sorted(place for places in data.splits.values() for place in places) == list(range(186))


@pytest.mark.skipif("TORCHWORK_TEST_DATA" not in os.environ, reason="TORCHWORK_TEST_DATA names no folder of real data")
def test_the_example_finds_spam_in_a_part_of_the_messages(tmp_path: Path) -> None:
    lines = (Path(os.environ["TORCHWORK_TEST_DATA"]) / "sms-spam.tsv").read_text(encoding="utf-8").split("\n")
    (tmp_path / "part.tsv").write_text("\n".join(lines[::4]), encoding="utf-8")
    changes = [f"data.source.path={tmp_path / 'part.tsv'}", "train.threads=1"]
    run = torchwork.train(EXAMPLE, overrides=changes, out=tmp_path / "run")
    assert sum(run.data["num_samples"].values()) == len(lines[::4]) == 1394
    assert run.metrics["test"]["f1/spam"] > 0.8
    called = run.predict(["WINNER!! Claim your free £900 prize: call 09061701461 now", "Ok, see you at five then"])
    assert [row["prediction"] for row in called] == ["spam", "ham"]
