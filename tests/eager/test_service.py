"""The coordinator process says what keeps it from its work, and works again when that is gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from coordinator.embedded.servers import EmbeddedEngine
from coordinator.errors import ServerError
from coordinator.journal.journal import Journal
from coordinator.service import Service
from tests.waiting import wait_until


class Fragile(Journal):
    """A journal that fails while it is told to, as a database does that is restarted."""

    failure: Exception | None = None

    def record(self, entries: Iterable[tuple[str, dict[str, Any]]]) -> int:
        if self.failure:
            raise self.failure
        return super().record(entries)


@pytest.fixture
def engine(coordinator_settings: Settings) -> Iterator[EmbeddedEngine]:
    """An engine with servers of its own."""
    engine = EmbeddedEngine(coordinator_settings)
    yield engine
    engine.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Fragile]:
    journal = Fragile(f"sqlite:///{tmp_path}/journal.sqlite3")
    yield journal
    journal.close()


@pytest.fixture
def service(engine: EmbeddedEngine, journal: Journal) -> Iterator[Service]:
    """The coordinator process's work, under way."""
    service = Service(engine, journal)
    service.start()
    yield service
    service.stop()


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (
            ServerError("the journal cannot\nbe used", "nothing was lost"),
            "the journal cannot be used; nothing was lost",
        ),
        (OSError("disk full"), "disk full"),
        (ValueError("a fault of ours, with data"), "history: ValueError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_fault_is_said_until_it_is_gone(
    service: Service, engine: EmbeddedEngine, journal: Fragile, failure: Exception, said: str
) -> None:
    """What keeps a job from its work is one line, until the job has done its work."""
    assert service.fault() == ""
    journal.failure = failure
    engine.store.note("run-1", {"run": "run-1", "kind": "noted"})
    assert wait_until(service.fault, description="the fault is said") == said
    journal.failure = None
    wait_until(lambda: not service.fault(), description="the fault is gone")
    assert [entry["kind"] for entry in journal.history("run-1").values()] == ["noted"]


def test_a_job_that_has_ended_is_a_fault(service: Service) -> None:
    """A job that is not done any more is said by its name."""
    service.stop()
    assert service.fault() == (
        "coordinator-letters has ended; coordinator-timers has ended; coordinator-timers-2 has ended; "
        "coordinator-timers-3 has ended; coordinator-timers-4 has ended; coordinator-history has ended; "
        "coordinator-sweep has ended"
    )
