"""A page that is open in a browser, with all that it said and asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCREENSHOTS = Path(__file__).parents[2] / "test-output" / "screenshots"
PHONE, DESKTOP = (390, 844), (1280, 900)


@dataclass
class Visit:
    """An open page; ``said`` are its warnings and errors in the console, ``asked`` the addresses it asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Take down what the page says and asks for from now on."""
        self.page.on("console", lambda entry: self.said.append(entry.text) if entry.type in ("error", "warning") else 0)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def requests(self) -> list[str]:
        """Return the addresses outside the page itself that it asked for."""
        return [url for url in self.asked if not url.startswith("data:") and url != self.page.url.partition("#")[0]]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def violations(self) -> list[tuple[str, str, list[Any]]]:
        """Return what axe finds serious or critical: the rule, how bad, and the elements."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        bad = [item for item in found if item["impact"] in ("serious", "critical")]
        return [(item["id"], item["impact"], [node["target"] for node in item["nodes"]][:5]) for item in bad]

    def screenshot(self, name: str, whole: bool = True) -> Path:
        """Keep a picture of the page in test-output/screenshots, which git does not see."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=whole)
        return path
