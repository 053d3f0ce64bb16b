"""A person before a browser: goes to pages, fills in forms, and looks whether a screen reader could use what is there."""

from __future__ import annotations

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Error, Page, expect

from tests.waiting import wait_until

SECONDS = 20_000  # in milliseconds, as Playwright has it


class Person:
    """Drives one page of a browser. What a script or the server complains of is kept in :attr:`complaints`."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.complaints: list[str] = []
        page.set_default_timeout(SECONDS)
        page.on("pageerror", self._complained)
        page.on("console", self._said)

    def go(self, path: str) -> None:
        """Go to a page of the console."""
        self.page.goto(self.base + path)

    def follow(self, name: str) -> None:
        """Follow the link, or press the button, of that name; the first one where there are several."""
        self.page.locator("main").get_by_role("link", name=name).or_(
            self.page.locator("main").get_by_role("button", name=name)
        ).first.click()

    def fill(self, name: str, value: str) -> None:
        """Fill in the field of the contract, or of the form, that has that name: what is typed, or one of the choices."""
        field = self.page.locator(f'main [name="data.{name}"], main [name="{name}"]').first
        if field.evaluate("one => one.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)

    def press(self, name: str) -> None:
        """Press a button of the page."""
        self.page.locator("main").get_by_role("button", name=name).first.click()

    def sees(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page says ``text``."""
        expect(self.page.locator("main")).to_contain_text(text, timeout=SECONDS)

    def sees_after_looking_again(self, path: str, text: str) -> None:
        """Look at a page until it says ``text``."""

        def said() -> bool:
            self.go(path)
            return text in self.page.locator("main").inner_text()

        wait_until(said, description=f"{path} says {text!r}")

    def could_be_read_aloud(self) -> None:
        """Nothing on the page is in the way of a screen reader, a keyboard or weak eyes, by the rules of axe-core."""
        found = Axe().run(self.page).response["violations"]
        told = [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}" for one in found]
        assert not told, f"{self.page.url}: {told}"

    def fits(self) -> None:
        """The page is not wider than its window: what is wide scrolls by itself."""
        width = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert width <= 1, f"{self.page.url} is {width} pixels too wide"

    def _complained(self, error: Error) -> None:
        self.complaints.append(f"{self.page.url}: {error}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {message.text}")
