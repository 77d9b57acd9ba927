"""The page that compares runs, as a browser shows it."""

from __future__ import annotations

import pytest

from browser.visit import DESKTOP, PHONE
from report.test_compare import made
from torchwork.report import compare


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    names = ("基线", "a-long-name-of-a-folder-that-holds-a-run", "<script>alert(1)<")
    runs = [made(folder / name / "1", lift=1 + place, lr=place) for place, name in enumerate(names)]
    compare.write(runs, folder / "compare.html")
    return folder / "compare.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_is_readable_quiet_and_asks_for_nothing(visit, page, size, scheme):
    open_page = visit(page, size=size, color_scheme=scheme)
    open_page.screenshot(f"compare-{'phone' if size == PHONE else 'desktop'}-{scheme}")
    assert open_page.said == []
    assert open_page.requests() == []
    assert open_page.overflow() == 0
    assert open_page.violations() == []
    assert "<script>alert(1)<" in open_page.page.inner_text("h2 ~ h3 >> nth=1")
