"""Deployments in the journal, on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from handoffs.contracts.errors import InvalidManifest
from handoffs.contracts.manifest import Manifest
from handoffs.coordinator.errors import Conflict, UnknownDeployment
from handoffs.coordinator.journal import deployments
from handoffs.coordinator.journal.journal import Journal
from tests.builds import manifest
from tests.journal_suite import letter

OLD = manifest("shop.price", accepts={"shop.order": [1]})
NEW = manifest("shop.price", accepts={"shop.order": [2, 1]})
OTHER = manifest("shop.stock", accepts={"shop.order": [1]})


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    """An empty journal, whose clock goes on by a second at each look."""
    ticks = iter(range(10, 60))
    monkeypatch.setattr(deployments, "now", lambda: f"2026-01-01T00:00:{next(ticks)}.000+00:00")
    made = Journal(f"sqlite:///{tmp_path}/journal.sqlite3")
    yield made
    made.close()


def states(journal: Journal, agent: str = "") -> list[tuple[str, str]]:
    return [(row.manifest.build, row.state) for row in journal.deployments.find(agent)]


def test_what_is_recorded_is_there(journal: Journal) -> None:
    """A build is recorded with its whole manifest, when and by whom."""
    assert journal.deployments.find() == []
    assert journal.deployments.record(OLD, "ann")
    [row] = journal.deployments.find()
    assert (row.manifest, row.state, row.recorded_by) == (OLD, "recorded", "ann")
    assert row.recorded_at.startswith("2026-01-01T")
    assert (row.withdrawn_at, row.withdrawn_by) == ("", "")


def test_several_builds_and_agents(journal: Journal) -> None:
    """Several builds of one agent can be deployed; they are listed by agent, in the order of recording."""
    for build in (OTHER, OLD, NEW):
        journal.deployments.record(build, "ann")
    assert [row.manifest for row in journal.deployments.find()] == [OLD, NEW, OTHER]
    assert [row.manifest for row in journal.deployments.find("shop.stock")] == [OTHER]
    assert journal.deployments.find("shop.none") == []


def test_the_same_build_again_is_no_second_one(journal: Journal) -> None:
    """Recording is idempotent, and the first to record is who recorded it."""
    assert journal.deployments.record(OLD, "ann")
    assert not journal.deployments.record(Manifest.from_json(OLD.to_json()), "bob")
    [row] = journal.deployments.find()
    assert row.recorded_by == "ann"


def test_one_name_for_two_builds_is_a_conflict(journal: Journal) -> None:
    """A name that is given to another manifest is refused, and what was recorded stays."""
    first = manifest("shop.price", accepts={"shop.order": [1]}, build="v1")
    second = manifest("shop.price", accepts={"shop.order": [2]}, build="v1")
    journal.deployments.record(first, "ann")
    with pytest.raises(Conflict, match="another manifest"):
        journal.deployments.record(second, "ann")
    assert [row.manifest for row in journal.deployments.find()] == [first]


def test_withdrawn_is_the_previous_one(journal: Journal) -> None:
    """Of the builds of an agent that were withdrawn the last one is the previous one."""
    journal.deployments.record(OLD, "ann")
    journal.deployments.record(NEW, "ann")
    assert journal.deployments.previous("shop.price") is None
    journal.deployments.withdraw("shop.price", OLD.build, "bob")
    assert states(journal) == [(OLD.build, "previous"), (NEW.build, "recorded")]
    previous = journal.deployments.previous("shop.price")
    assert previous is not None
    assert (previous.manifest, previous.withdrawn_by) == (OLD, "bob")
    journal.deployments.withdraw("shop.price", NEW.build, "bob")
    assert states(journal) == [(OLD.build, "withdrawn"), (NEW.build, "previous")]


def test_what_was_withdrawn_long_ago_is_not_read(journal: Journal, tmp_path: Path) -> None:
    """However many builds there were, only those that matter are read; a row that cannot be does no harm then."""
    for build in (OLD, NEW):
        journal.deployments.record(build, "ann")
        journal.deployments.withdraw("shop.price", build.build, "ann")
    with create_engine(f"sqlite:///{tmp_path}/journal.sqlite3").begin() as connection:
        statement = text("update handoff_deployments set manifest = '{' where build = :build")
        connection.execute(statement, {"build": OLD.build})
    [row] = journal.deployments.find(withdrawn=False)
    assert (row.manifest, row.state) == (NEW, "previous")
    with pytest.raises(InvalidManifest):
        journal.deployments.find()


def test_previous_is_by_agent(journal: Journal) -> None:
    """What another agent withdrew later is nothing to this one."""
    for build in (OLD, OTHER):
        journal.deployments.record(build, "ann")
        journal.deployments.withdraw(build.agent, build.build, "ann")
    assert states(journal) == [(OLD.build, "previous"), (OTHER.build, "previous")]


def test_withdrawn_in_one_moment_there_is_still_one_previous(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the clock does not tell them apart."""
    monkeypatch.setattr(deployments, "now", lambda: "2026-01-01T00:00:00.000+00:00")
    for build in (OLD, NEW):
        journal.deployments.record(build, "ann")
        journal.deployments.withdraw(build.agent, build.build, "ann")
    assert sorted(state for _, state in states(journal)) == ["previous", "withdrawn"]


def test_withdrawn_and_recorded_again_is_deployed_again(journal: Journal) -> None:
    """A rollback: the build is there once, since then and by whom it was recorded last."""
    journal.deployments.record(OLD, "ann")
    journal.deployments.withdraw("shop.price", OLD.build, "ann")
    assert journal.deployments.record(OLD, "bob")
    [row] = journal.deployments.find()
    assert (row.state, row.recorded_by, row.withdrawn_at, row.withdrawn_by) == ("recorded", "bob", "", "")
    assert journal.deployments.previous("shop.price") is None


@pytest.mark.parametrize(("agent", "build"), [("shop.price", "none"), ("shop.none", OLD.build), ("", "")])
def test_what_is_not_recorded_cannot_be_withdrawn(journal: Journal, agent: str, build: str) -> None:
    """It is refused with an error of its own type."""
    journal.deployments.record(OLD, "ann")
    with pytest.raises(UnknownDeployment, match="is recorded as deployed"):
        journal.deployments.withdraw(agent, build, "ann")
    assert states(journal) == [(OLD.build, "recorded")]


def test_nothing_is_withdrawn_twice(journal: Journal) -> None:
    """The second time there is nothing to withdraw."""
    journal.deployments.record(OLD, "ann")
    journal.deployments.withdraw("shop.price", OLD.build, "ann")
    with pytest.raises(UnknownDeployment):
        journal.deployments.withdraw("shop.price", OLD.build, "bob")
    [row] = journal.deployments.find()
    assert row.withdrawn_by == "ann"


def test_it_is_written_down_who_did_it(journal: Journal) -> None:
    """Each change is an operator action; what changed nothing is none."""
    journal.deployments.record(OLD, "ann")
    journal.deployments.record(OLD, "bob")
    journal.deployments.withdraw("shop.price", OLD.build, "cid")
    with pytest.raises(UnknownDeployment):
        journal.deployments.withdraw("shop.price", OLD.build, "dan")
    acts = [(act.who, act.action, act.note) for act in journal.actions.of("")]
    note = f"shop.price build {OLD.build}"
    assert acts == [("ann", "record-deployment", note), ("cid", "withdraw-deployment", note)]


@pytest.mark.parametrize("broken", ["{", "[]", "{}"])
def test_a_row_that_cannot_be_read_is_named(journal: Journal, tmp_path: Path, broken: str) -> None:
    """No decision is made on what is not known."""
    journal.deployments.record(OLD, "ann")
    engine = create_engine(f"sqlite:///{tmp_path}/journal.sqlite3")
    with engine.begin() as connection:
        connection.execute(text("update handoff_deployments set manifest = :broken"), {"broken": broken})
    engine.dispose()
    with pytest.raises(InvalidManifest, match=f"row of shop.price build {OLD.build}"):
        journal.deployments.find()


def test_letters_are_counted_by_contract_version(journal: Journal) -> None:
    """Those that wait, of that agent; those that are no envelopes under no contract."""
    for number, (agent, state, contract) in enumerate(
        [
            ("shop.price", "waiting", "shop.order/1"),
            ("shop.price", "waiting", "shop.order/1"),
            ("shop.price", "waiting", ""),
            ("shop.price", "replayed", "shop.order/2"),
            ("shop.stock", "waiting", "shop.order/3"),
        ]
    ):
        journal.letters.add(letter(str(number), agent=agent, state=state, contract=contract))
    assert journal.letters.count_of("shop.price") == {"shop.order/1": 2, "": 1}
