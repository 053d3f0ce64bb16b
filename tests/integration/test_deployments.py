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
    assert journal.deployments.record(OLD, "ann")
    assert not journal.deployments.record(OLD, "bob")
    assert journal.deployments.record(NEW, "ann")
    journal.deployments.withdraw("shop.price", OLD.build, "ann")
    with pytest.raises(UnknownDeployment):
        journal.deployments.withdraw("shop.price", OLD.build, "ann")
    previous = journal.deployments.previous("shop.price")
    assert previous is not None
    assert previous.manifest == OLD
    assert journal.deployments.record(OLD, "cid")
    assert {(row.manifest.build, row.state) for row in journal.deployments.find()} == {
        (OLD.build, "recorded"),
        (NEW.build, "recorded"),
    }
    with pytest.raises(Conflict):
        journal.deployments.record(
            manifest("shop.price", accepts={"shop.order": [7]}, build=OLD.build), "ann"
        )
    assert [act.who for act in journal.actions.of("")] == ["ann", "ann", "ann", "cid"]
    assert journal.letters.count_of("shop.price") == {}


def test_recorded_by_many_at_once_it_is_recorded_once(journal: Journal) -> None:
    """Whoever is late finds it there."""
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: journal.deployments.record(OLD, f"worker {number}"), range(8)))
    assert sorted(done) == [False] * 7 + [True]
    assert len(journal.actions.of("")) == 1
