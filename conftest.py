"""For every test and docstring: a cache of its own, no test that asserts a time, and a core for each worker."""

from __future__ import annotations

import gc
import os
import signal
import uuid

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else the processes that tests start inherit it

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # threads of several workers would wait for each other
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


@pytest.fixture(scope="module", autouse=True)
def kept():
    """Let the garbage collector pass over what all tests share, torch above all: a look at it takes a second."""
    gc.freeze()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set TORCHWORK_CACHE to a folder that is not there yet, another one for each test."""
    monkeypatch.setenv("TORCHWORK_CACHE", str(tmp_path_factory.getbasetemp() / f"cache-{uuid.uuid4().hex[:12]}"))


# where pictures and what the page says are what is tested; elsewhere drawing takes ten times as long as a small run
_DRAWN = {"report", "browser", "inspection", "slow", "test_examples.py", "test_commands.py"}


@pytest.fixture(autouse=True)
def undrawn(request, monkeypatch):
    """Leave out the plots of a report, but in the tests of these."""
    if not _DRAWN.intersection(request.path.parts) and request.path.suffix == ".py" and "tests" in request.path.parts:
        from torchwork.report import drawings

        monkeypatch.setattr(drawings, "KINDS", dict.fromkeys(drawings.KINDS, ()))
