"""Deployments in the journal, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from handoffs.coordinator.errors import Conflict, UnknownDeployment
from handoffs.coordinator.journal.journal import Journal
from tests.builds import manifest

OLD = manifest("shop.price", accepts={"shop.order": [1]})
NEW = manifest("shop.price", accepts={"shop.order": [2, 1]})


@pytest.fixture
def journal(postgres_database: str) -> Iterator[Journal]:
    """An empty journal."""
    made = Journal(postgres_database)
    yield made
    made.close()


def test_recorded_withdrawn_and_recorded_again(journal: Journal) -> None:
    """As on SQLite: once each, with its state, and with who did it."""
    assert journal.record_deployment(OLD, "ann")
    assert not journal.record_deployment(OLD, "bob")
    assert journal.record_deployment(NEW, "ann")
    journal.withdraw("shop.price", OLD.build, "ann")
    with pytest.raises(UnknownDeployment):
        journal.withdraw("shop.price", OLD.build, "ann")
    previous = journal.previous("shop.price")
    assert previous is not None
    assert previous.manifest == OLD
    assert journal.record_deployment(OLD, "cid")
    assert {(row.manifest.build, row.state) for row in journal.deployments()} == {
        (OLD.build, "recorded"),
        (NEW.build, "recorded"),
    }
    with pytest.raises(Conflict):
        journal.record_deployment(manifest("shop.price", accepts={"shop.order": [7]}, build=OLD.build), "ann")
    assert [act["who"] for act in journal.acts("")] == ["ann", "ann", "ann", "cid"]
    assert journal.dead_lettered("shop.price") == {}


def test_recorded_by_many_at_once_it_is_recorded_once(journal: Journal) -> None:
    """Whoever is late finds it there."""
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: journal.record_deployment(OLD, f"worker {number}"), range(8)))
    assert sorted(done) == [False] * 7 + [True]
    assert len(journal.acts("")) == 1
