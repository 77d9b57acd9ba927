"""For every test and docstring: a cache of its own, no test that asserts a time, and a core for each worker."""

from __future__ import annotations

import os
import uuid

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # threads of several workers would wait for each other
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set TORCHWORK_CACHE to a folder that is not there yet, another one for each test."""
    monkeypatch.setenv("TORCHWORK_CACHE", str(tmp_path_factory.getbasetemp() / f"cache-{uuid.uuid4().hex[:12]}"))
