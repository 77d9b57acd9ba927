"""For every test and docstring: what is remembered about files is remembered in a folder of the test's own."""

from __future__ import annotations

import uuid

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set TORCHWORK_CACHE to a folder that is not there yet, another one for each test."""
    monkeypatch.setenv("TORCHWORK_CACHE", str(tmp_path_factory.getbasetemp() / f"cache-{uuid.uuid4().hex[:12]}"))
