"""What agents log while they work."""

from __future__ import annotations

import asyncio
import logging

import pytest

from handoffs import Contract, Coordinator, Flow, Key, agent, parallel
from handoffs.config.at_work import place


class Said(Contract, name="logs.said", version=1):
    number: str = Key()


class Both(Contract, name="logs.both", version=1):
    left: Said
    right: Said


@agent("logs.plain")
def plain(said: Said) -> Said:
    """Logs from a thread of its own pool."""
    logging.getLogger("agents").warning("%s", dict(place()))
    return said


@agent("logs.waits")
async def waits(said: Said) -> Said:
    """Logs from the event loop, after others had their turn."""
    await asyncio.sleep(0.01)
    logging.getLogger("agents").warning("%s", dict(place()))
    return said


@agent("logs.join")
def join(both: Both) -> Said:
    """One of both."""
    return both.left


def test_each_line_knows_its_step(anywhere: Coordinator, caplog: pytest.LogCaptureFixture) -> None:
    """Plain and async agents at work at the same time each see their own run, step and trace, and nothing stays behind."""
    flow = Flow("logs.flow", parallel(left=plain, right=waits) >> join)
    runs = [anywhere.start(flow, Said(number=str(number))) for number in range(5)]
    for run in runs:
        assert run.wait(timeout=20) == "completed"
    said = [record.getMessage() for record in caplog.records if record.name == "agents"]
    for run in runs:
        for step, name in (("1.left.1", "logs.plain"), ("1.right.1", "logs.waits")):
            [line] = [line for line in said if f"'{run.id}'" in line and f"'step': '{step}'" in line]
            assert f"'agent': '{name}'" in line
            assert "'attempt': '1'" in line
            assert f"'trace': '{run.id.replace('-', '')}'" in line
    assert not place()
