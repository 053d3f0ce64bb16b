"""`coordinator journal`: proved, kept elsewhere, and removed when it is too old; for people and for programs."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from handoffs import Contract, Coordinator, Flow, Key, Permanent, agent
from handoffs.config.settings import Settings
from handoffs.coordinator.errors import Refused
from handoffs.coordinator.runtime.service import Service
from tests.chain_suite import RUNS, written
from tests.eager.command import Command

KEPT = timedelta(days=30)


class Order(Contract, name="record.order", version=1):
    number: str = Key()


@pytest.fixture
def filled(coordinator: Coordinator) -> Coordinator:
    """A coordinator in whose journal there are three runs and four actions."""
    written(coordinator.journal)
    return coordinator


def by_hand(coordinator: Coordinator, statement: str) -> None:
    """What somebody does to the tables."""
    with coordinator.journal.verification._database.begin() as connection:
        connection.execute(text(statement))


def test_a_journal_that_holds_is_said_to(filled: Coordinator, command: Command) -> None:
    """With how much was followed, and status 0."""
    status, out, _ = command(filled, "journal", "verify")
    assert status == 0
    assert "followed 3 runs with 19 entries of their history, and 4 actions" in out
    assert "all of it is as it was written, unless a whole chain was made anew" in out
    assert command.json(filled, "journal", "verify") == {
        "holds": True, "runs": 3, "entries": 19, "actions": 4, "before": 0, "count": 0, "faults": [],
    }  # fmt: skip


def test_what_was_changed_is_named(filled: Coordinator, command: Command) -> None:
    """Run, place, time and what was found; whole ids; and a status of its own. Another run, asked for alone, holds."""
    by_hand(filled, "update handoff_history set entry = '{}' where run = 'run-2' and sequence = 3")
    status, out, _ = command(filled, "journal", "verify")
    assert status == 4
    assert "changed" in out
    assert "run-2" in out
    found = command.json(filled, "journal", "verify", "--run", "run-2")
    [fault] = found.pop("faults")
    assert found == {"holds": False, "runs": 1, "entries": 6, "actions": 0, "before": 0, "count": 1}
    assert (fault["run"], fault["sequence"], fault["at"]) == ("run-2", 3, "2026-01-01T00:00:03.000+00:00")
    assert command(filled, "journal", "verify", "--run", "run-1")[0] == 0


def test_heads_that_were_kept_elsewhere_are_compared(
    filled: Coordinator, command: Command, tmp_path: Path
) -> None:
    """A chain that was made anew holds, and is another one."""
    status, out, _ = command(filled, "journal", "seal")
    assert status == 0
    file = tmp_path / "heads.jsonl"
    file.write_text(out, "utf-8")
    assert [json.loads(line).get("chain") for line in out.splitlines()] == [
        None,
        "actions",
        "run",
        "run",
        "run",
    ]
    assert command(filled, "journal", "verify", "--against", str(file))[0] == 0
    for table in ("handoff_history", "handoff_runs"):
        by_hand(filled, f"delete from {table} where run = 'run-2'")
    by_hand(filled, "delete from handoff_chains where name = 'run-2'")
    assert command(filled, "journal", "verify")[0] == 0
    status, out, _ = command(filled, "journal", "verify", "--against", str(file))
    assert status == 4
    assert "run-2" in out


@pytest.mark.parametrize(
    "content", ["", "{}", "no json", '{"heads": 1, "namespace": "other"}', "[" * 10_000, "\xff"]
)
def test_a_file_of_something_else_is_refused(
    filled: Coordinator, command: Command, tmp_path: Path, content: str
) -> None:
    """In one line, with status 2."""
    file = tmp_path / "heads.jsonl"
    file.write_text(content, "latin-1")
    status, _, err = command(filled, "journal", "verify", "--against", str(file))
    assert status == 2
    assert "heads.jsonl" in err.strip().splitlines()[-1]


def test_a_run_that_nobody_knows_is_refused(filled: Coordinator, command: Command) -> None:
    """It is not said to hold."""
    status, _, err = command(filled, "journal", "verify", "--run", "nobody")
    assert status == 1
    assert "there is no run 'nobody'" in err


@pytest.fixture
def coordinator_settings(coordinator_settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Runs are kept for 30 days, in the tests of that."""
    kept = KEPT if "prune" in request.node.name else None
    return coordinator_settings.model_copy(update={"journal_retention": kept})


def test_prune_removes_what_is_too_old(filled: Coordinator, command: Command) -> None:
    """First it says what it would remove; what it removed is said by an action with who and why."""
    by_hand(filled, "update handoff_runs set at = '2020-01-01' where run <> 'run-3'")
    status, out, _ = command(filled, "journal", "prune", "--dry-run")
    assert status == 0
    assert "2 runs would be removed; nothing was done" in out
    told = command.json(filled, "journal", "prune", "--dry-run", "--limit", "1")
    assert (told["count"], [one["run"] for one in told["runs"]]) == (2, ["run-1"])
    assert command.json(filled, "journal", "prune", "--by", "ann", "--why", "asked for") == {"removed": 2}
    assert [one["run"] for one in command.json(filled, "journal", "prune", "--dry-run")["runs"]] == []
    assert command.json(filled, "journal", "verify")["runs"] == 1
    action = filled.journal.actions.of("run-1")[-1]
    assert (action.action, action.who) == ("prune", "ann")
    assert action.note.endswith("; asked for")
    status, out, _ = command(filled, "journal", "verify", "--run", "run-1")
    assert status == 0
    assert "removed by ann" in out


def test_without_a_policy_nothing_is_removed(filled: Coordinator, command: Command) -> None:
    """It says what to set."""
    status, _, err = command(filled, "journal", "prune")
    assert status == 2
    assert "COORDINATOR_JOURNAL_RETENTION" in err
    assert set(filled.journal.runs.states(RUNS)) == set(RUNS)


def test_the_coordinator_process_prunes_by_itself(filled: Coordinator) -> None:
    """What ended longer ago than it is kept is gone; the action says that it was the coordinator process."""
    by_hand(filled, "update handoff_runs set at = '2020-01-01' where run <> 'run-3'")
    Service(filled.engine, filled.journal).prune()
    assert filled.journal.runs.states(RUNS) == {"run-3": "completed"}
    assert [action.who for action in filled.journal.actions.of("run-1")] == ["ann", "coordinator"]
    assert filled.journal.verification.all().faults == ()


def test_what_redis_gives_again_is_no_fault(coordinator: Coordinator, command: Command) -> None:
    """After Redis has gone back to what it was before, all of it is drained once more: the chains stay as they are; so they do after a
    failure and its replay."""
    broken = True

    @agent("record.price")
    def price(order: Order) -> Order:
        if broken:
            raise Permanent("there is no price")
        return order

    runs = [coordinator.start(Flow("record.prices", price), Order(number=str(number))) for number in range(3)]
    entries, keys, redis = (
        coordinator.engine.services.entries, coordinator.engine.store.keys, coordinator.engine.store.redis,
    )  # fmt: skip
    service = Service(coordinator.engine, coordinator.journal)
    before = entries.oldest_of(range(coordinator.settings.shards), count=1_000)
    service.drain_history()
    broken = False
    for run in runs:
        for letter in run.letters():
            letter.replay(by="ann", why="there is one now")
    assert {run.status() for run in runs} == {"completed"}
    service.drain_history()
    first = command.json(coordinator, "journal", "verify")
    assert (first["holds"], first["runs"], first["actions"]) == (True, 3, 3)
    for shard, kept in before.items():
        assert not isinstance(kept, Refused)
        redis.delete(keys.history(shard))
        for number, told in kept:
            redis.xadd(keys.history(shard), {"entry": told}, id=number)
    service.drain_history()
    assert command.json(coordinator, "journal", "verify") == first
