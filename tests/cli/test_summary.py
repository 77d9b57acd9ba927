"""The command that prints the layers of a model."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

import torchwork as package
from torchwork import rundir

IRIS = {
    "data": {"source": "Iris", "batch_size": 16},
    "model": {"name": "MLP", "hidden": [5]},
    "optimizer": "Adam",
    "train": {"epochs": 1},
}
FAILING = """
from torch import nn

class Model(nn.Linear):
    def __init__(self, hidden):
        super().__init__(3, 3)
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(IRIS))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run whose end is missing: without weights, metrics and report."""
    out = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torchwork.finishing.finish", lambda *_, **__: {})
        return package.train(IRIS, out=out).path


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def _table(printed: str) -> dict[str, list[str]]:
    lines = printed.split("\n\n")[-3].splitlines()
    return {line.split()[0]: line.split() for line in lines}


def test_the_layers_of_a_config_are_printed_with_their_totals(torchwork, config):
    done = torchwork("summary", config)
    assert done.code == 0, done.err
    assert _table(done.out)["hidden.0"] == ["hidden.0", "Linear", "16", "×", "5", "25", "20", "100", "B", "320", "B"]
    assert "43 parameters, all trainable" in done.out
    assert "\n35 multiply-adds a sample\n" in done.out
    assert "Norms, activations, pooling and sums are not counted" in done.out


def test_overrides_and_print_net(torchwork, config):
    done = torchwork("summary", config, "model.hidden=[7]", "model.freeze=[hidden*]", "--net")
    assert done.code == 0, done.err
    assert done.out.startswith("MLP(")
    assert "Linear(in_features=4, out_features=7, bias=True)" in done.out
    assert "59 parameters, of which 35 are frozen" in done.out
    assert _table(done.out)["hidden.0"][5:7] == ["35", "frozen"]


def test_a_run_tells_its_layers_without_its_data_and_weights(torchwork, config, run):
    expected = torchwork("summary", config).out
    assert not (run / rundir.MODEL).exists()
    assert torchwork("summary", "run").out == expected
    assert torchwork("summary", "run", "--net").out.endswith(expected)
    assert torchwork("summary", "run", "--net").out.startswith("MLP(")


def test_a_run_from_before_multiply_adds_were_counted_says_so(torchwork, run):
    path = run / rundir.MODEL_SUMMARY
    facts = json.loads(path.read_text())
    kept = ("name", "type", "output_shape", "parameters", "trainable")
    old = {
        "layers": [{key: layer[key] for key in kept} for layer in facts["layers"]],
        "parameters": 43,
        "trainable": 43,
    }
    path.write_text(json.dumps(old))
    done = torchwork("summary", "run")
    assert done.code == 0
    assert "not counted when this run began" in done.out
    for damage in ("", "{}", '{"layers": 3, "parameters": 1, "trainable": 1}', "[1]"):
        path.write_text(damage)
        done = torchwork("summary", "run")
        assert (done.code, done.out) == (2, "")
        assert "cannot be read" in done.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nothing.yaml"], "there is no such file"),
        (["."], "is not a run directory"),
        (["c.yaml", "model.hiden=[3]"], "hiden"),
        (["c.yaml", "model.name=broken:Model"], "fails on inputs of shape [16, 4]"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_2(torchwork, config, tmp_path, monkeypatch, given, said):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken.py").write_text(FAILING)
    done = torchwork("summary", *given)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_changes_to_a_run_are_refused(torchwork, run):
    done = torchwork("summary", "run", "model.hidden=[3]")
    assert done.code == 2
    assert "whose config is settled" in done.err
