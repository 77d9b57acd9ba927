"""The page of a sweep, as a browser shows it."""

from __future__ import annotations

import pytest

import torchwork
from browser.visit import DESKTOP, PHONE
from sweeps.test_sweep import CONFIG


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    sweep = torchwork.sweep(CONFIG, 4, prune=False, out=tmp_path_factory.mktemp("sweeps") / "<b>网格")
    return sweep.path / "sweep.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_is_readable_quiet_and_asks_for_nothing(visit, page, size, scheme):
    open_page = visit(page, size=size, color_scheme=scheme)
    open_page.screenshot(f"sweep-{'phone' if size == PHONE else 'desktop'}-{scheme}")
    assert open_page.said == []
    assert open_page.requests() == []
    assert open_page.overflow() == 0
    assert open_page.violations() == []
    assert "<b>网格" in open_page.page.inner_text("body")
    rows = open_page.page.locator("table tbody tr")
    assert rows.count() >= 4
