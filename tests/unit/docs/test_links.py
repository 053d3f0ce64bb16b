"""The documents say what the code says."""

from __future__ import annotations

import re

from handoffs.config.console import ConsoleSettings
from handoffs.config.payloads import PayloadSettings
from handoffs.config.reference import MediaSettings, PaymentsSettings, RidesSettings
from handoffs.config.settings import Settings
from tests.stack import ROOT


def test_every_setting_is_documented() -> None:
    """docs/settings.md has each setting and none that does not exist."""
    names = {f"COORDINATOR_{name.upper()}" for name in Settings.model_fields}
    names -= {"COORDINATOR_PAYMENTS", "COORDINATOR_RIDES", "COORDINATOR_MEDIA", "COORDINATOR_CONSOLE"}
    names -= {"COORDINATOR_PAYLOADS"}
    names |= {f"COORDINATOR_PAYLOADS__{name.upper()}" for name in PayloadSettings.model_fields}
    names |= {f"COORDINATOR_CONSOLE__{name.upper()}" for name in ConsoleSettings.model_fields}
    names |= {f"COORDINATOR_PAYMENTS__{name.upper()}" for name in PaymentsSettings.model_fields}
    names |= {f"COORDINATOR_RIDES__{name.upper()}" for name in RidesSettings.model_fields}
    names |= {f"COORDINATOR_MEDIA__{name.upper()}" for name in MediaSettings.model_fields}
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(COORDINATOR_\w+)`", text, re.MULTILINE)) == names


def test_every_link_leads_somewhere() -> None:
    """A relative link in a Markdown file leads to a file that exists."""
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_guarantees_name_tests_that_exist() -> None:
    """Each test file that docs/guarantees.md names is there."""
    text = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    for name in re.findall(r"`(tests/[\w/]+(?:\.py)?/?)`", text):
        assert (ROOT / name).exists(), name
