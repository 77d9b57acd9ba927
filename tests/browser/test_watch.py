"""A run watched in Chromium: the curves grow while it trains, and the button stops it with a checkpoint."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import torchwork
from browser.visit import DESKTOP, PHONE, Visit
from torchwork import processes, rundir
from torchwork.training import checkpoint
from torchwork.watch.server import Server
from watch.made_live import finished, going_on

LONG = 60_000  # milliseconds: a machine with much to do may need them, none other does
CONFIG = """\
data: {source: Digits, transform: [Normalize], batch_size: 8}
model: {name: MLP, hidden: [16]}
optimizer: {name: Adam, lr: 0.001}
train: {epochs: 5000, threads: 1}
"""

Open = Callable[..., Visit]


@contextmanager
def training(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Train in a process of its own; give it and the address of its page."""
    command = [sys.executable, "-m", "torchwork", *arguments, "--watch", "-q"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            yield process, next(line.split()[1] for line in process.stderr if line.startswith("watch http://"))
        finally:
            process.kill()


@pytest.fixture
def served() -> Iterator[Callable[[Path], str]]:
    """Serve a run directory from a thread of this process; give the address."""
    started = []

    def serve(directory: Path) -> str:
        server = Server(directory)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return server.address

    yield serve
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


def until(page: Any, script: str) -> Any:
    """Wait until a script gives something true. The page itself forbids what Playwright's own waiting does in it."""
    latest = time.monotonic() + LONG / 1000
    while not (found := page.evaluate(script)):
        assert time.monotonic() < latest, f"{script} stayed {found}"
        page.wait_for_timeout(50)
    return found


def points(name: str) -> str:
    """Return the script that counts the points of a curve."""
    return f"Number(document.querySelector('path[data-name=\"{name}\"]')?.dataset.points ?? 0)"


def grown(page: Any, times: int) -> list[int]:
    """Wait until the curve of val loss has gained points so many times; return how many it had each time."""
    found = [0]
    for _ in range(times):
        until(page, f"{points('val loss')} > {found[-1]}")
        found.append(page.evaluate(points("val loss")))
    return found[1:]


def says(page: Any, place: str, text: str) -> None:
    """Wait until a place of the page begins with a text."""
    until(page, f"document.querySelector('{place}').textContent.startsWith({json.dumps(text)})")


def stop(page: Any) -> None:
    page.get_by_role("button", name="Stop training").click(timeout=LONG)
    page.get_by_role("button", name="Stop it").click(timeout=LONG)
    says(page, "#phase", "Stopped")


class BegunError(Exception):
    """Raised where a run begins to train, by whoever shows it."""


def resumed_at(run: Path) -> int:
    """Go on with a run until its first step; return which step it goes on from."""
    found = []

    class Shown:
        def start(self, directory: Path, outlook: Any) -> None:
            found.append(outlook.standing.index)
            raise BegunError

        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *_: None

    with pytest.raises(BegunError):
        torchwork.resume(run, progress=Shown())
    return found[0]


def test_curves_gain_points_while_training_runs_and_the_button_stops_it_with_a_checkpoint(visit: Open, tmp_path: Path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    with training(tmp_path, "train", "c.yaml", "--out", "run") as (process, address):
        found = visit(address, size=DESKTOP)
        page = found.page
        counts = grown(page, 3)
        assert counts == sorted(set(counts))
        drawn = page.evaluate("document.querySelector('path[data-name=\"val loss\"]').getAttribute('d')")
        assert len(re.findall("[ML]", drawn)) >= counts[-1] >= 3
        until(page, "document.querySelector('#batch img').naturalWidth > 0")
        until(page, "document.querySelectorAll('#worst li img').length === 12")
        found.screenshot("watch-training-desktop-light")
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        found.screenshot("watch-training-phone-dark")
        page.get_by_role("button", name="Stop training").click()
        page.get_by_role("button", name="Let it go on").click()
        assert process.poll() is None
        stop(page)
        says(page, "#message", "stopped after step")
        message = page.locator("#message").inner_text()
        assert "go on with: torchwork resume run" in message
        stopped_at = int(re.search(r"step (\d+)", message).group(1))
        assert process.wait(LONG / 1000) == 130
        found.screenshot("watch-stopped-phone-dark")
        assert found.said == []
    run = tmp_path / "run"
    assert checkpoint.latest(run / rundir.CHECKPOINTS) is not None
    assert checkpoint.damaged(run / rundir.CHECKPOINTS) == []
    assert resumed_at(run) == stopped_at


def changed(directory: Path, **changes: Any) -> None:
    """Change what a run says of itself, at once as it does."""
    path = directory / rundir.LIVE
    partial = path.with_name("partial")
    partial.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    partial.replace(path)


def test_within_an_epoch_the_running_loss_moves_on(visit: Open, served, tmp_path: Path):
    directory = going_on(tmp_path / "run")
    page = visit(served(directory)).page
    ring = page.locator("circle.running")
    ring.wait_for(timeout=LONG)
    assert page.evaluate(points("train loss")) == 4
    assert page.evaluate(points("val loss")) == 3
    before = float(ring.get_attribute("cx"))
    changed(directory, step=9)
    until(page, f"Number(document.querySelector('circle.running')?.getAttribute('cx')) > {before}")
    assert page.locator("#figures").inner_text().split("\n")[:3] == ["epoch", "4 of 10", "step 9 of 10"]


@pytest.mark.parametrize(
    "rates", [[0.001999, 0.0019995, 0.002], [0.001] * 3, [1e-7, 1.1e-7, 1.2e-7], [15000, 15010, 15020], [1.9, 3, 3.5]]
)
def test_marks_of_a_curve_differ_and_stand_whole_inside_it(rates: list[float], visit: Open, served, tmp_path: Path):
    directory = going_on(tmp_path / "run")
    rows = [[epoch, rate] for epoch, rate in enumerate(rates, start=1)]
    rundir.write_csv(directory / rundir.HISTORY, ["epoch", "lr"], rows)
    page = visit(served(directory)).page
    title = "one.querySelector('h3').textContent === 'Learning rate'"
    chart = f"[...document.querySelectorAll('.chart')].find((one) => {title})"
    marks = until(page, f"{chart} && [...{chart}.querySelectorAll('.mark')].map((m) => [m.textContent, m.getBBox().x])")
    assert len({text for text, _ in marks}) == len(marks) > 1
    assert min(x for _, x in marks) >= 0


def test_the_title_is_the_configs_name_and_nothing_is_left_to_stop_once_training_is_over(
    visit: Open, served, tmp_path: Path
):
    directory = going_on(tmp_path / "run")
    name = re.search("name: (.*)", (directory / rundir.CONFIG).read_text()).group(1)
    page = visit(served(directory)).page
    says(page, "h1", name)
    page.get_by_role("button", name="Stop training").click()
    changed(directory, phase="finishing")
    says(page, "#phase", "Training is over")
    assert not page.locator("#stop").is_visible()
    assert not page.locator("dialog").is_visible()


def test_the_page_fits_is_silent_and_can_be_read_by_everybody_in_light_and_dark(visit: Open, served, tmp_path: Path):
    directory = going_on(tmp_path / "run")
    odd = ["<img src=x onerror=alert(1)>", "猫" * 40, "x" * 300]
    samples = [{"id": at, "name": name, "target": name, "prediction": "b", "loss": 2.5} for at, name in enumerate(odd)]
    samples += [
        {"id": 7, "name": "s", "loss": "NaN", "text": odd[0], "wave": [0.1, 1], "cells": ["a: 1"], "image": "x:"}
    ]
    rundir.write_json(directory / rundir.SAMPLES / rundir.WORST, {"epoch": 3, "samples": samples})
    (directory / rundir.LOG).write_text(odd[0] + "\n" + "y" * 500, encoding="utf-8")
    found = visit(served(directory))
    page = found.page
    page.locator("#worst li").nth(3).wait_for(timeout=LONG)
    assert page.locator("#worst").inner_text().count(odd[0]) == 3
    assert page.locator("#worst [title]").nth(6).get_attribute("title") == f"true: {odd[2]}"
    assert page.locator("#worst img").count() == 0
    page.get_by_text("The last epochs in numbers").click()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for name, (width, height) in {"phone": PHONE, "desktop": DESKTOP}.items():
            page.set_viewport_size({"width": width, "height": height})
            found.screenshot(f"watch-{name}-{scheme}")
            assert found.overflow() == 0
        assert found.violations() == []
    page.get_by_role("button", name="Stop training").click()
    assert page.locator("dialog").is_visible()
    found.screenshot("watch-sure-desktop-dark", whole=False)
    assert found.said == []
    assert all(url.startswith((page.url.rpartition("/")[0], "data:")) for url in found.asked)


def test_a_run_can_be_stopped_by_keyboard_and_is_not_by_escape(visit: Open, served, tmp_path: Path, monkeypatch):
    asked: list[processes.Process] = []
    monkeypatch.setattr(processes, "interrupt", asked.append)
    page = visit(served(going_on(tmp_path / "run"))).page
    button = page.get_by_role("button", name="Stop training")
    button.wait_for(timeout=LONG)
    button.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Let it go on"
    page.keyboard.press("Escape")
    assert asked == []
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    says(page, "#message", "Asked to stop")
    assert asked == [processes.current()]
    assert button.is_disabled()


def test_what_becomes_of_a_run_is_told_as_it_happens(visit: Open, served, tmp_path: Path):
    directory = going_on(tmp_path / "run")
    found = visit(served(directory))
    phase, message = found.page.locator("#phase"), found.page.locator("#message")
    assert (phase.get_attribute("role"), phase.get_attribute("aria-live")) == ("status", "polite")

    def becomes(text: str) -> None:
        says(found.page, "#phase", text)

    becomes("Training")
    changed(directory, at=time.time() - 3600)
    says(found.page, "#late", "It was last heard of 1 h 0 min ago")
    assert phase.inner_text() == "Training", "what is read aloud does not change every second"
    changed(directory, host="node7")
    becomes("Training on node7, which this page cannot reach")
    assert not found.page.locator("#stop").is_visible()
    changed(directory, host=processes.current().host, started="another boot 1")
    becomes("Died")
    assert message.inner_text() == f"Go on with: torchwork resume {directory}"
    changed(directory, phase="failed", message="the loss is nan at step 7")
    becomes("Failed")
    assert message.inner_text() == f"the loss is nan at step 7. Go on with: torchwork resume {directory}"
    rundir.write_json(directory / rundir.METRICS, {"val": {}, "test": {}})
    (directory / rundir.LIVE).unlink()
    becomes("Finished")
    assert message.inner_text() == ""
    assert found.said == []


def test_a_finished_run_leads_to_its_report_and_that_cannot_reach_back(visit: Open, served, tmp_path: Path):
    directory = finished(tmp_path / "run")
    script = "<script>document.title = window.origin</script>"
    (directory / rundir.REPORT).write_text(f"<!DOCTYPE html><title>r</title><h1>The report</h1>{script}")
    found = visit(served(directory))
    found.page.get_by_role("link", name="Open the final report").click()
    assert found.page.locator("h1").inner_text() == "The report"
    assert found.page.title() == "null", "a page of no origin: it can ask this server for nothing"
    assert found.said == []
