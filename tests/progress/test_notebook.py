"""Progress in a notebook, through IPython, whose displays are captured."""

from __future__ import annotations

import re
from typing import Any

import pytest

import torchwork
from torchwork import rundir
from torchwork.progress import notebook, pace
from torchwork.progress.choice import chosen
from torchwork.progress.notebook import NotebookProgress
from torchwork.progress.outlook import Outlook
from torchwork.training.state import Progress as Standing
from torchwork.types import Step

IRIS = {
    "data": {"source": "Iris", "batch_size": 16},
    "model": {"name": "MLP", "hidden": [4]},
    "optimizer": {"name": "Adam", "lr": 1e-2},
    "train": {"epochs": 2},
}


@pytest.fixture
def displayed():
    """All displays of a notebook's kernel, in the order in which they were published: (what, where, anew)."""
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    seen: list[tuple[str, str, bool]] = []

    class Kept(DisplayPublisher):
        def publish(self, data: Any, *, transient: Any = None, update: bool = False, **_: Any) -> None:
            seen.append((data["text/html"], (transient or {}).get("display_id", ""), update))

    InteractiveShell.clear_instance()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InteractiveShell, "init_history", lambda shell: None)  # a database in the home directory
        patch.setattr(InteractiveShell, "kernel", object(), raising=False)
        shell = InteractiveShell.instance()
        shell.display_pub = Kept(parent=shell)
        yield seen
    InteractiveShell.clear_instance()


def test_in_a_notebook_bars_are_shown_unless_they_are_refused(displayed):
    assert isinstance(chosen(None), NotebookProgress)
    assert isinstance(chosen(True), NotebookProgress)
    assert chosen(False) is None


def test_without_a_kernel_there_is_no_notebook():
    assert chosen(None) is None


def test_training_shows_two_displays_that_change_in_place(displayed, tmp_path, monkeypatch):
    def finish(parts: Any, directory: Any, *_: Any, **__: Any) -> None:
        rundir.write_json(directory / rundir.METRICS, {})

    monkeypatch.setattr("torchwork.finishing.finish", finish)
    monkeypatch.setattr(notebook, "_REDRAW", 0.0)
    run = torchwork.train(IRIS, out=tmp_path / "run")
    first, second = [where for _, where, anew in displayed if not anew]
    assert {where for _, where, anew in displayed if anew} == {first, second}
    bars = [html for html, where, _ in displayed if where == first]
    assert f"run {run.path}" in bars[0]
    assert "<progress value='14' max='14' aria-label='run'></progress> 14/14" in bars[-1]
    assert "done" in bars[-1]
    steps = [re.findall(r"<progress value='(\d+)'", html) for html in bars]
    assert [int(of_run) for of_run, _ in steps] == sorted(int(of_run) for of_run, _ in steps)
    assert any(re.search(r"loss \d\.\d+ · [\d,]+ samples/s · \d+% waiting for data · 0:00:0\d", html) for html in bars)
    table = next(html for html, where, _ in reversed(displayed) if where == second)
    assert re.findall(r">(\d/\d)</td>", table) == ["1/2", "2/2"]
    for row in run.history:
        assert f">{row['val_loss']:.4f}</td>" in table
    assert table.count("<td>best</td>") == 1


def test_names_are_shown_as_they_are(displayed, tmp_path):
    shown = NotebookProgress()
    ahead = Outlook(1, 1, 10, "val_<b>", Standing(monitored=1.0))
    shown.start(tmp_path / "<script>", ahead)
    shown.epoch({"epoch": 1, "step": 1, "val_<b>": 1.0})
    shown.stop()
    everything = "".join(html for html, _, _ in displayed)
    assert "<script>" not in everything
    assert "&lt;script&gt;" in everything
    assert "<b>" not in everything
    assert "val &lt;b&gt;" in everything


def test_of_many_epochs_the_last_and_the_best_are_shown(displayed, tmp_path):
    shown = NotebookProgress()
    ahead = Outlook(1000, 1, 10, "val_loss", Standing(best=0.5, best_epoch=3))
    shown.start(tmp_path, ahead)
    for epoch in range(1, 101):
        shown.epoch({"epoch": epoch, "step": epoch, "val_loss": 1.0})
    table = displayed[-1][0]
    assert re.findall(r">(\d+)/1000</td>", table) == ["3", *map(str, range(81, 101))]
    assert max(len(html) for html, _, _ in displayed) < 12_000


class CountedLoss:
    reads = 0

    def item(self) -> float:
        self.reads += 1
        return 0.5


def test_the_loss_is_read_only_where_it_is_drawn(displayed, tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(pace, "monotonic", lambda: now)
    shown, loss = NotebookProgress(), CountedLoss()
    shown.start(tmp_path, Outlook(1, 100, 1000, "val_loss", Standing()))
    before = len(displayed)
    for index in range(100):
        now += 0.01
        shown.step(Step(index + 1, loss, 1.0, None, 0.1, 10), 1)  # type: ignore[arg-type]
    assert loss.reads == len(displayed) - before == 3
    assert "1,000 samples/s" in displayed[-1][0]
