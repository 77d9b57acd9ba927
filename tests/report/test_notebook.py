"""In a notebook a run shows what was done and the main plots; elsewhere it is a line of text."""

from __future__ import annotations

import shutil

import pytest
from IPython.core.formatters import DisplayFormatter

import torchwork
from report.made_run import classification
from report.test_html import Page
from torchwork import rundir
from torchwork.report import notebook

HOSTILE = "<script>a()</script>"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = {"name": "flowers", "data": {"source": "Iris"}, "model": "MLP", "optimizer": "Adam"}
    return torchwork.train(config, overrides=["train.epochs=2"], out=tmp_path_factory.mktemp("runs") / "flowers")


def test_a_notebook_gets_html_and_a_terminal_a_line(run):
    formats, _ = DisplayFormatter().format(run)
    assert formats["text/plain"] == repr(run)
    page = Page(formats["text/html"])
    assert "MLP was trained on Iris" in page.text
    assert "accuracy" in page.words
    assert page.tags.count("svg") == 2


def test_it_takes_no_room_outside_itself(run):
    page = Page(notebook.element(run.path))
    assert page.tags[0] == "div"
    assert not {"html", "body", "script", "link", "img"} & set(page.tags)
    rules = notebook.styles("notebook.css").split("}")
    assert all(rule.strip().startswith(".torchwork") for rule in rules if rule.strip())


def test_names_from_the_data_are_escaped(tmp_path):
    page = Page(notebook.element(classification(tmp_path / "run", [HOSTILE, "b"])))
    assert "script" not in page.tags
    assert HOSTILE in page.text


def test_a_run_without_results_shows_what_is_there(tmp_path):
    directory = classification(tmp_path / "run", ["a", "b"])
    for path in list(directory.iterdir()):
        if path.name != rundir.CONFIG:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = Page(notebook.element(directory))
    assert "The run has not come to its end: 0 of 3 epochs are on record." in page.text
    assert "svg" not in page.tags
