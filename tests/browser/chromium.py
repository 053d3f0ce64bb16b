"""Chromium: where it is on this machine, and how it gets there: ``python -m tests.browser.chromium``.

A machine that has one keeps it. Else root on Debian and its kin installs the distribution's, and everybody else Playwright's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Error, sync_playwright

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
_SECONDS = 600


def program() -> str | None:
    """The browser of this machine; None where there is only Playwright's own, or none."""
    return next((found for name in _PROGRAMS if (found := shutil.which(name))), None)


@contextmanager
def running() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def _is_there() -> bool:
    if program():
        return True
    try:
        with sync_playwright() as playwright:
            return Path(playwright.chromium.executable_path).exists()
    except Error:
        return False


def install() -> str:
    """Have a browser, and say what was done; empty where one is there already."""
    if _is_there():
        return ""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        options = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
        subprocess.run(
            [*options, "update"], env=environment, check=False, capture_output=True, timeout=_SECONDS
        )
        wanted = [*options, "install", "--yes", "--no-install-recommends", "chromium"]
        done = subprocess.run(
            wanted, env=environment, check=False, capture_output=True, text=True, timeout=_SECONDS
        )
        if done.returncode == 0 and program():
            return "chromium, with apt-get"
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True, timeout=_SECONDS)
    return "chromium, by Playwright"


if __name__ == "__main__":
    if said := install():
        sys.stdout.write(f"setting up: {said}, for the tests of pages\n")
