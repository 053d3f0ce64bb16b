"""The demo's figures are true."""

from __future__ import annotations

import json

import pytest

from coordinator.cli import main


def test_the_demo_brings_every_payment_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand lines, the ledger down for some: every payment completes, the books balance, nothing is doubled."""
    main(["demo", "payments", "--json"])
    figures = json.loads(capsys.readouterr().out)
    seconds, parked = figures.pop("seconds"), figures.pop("parked")
    assert seconds > 0
    assert parked >= 40
    assert figures == {
        "payments": 960,
        "completed": 960,
        "booked": 850,
        "declined": 80,
        "held": 30,
        "invalid": 20,
        "repeated": 20,
        "replayed": parked,
        "charged": 850,
        "doubled": 0,
        "balanced": True,
    }
