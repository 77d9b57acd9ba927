"""The demo's report in Chromium: on a phone and a desk, in light and dark, by keyboard, on paper, without a net."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

import torchwork
from browser.visit import DESKTOP, PHONE, Visit
from report.made_run import classification
from torchwork import rundir
from torchwork.report import html

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits.yaml"
ODD = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'-alert(1)-'", "<b>&amp;", "x" * 300, "猫" * 40]

Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def demo(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the example that `make demo` trains, after three epochs."""
    out = tmp_path_factory.mktemp("demo") / "run"
    return torchwork.train(EXAMPLE, overrides=["train.epochs=3", "device=cpu"], out=out).path / "report.html"


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_demos_report_is_silent_fits_and_can_be_read_by_everybody(demo: Path, visit: Open, size, scheme):
    found = visit(demo, size=size, color_scheme=scheme)
    found.screenshot(f"report-{'phone' if size == PHONE else 'desktop'}-{scheme}")
    assert found.overflow() == 0
    assert found.said == []
    assert found.requests() == []
    if (size == PHONE) == (scheme == "dark"):  # axe takes its time: each width once, each scheme once
        found.page.evaluate("document.querySelectorAll('details').forEach(folded => folded.open = true)")
        assert found.violations() == []


def test_the_demos_report_has_what_people_look_for(demo: Path, visit: Open):
    page = visit(demo).page
    headings = page.locator("h2, h3").all_inner_texts()
    for wanted in (
        *("Results", "Confusion matrix", "ROC", "Precision and recall", "Most frequent mistakes", "Most wrong samples"),
        *("Curves over the epochs", "Kernels of conv1", "Data and split", "Findings", "Time and cost"),
    ):
        assert wanted in headings
    assert page.locator("figure svg[role=img][aria-label]").count() == page.locator("figure svg").count() > 0
    anchors = page.locator("nav a").evaluate_all("links => links.map(link => link.getAttribute('href').slice(1))")
    assert anchors == page.locator("main h2").evaluate_all("titles => titles.map(title => title.id)")
    levels = page.locator("h1, h2, h3, h4").evaluate_all("titles => titles.map(title => Number(title.tagName[1]))")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_are_sorted_by_keyboard_and_say_how(demo: Path, visit: Open):
    page = visit(demo).page
    table = page.locator("table.sortable").filter(has_text="precision").filter(has_text="support")
    header = table.locator("th", has_text="recall")

    def column() -> list[float]:
        return [float(text) for text in table.locator("tbody td:nth-child(3)").all_inner_texts()]

    unsorted = column()
    header.locator("button").focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert column() == sorted(unsorted, reverse=True)
    page.keyboard.press("Space")
    assert header.get_attribute("aria-sort") == "ascending"
    assert column() == sorted(unsorted)
    table.locator("th button").first.press("Enter")
    assert header.get_attribute("aria-sort") is None
    assert column() == unsorted


def test_the_first_tab_leads_past_the_contents(demo: Path, visit: Open):
    page = visit(demo).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_without_scripts_everything_is_there_and_no_button_is(demo: Path, visit: Open):
    page = visit(demo, java_script_enabled=False).page
    assert page.locator("button").count() == 0
    assert page.locator("table.sortable tbody tr").count() > 20
    assert "Confusion matrix" in page.locator("h3").all_inner_texts()


def test_on_paper_it_is_light_whole_and_unfolded(demo: Path, visit: Open, tmp_path: Path):
    page = visit(demo, color_scheme="dark").page
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
    paper = page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert paper.startswith(b"%PDF")
    assert len(paper) > 20_000
    assert page.locator("details:not([open])").count() == 0


def test_a_usual_report_is_small(demo: Path):
    assert demo.stat().st_size < 3_000_000


def test_classes_with_odd_names_show_as_that_and_nothing_runs(visit: Open, tmp_path: Path):
    found = visit(html.write(classification(tmp_path / "run", ODD)), size=PHONE)
    dialogs: list[str] = []
    found.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    found.page.reload()
    found.page.locator("th button").first.click()
    found.screenshot("report-odd-names")
    assert dialogs == []
    assert found.said == []
    assert found.requests() == []
    assert found.overflow() == 0
    assert found.page.locator("script").count() == 1
    page, drawn = found.page.locator("main").text_content(), "".join(found.page.locator("svg").all_text_contents())
    titles = found.page.locator("table th[title]").evaluate_all("cells => cells.map(cell => cell.title)")
    for name in ODD:
        assert name in titles
        assert len(name) > 80 or name in page
        assert len(name) > 24 or name in drawn


def test_sizes_are_sorted_by_what_they_are_not_by_the_digits_before_their_units(tmp_path: Path, visit: Open):
    directory = classification(tmp_path / "run", ["a", "b"])
    sizes = {"a": 624, "b": 192_000, "c": 3_200_000, "d": 12, "e": None}
    layers = [
        {"name": name, "type": "Linear", "output_shape": [8], "parameters": 3, "trainable": 3, "weight_bytes": size}
        for name, size in sizes.items()
    ]
    rundir.write_json(directory / rundir.MODEL_SUMMARY, {"model": "Mlp", "layers": layers, "parameters": 15})
    page = visit(html.write(directory)).page
    table = page.locator("table.sortable").filter(has_text="Linear")
    table.locator("th button", has_text="weights").press("Enter")
    assert table.locator("tbody th").all_inner_texts() == ["c", "b", "a", "d", "e"]
    assert table.locator("tbody td:nth-child(5)").all_inner_texts()[:2] == ["3.2 MB", "192 kB"]


def test_long_class_names_leave_room_for_the_numbers_on_a_phone(tmp_path: Path, visit: Open):
    page = visit(html.write(classification(tmp_path / "run", ["x" * 300, "long " * 60, "猫" * 90])), size=PHONE).page
    table = page.locator("table.sortable").filter(has_text="precision").filter(has_text="support")
    names = [cell.bounding_box()["width"] for cell in table.locator("tbody th").all()]
    assert all(120 <= width <= 260 for width in names)
    assert table.locator("tbody td").nth(0).bounding_box()["x"] < PHONE[0] - 60  # in sight before it is scrolled
    assert all(len(text) <= 40 for text in table.locator("tbody th").all_inner_texts())
    assert table.locator("tbody th").first.get_attribute("title") == "x" * 300
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
