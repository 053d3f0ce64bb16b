"""What every Redis must do with the scripts of the store: the same tests on the embedded one and on a real one."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from redis import Redis

from handoffs.config.settings import Settings
from handoffs.coordinator.continuation.moves import Join
from handoffs.coordinator.errors import Conflict, Refused, ServerError
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.announcements import Announcements
from handoffs.coordinator.store.asking import Call, Command
from handoffs.coordinator.store.claim import Claim, ClaimVerdict, Held, Renewed
from handoffs.coordinator.store.history_stream import HistoryStream
from handoffs.coordinator.store.outstanding import Outstanding
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.run_state import RunRecord, RunState
from handoffs.coordinator.store.runs import Runs
from handoffs.coordinator.store.scheduled import Begun, ScheduledRuns
from handoffs.coordinator.store.schedules import Progress, ScheduleProgress
from handoffs.coordinator.store.settlement import Advance, Settled, SettleVerdict
from handoffs.coordinator.store.store import Store
from handoffs.coordinator.store.undo import Undo, UndoNext
from tests.defaults import default_settings
from tests.waiting import wait_until

AGENT = "shop.price"
ONE = Record("urn:contract:shop.priced:1", '{"price":1}')
TWO = Record("urn:contract:shop.priced:1", '{"price":2}')
FIRST = StepRef("run-1", "shop.order", "1")
FIRST_END = StepRef("run-1", "shop.order", "2")
OTHER = StepRef("run-2", "shop.order", "1")
NEXT = (("2", "shop.ship", "shop.priced/1"),)
LONG = timedelta(hours=1)


def make_settings(**values: Any) -> Settings:
    """The defaults, but for two shards, and `values`."""
    return default_settings(**{"shards": 2, **values})


def claim(
    store: Store,
    place: StepRef = FIRST,
    *,
    key: str = "k",
    content: str = "c",
    replays: int = 0,
    **edited: Any,
) -> Claim:
    """Claim a step for a worker of its own."""
    owner = f"w|{place.run}"
    return store.claim(place, agent=AGENT, key=key, content=content, owner=owner, replays=replays, **edited)


def settle(
    store: Store,
    fence: int,
    place: StepRef = FIRST,
    *,
    key: str = "k",
    record: Record = ONE,
    joins: tuple[Join, ...] = (),
    ends: bool = False,
    content: str = "c",
    edit: int = 0,
) -> Settled:
    """Settle a step under a fence."""
    told = {"run": place.run, "kind": "settled"}
    return store.settle(
        place,
        agent=AGENT,
        key=key,
        content=content,
        edit=edit,
        fence=fence,
        record=record,
        entry=told,
        onward=Advance(joins, () if ends else NEXT),
    )


def fall_silent(store: Store, key: str = "k") -> None:
    """The holder of a key has not renewed its lease in time."""
    store.redis.hset(store.keys.outcome(AGENT, key), "until", 0)


def take_over(store: Store, place: StepRef = FIRST, *, key: str = "k", replays: int = 0) -> Claim:
    """The holder falls silent, and another claims."""
    fall_silent(store, key)
    return claim(store, place, key=key, replays=replays)


def told(store: Store, run: str = FIRST.run) -> list[str]:
    """The kinds of the run's history entries, in order."""
    kept = [json.loads(text) for _, text in entries(store).oldest(store.keys.shard(run))]
    return [entry["kind"] for entry in kept if entry["run"] == run]


def _above(fence: int, store: Store) -> Claim | None:
    """A claim of a key that was forgotten, made later than `fence`."""
    seconds, microseconds = store.redis.time()
    return claim(store) if seconds * 1000 + microseconds // 1000 > fence else None


def entry(kind: str, run: str = FIRST.run) -> dict[str, str]:
    return {"run": run, "kind": kind}


def runs(store: Store) -> Runs:
    """The runs beside a store; and so on."""
    return Runs(store.redis, store._settings)


def outstanding(store: Store) -> Outstanding:
    return Outstanding(store.redis, store._settings)


def entries(store: Store) -> HistoryStream:
    return HistoryStream(store.redis, store._settings)


def announcements(store: Store) -> Announcements:
    return Announcements(store.redis, store._settings)


def begin(store: Store) -> list[Begun]:
    """Begin what is due."""
    return ScheduledRuns(store.redis, store._settings).begin()


class TestClaim:
    def test_free_key_is_granted(self, store: Store) -> None:
        """A step that nobody has is granted, with a fence."""
        found = claim(store)
        assert (found.verdict, found.fence > 0) == ("granted", True)

    def test_held_key_is_busy(self, store: Store) -> None:
        """While somebody holds the lease, the next claimant is told how long it lasts."""
        claim(store)
        found = claim(store, OTHER)
        assert found.verdict == "busy"
        assert timedelta() < found.wait <= timedelta(seconds=15)

    def test_lease_ends_by_itself(self, redis_server: Redis, namespace: str) -> None:
        """When the lease is over, the key is taken over under a higher fence."""
        short = Store(redis_server, make_settings(namespace=namespace, lease=timedelta(milliseconds=20)))
        first = claim(short)

        def granted() -> Claim | None:
            found = claim(short, OTHER)
            return found if found.verdict == "granted" else None

        second = wait_until(granted, description="the lease is over", interval=0.005)
        assert second is not None
        assert second.fence > first.fence

    def test_renewed_lease_holds(self, store: Store) -> None:
        """A lease that is renewed stays; one that was lost cannot be renewed."""
        first = claim(store)
        fall_silent(store)
        assert store.renew([Held(AGENT, "k", first.fence, FIRST)]) == [Renewed(True)]
        assert claim(store, OTHER).verdict == "busy"
        take_over(store, OTHER)
        unknown = Held(AGENT, "unknown", 1, OTHER)
        assert store.renew([Held(AGENT, "k", first.fence, FIRST), unknown]) == [Renewed(False)] * 2

    @pytest.mark.parametrize("status", ["cancelled", "compensating", "completed"])
    def test_renewing_tells_that_the_run_has_ended(self, store: Store, status: str) -> None:
        """Whoever renews a lease hears that its run has ended; not of what undoes a step, or follows an event of a flow."""
        held = Held(AGENT, "k", claim(store).fence, FIRST)
        undo, heard = (replace(held, place=replace(FIRST, step=step)) for step in ("1.undo", "shop.hear@ab"))
        assert store.renew([held, undo, heard]) == [Renewed(True)] * 3
        store.redis.hset(store.keys.run(FIRST.run), "status", status)
        going_on = "" if status == "compensating" else status
        assert store.renew([held, undo, heard]) == [
            Renewed(True, status), Renewed(True, going_on), Renewed(True)
        ]  # fmt: skip

    def test_other_content_conflicts(self, store: Store) -> None:
        """A key that came with another content conflicts, held or settled."""
        fence = claim(store).fence
        assert claim(store, OTHER, content="other").verdict == "conflict"
        settle(store, fence)
        assert claim(store, OTHER, content="other").verdict == "conflict"

    def test_known_outcome_is_given(self, store: Store) -> None:
        """Another run with the same key gets the outcome that there is."""
        settle(store, claim(store).fence)
        found = claim(store, OTHER)
        assert (found.verdict, found.record) == ("done", ONE)

    def test_settled_step_is_given(self, store: Store) -> None:
        """A step that is settled answers with its own outcome."""
        settle(store, claim(store).fence)
        found = claim(store)
        assert (found.verdict, found.record) == ("settled", ONE)

    @pytest.mark.parametrize("status", ["completed", "cancelled"])
    def test_ended_run_gives_the_lease_back(self, store: Store, status: str) -> None:
        """A step of a run that has ended is not run, and leaves its key to others."""
        runs(store).start(FIRST, key="", content="c", first="[]")
        if status == "cancelled":
            runs(store).cancel(FIRST.run, entry("cancelled"))
        else:
            settle(store, claim(store, key="last").fence, key="last", ends=True)
        assert claim(store, StepRef(FIRST.run, FIRST.flow, "2")).verdict == status
        assert claim(store, OTHER).verdict == "granted"

    def test_released_key_is_free(self, store: Store) -> None:
        """A lease that its holder gives back is free at once, and counts as no crash."""
        for _ in range(5):
            assert store.release(AGENT, "k", fence=claim(store).fence)
        assert not store.release(AGENT, "k", fence=1)

    def test_forgotten_key_still_grows(self, store: Store) -> None:
        """A fence is above every earlier one even where the key was forgotten in between."""
        first = claim(store).fence
        second = take_over(store).fence  # the run remembers it as the least that may settle
        store.redis.delete(store.keys.outcome(AGENT, "k"))
        third = wait_until(lambda: _above(second, store), description="the clock goes on", interval=0.001)
        assert third is not None
        assert first < second < third.fence
        assert settle(store, third.fence).verdict == "settled"


class TestTakeOver:
    """A key is taken over while its holder is just about to settle: whoever comes, the step is passed on."""

    def taken_over(self, store: Store, place: StepRef) -> Claim:
        """The holder settles at its run after another has asked for the key, and before that has shut it out; gives what the other got."""
        held = claim(store)
        fall_silent(store)
        asking = store.handoffs.claim(place, agent=AGENT, key="k", content="c", owner="w2", replays=0)
        replies = scripts.run(store.redis, *next(asking).calls)
        assert settle(store, held.fence).verdict == "settled"
        try:
            asked = asking.send(replies)
            while True:
                asked = asking.send(scripts.run(store.redis, *asked.calls))
        except StopIteration as end:
            found: Claim = end.value
            return found

    @pytest.mark.parametrize("place", [FIRST, OTHER], ids=["the same step", "another run"])
    def test_the_holders_outcome_is_passed_on(self, store: Store, place: StepRef) -> None:
        """The one that took over finds the holder's outcome, and what follows it: the holder may have died since."""
        found = self.taken_over(store, place)
        assert (found.verdict, found.record) == ("done", ONE)
        assert found.record is not None
        passed_on = [  # twice: so does the next one, if this one dies too
            store.settle_known(
                place, fence=found.fence, record=found.record, entry=entry("deduplicated", place.run),
                onward=Advance((), NEXT), edit=0, by_key=True,
            )
            for _ in range(2)
        ]  # fmt: skip
        first = "again" if place is FIRST else "settled"
        assert [(one.verdict, one.fenced) for one in passed_on] == [(first, False), ("again", False)]
        assert told(store, place.run).count("deduplicated") == (0 if place is FIRST else 1)
        assert told(store, place.run).count("late") == 0
        assert list(outstanding(store).sent(place.run)) == ["2"]

    def test_at_a_step_that_another_was_shut_out_of(self, store: Store) -> None:
        """A fence keeps outcomes of others away, not the one that the key has."""
        found = self.taken_over(store, OTHER)
        store.redis.hset(store.keys.run(OTHER.run), f"f:{OTHER.step}", str(found.fence + 1))
        settled = store.settle_known(
            OTHER, fence=found.fence, record=ONE, entry=entry("deduplicated", OTHER.run),
            onward=Advance((), NEXT), edit=0, by_key=True,
        )  # fmt: skip
        assert (settled.verdict, settled.fenced) == ("settled", False)

    def test_another_outcome_of_a_settled_step_is_late(self, store: Store) -> None:
        """Where a person gave the step its outcome, the key's comes too late."""
        settle(store, claim(store).fence)
        settled = store.settle_known(
            FIRST,
            fence=1,
            record=TWO,
            entry=entry("deduplicated"),
            onward=Advance((), NEXT),
            edit=0,
            by_key=True,
        )
        assert settled.verdict == "late"


class TestRefused:
    def test_what_is_none_of_ours_is_told_apart(self, store: Store) -> None:
        """What Redis refuses for what it says, or for what is there, is told from a Redis that cannot be used: asked again, it
        would be refused again. What is no text is read all the same."""
        store.redis.set(store.keys.run("run-9"), "no hash")
        store.redis.hset(store.keys.run("run-8"), mapping={"status": b"\xff\xfe", "started": "soon"})
        asks: list[Callable[[], object]] = [
            lambda: runs(store).result("run-9"),
            lambda: runs(store).get("run-9"),
            lambda: runs(store).pause("run-9", {}),
            lambda: scripts.run(store.redis, Command("HINCRBY", store.keys.run("run-8"), "started", 1)),
            lambda: scripts.run(store.redis, Command("SET", "k", "\ud800")),
        ]
        for asked in asks:
            with pytest.raises(Refused, match="asked again, it refuses again"):
                asked()
        [status] = scripts.run(store.redis, Command("HGET", store.keys.run("run-8"), "status"))
        assert status == "\udcff\udcfe"


class TestPoison:
    def test_step_that_kills_workers_is_poison(self, store: Store) -> None:
        """After as many lost workers as the limit says, a step is not run again."""
        claim(store)
        for _ in range(2):
            assert take_over(store).verdict == "granted"
        assert take_over(store).verdict == "poison"
        assert take_over(store).verdict == "poison"

    def test_replay_forgives(self, store: Store) -> None:
        """A replay (one replay more) counts crashes anew, once."""
        claim(store)
        while take_over(store).verdict == "granted":
            pass
        assert take_over(store, replays=1).verdict == "granted"
        for _ in range(2):
            assert take_over(store, replays=1).verdict == "granted"
        assert take_over(store, replays=1).verdict == "poison"

    def test_dead_child_counts(self, store: Store) -> None:
        """A lease that a parent process gives back for its dead child counts as a crash."""
        for _ in range(3):
            assert claim(store).verdict == "granted"
            assert store.release(AGENT, "k", owner=f"w|{FIRST.run}")
        assert claim(store).verdict == "poison"

    def lapsing(self, store: Store) -> Claim:
        """A claim, on a server that knows the script already: it would be given it after the next claim."""
        store.redis.script_load(scripts.script("lapse").text)
        return claim(store)

    def test_a_holder_that_lives_is_no_crash(self, store: Store) -> None:
        """One that Redis was away for says so with its next claim: the lease is free at once, and nobody has died."""
        held = self.lapsing(store)
        for _ in range(10):
            assert held.verdict == "granted"
            store.lapse(AGENT, "k", fence=held.fence)
            held = claim(store)
        assert settle(store, held.fence).verdict == "settled"

    def test_a_holder_that_lives_is_shut_out(self, store: Store) -> None:
        """It may have settled all the same, or will: another that takes the key over is the only one."""
        held = self.lapsing(store)
        store.lapse(AGENT, "k", fence=held.fence)
        again = claim(store, OTHER)
        assert again.verdict == "granted"
        assert (settle(store, held.fence).verdict, settle(store, again.fence, OTHER).verdict) == (
            "late",
            "settled",
        )

    @pytest.mark.parametrize("shown", ["renewed", "settled"])
    def test_a_holder_that_was_frozen_has_not_died(self, store: Store, shown: str) -> None:
        """What was counted as a crash is not counted any more when the holder shows up: once."""
        held = claim(store)
        take_over(store)
        for _ in range(2):
            if shown == "renewed":
                store.renew([Held(AGENT, "k", held.fence, FIRST)])
            else:
                settle(store, held.fence)
        assert [take_over(store).verdict for _ in range(3)] == ["granted", "granted", "poison"]

    def test_stranger_cannot_release(self, store: Store) -> None:
        """A lease is given back by its holder only."""
        claim(store)
        assert not store.release(AGENT, "k", owner="somebody")
        assert claim(store, OTHER).verdict == "busy"


class TestEdits:
    """A person's input: one number after another, only while the step waits, and never beside an outcome of another."""

    def edit(
        self, store: Store, number: int = 1, *, where: Any = "parked", place: StepRef = FIRST, **more: Any
    ) -> str:
        return runs(store).edit(
            place,
            {"number": number, "by": "ann"},
            before=more.pop("before", number - 1),
            entry={"run": place.run, "kind": "edited"},
            sent=f"{AGENT} shop.order/1",
            where=where,
            **more,
        )

    def parked(self, store: Store, **reason: Any) -> None:
        store.release(AGENT, "k", fence=claim(store).fence)
        store.park(FIRST, {"kind": "error", **reason}, None)

    def test_an_older_input_does_not_run(self, store: Store) -> None:
        """A message with an older input is told the newest one, and has no lease; the newest one runs."""
        self.parked(store)
        assert self.edit(store) == "edited"
        found = claim(store)
        assert (found.verdict, json.loads(found.edit)["number"]) == ("edited", 1)
        assert claim(store, OTHER).verdict == "granted"
        assert (
            store.claim(FIRST, agent=AGENT, key="k2", content="d", owner="w", replays=1, edit=1).verdict
            == "granted"
        )
        assert told(store) == ["edited"]

    def test_only_what_waits(self, store: Store) -> None:
        """A step that runs, is settled, on its way or unknown is not edited; nor is one whose run has ended."""
        assert self.edit(store, where="held") == "gone"
        fence = claim(store).fence
        assert self.edit(store) == "running"
        store.release(AGENT, "k", fence=fence)
        store.park(FIRST, {"kind": "error"}, None)
        assert self.edit(store, where="held") == "gone"
        runs(store).unpark(FIRST, entry("replayed"))
        assert self.edit(store) == "gone"
        fence = claim(store).fence
        settle(store, fence)
        assert self.edit(store) == "settled"
        runs(store).cancel(FIRST.run, entry("cancelled"))
        assert self.edit(store) == "cancelled"

    def test_a_copy_that_runs(self, store: Store) -> None:
        """A copy of the parked message does not run; while one that was replayed does, its step is not edited."""
        self.parked(store)
        assert (claim(store).verdict, claim(store).parked) == ("parked", '{"kind":"error"}')
        fence = claim(store, replays=1).fence
        assert self.edit(store) == "running"
        store.release(AGENT, "k", fence=fence)
        store.park(FIRST, {"kind": "error"}, None)
        assert self.edit(store) == "edited"

    def test_two_at_once(self, store: Store) -> None:
        """Of two that take the place of the same input one is refused; the same one again changes nothing."""
        self.parked(store)
        assert self.edit(store) == "edited"
        assert self.edit(store) == "edited"
        assert (
            runs(store).edit(
                FIRST, {"number": 1, "by": "bob"}, before=0, entry={}, sent="a b/1", where="parked"
            )
            == "changed"
        )
        assert self.edit(store, 2) == "edited"
        assert told(store) == ["edited", "edited"]

    def test_held_with_its_run(self, store: Store) -> None:
        """A step that does not begin because its run is paused can be edited, until the run is resumed."""
        runs(store).start(FIRST, key="", content="c", first="[]")
        store.stopped(FIRST, {"agent": AGENT})
        assert runs(store).get(FIRST.run).held == {}  # type: ignore[union-attr]
        runs(store).pause(FIRST.run, entry("paused"))
        assert self.edit(store, where="held") == "gone"
        assert claim(store).verdict == "paused"
        store.stopped(FIRST, {"agent": AGENT})
        store.stopped(FIRST, {"agent": "other"})
        assert runs(store).get(FIRST.run).held == {"1": {"agent": AGENT}}  # type: ignore[union-attr]
        assert self.edit(store, where="held") == "edited"
        assert claim(store).verdict == "paused"
        runs(store).pause(FIRST.run, entry("resumed"), resume=True)
        assert runs(store).get(FIRST.run).held == {}  # type: ignore[union-attr]
        assert claim(store).verdict == "edited"
        assert self.edit(store, 2, where="held") == "gone"

    def test_a_look_at_a_held_run(self, store: Store) -> None:
        """A message that comes again while its run is held takes no lease, so that nothing says that the step is at work."""
        runs(store).start(FIRST, key="r", content="r", first="[]")
        runs(store).pause(FIRST.run, entry("paused"))
        assert claim(store, looks=1).verdict == "paused"
        assert store.lease_of(AGENT, "k") is None
        runs(store).pause(FIRST.run, entry("resumed"), resume=True)
        assert claim(store, looks=2).verdict == "granted"

    def test_a_spent_budget(self, store: Store) -> None:
        """A step whose budget is spent is not edited: something has taken its place."""
        self.parked(store, budgets="3")
        store.follow(FIRST, record=ONE, onward=Advance((Join("3", (), "one", one=True),), ends=False))
        assert self.edit(store, budgets=["3"]) == "closed"

    def test_the_key_moves_on(self, store: Store) -> None:
        """A key without an outcome stands for the edited input from then on, and for nothing else."""
        self.parked(store)
        self.edit(store)
        found = claim(store, content="d", edit=1, supersedes=["x", "c"], replays=1)
        assert found.verdict == "granted"
        assert claim(store, OTHER).verdict == "conflict"
        assert settle(store, found.fence, content="d", edit=1).verdict == "settled"
        assert claim(store, OTHER, content="d").record == ONE
        assert claim(store, OTHER).verdict == "conflict"

    def test_the_key_has_an_outcome(self, store: Store) -> None:
        """A key that has an outcome of the older input, or stands for something else, is a conflict, not a second effect."""
        settle(store, claim(store, OTHER).fence, OTHER)
        assert claim(store, content="d", edit=1, supersedes=["c"]).verdict == "conflict"
        claim(store, OTHER, key="k2", content="e")
        assert claim(store, key="k2", content="d", edit=1, supersedes=["c"]).verdict == "conflict"

    def test_content_as_the_release_before_called_it(self, store: Store) -> None:
        """A lease, or an outcome, that the release before has recorded for the same content is no conflict."""
        granted = claim(store, content="old")
        assert claim(store, content="new", older="old").verdict == "busy"
        settle(store, granted.fence, content="old")
        assert claim(store, OTHER, content="new", older="old").record == ONE
        assert claim(store, OTHER, content="new", older="other").verdict == "conflict"

    def test_the_older_input_runs_elsewhere(self, store: Store) -> None:
        """While somebody works under the key with the older input, the edited one waits; then it is a conflict."""
        fence = claim(store, OTHER).fence
        assert claim(store, content="d", edit=1, supersedes=["c"]).verdict == "busy"
        settle(store, fence, OTHER)
        assert claim(store, content="d", edit=1, supersedes=["c"]).verdict == "conflict"

    def test_an_older_outcome_is_late(self, store: Store) -> None:
        """Whoever was begun with an older input settles nothing at its run, whatever it brings."""
        fence = claim(store).fence
        store.redis.hset(
            store.keys.run(FIRST.run), "i:1", json.dumps({"number": 1})
        )  # as if it came in between
        assert settle(store, fence) == Settled(SettleVerdict.LATE, fenced=True)
        assert told(store) == ["late"]
        known = claim(store, OTHER)
        assert known.record == ONE
        late = store.settle_known(
            FIRST, fence=known.fence, record=ONE, entry=entry("x"), onward=Advance(), edit=0
        )
        assert late.fenced
        skipped = store.settle_known(FIRST, fence=2**53, record=TWO, entry=entry("skipped"), onward=Advance())
        assert skipped.verdict == "settled"

    def test_an_earlier_settlement_is_of_its_own_input(self, store: Store) -> None:
        """Whoever takes a key over with an edited input does not adopt what was made of the older one."""
        claim(store, OTHER)
        store.redis.hset(
            store.keys.run(OTHER.run), "s:1", TWO.text()
        )  # what is left of a settle that was late at the key
        fall_silent(store)
        assert claim(store, content="d", edit=1, supersedes=["c"]).verdict == "conflict"
        assert claim(store, StepRef("run-3", "shop.order", "1")).record == TWO

    def test_a_run_that_was_lost(self, store: Store) -> None:
        """Where Redis has no such run any more, the letter is all that an edit takes."""
        assert self.edit(store) == "edited"
        assert claim(store).verdict == "edited"

    def test_nothing_is_left(self, store: Store) -> None:
        """When the run has ended, nothing is left of what was edited, held or begun."""
        self.parked(store)
        self.edit(store)
        found = claim(store, content="d", edit=1, supersedes=["c"])
        settle(store, found.fence, content="d", edit=1, ends=True)
        left = store.redis.hkeys(store.keys.run(FIRST.run))
        assert [name for name in left if name[:2] in {"i:", "h:", "r:"}] == []


class TestSettle:
    def test_first_settler_wins(self, store: Store) -> None:
        """A holder that was taken over settles late, at the key and at the run, and is told that it was shut out."""
        frozen = claim(store)
        awake = take_over(store)
        assert settle(store, frozen.fence, record=TWO) == Settled(SettleVerdict.LATE, fenced=True)
        assert settle(store, awake.fence).verdict == "settled"
        assert settle(store, frozen.fence, record=TWO) == Settled(SettleVerdict.LATE)
        assert claim(store, OTHER).record == ONE
        assert claim(store).record == ONE
        assert told(store) == ["late", "settled", "late"]

    def test_other_run_shuts_out(self, store: Store) -> None:
        """A holder whose key another run took over settles nothing in its own run either."""
        frozen = claim(store)
        awake = take_over(store, OTHER)
        settle(store, awake.fence, OTHER, record=TWO)
        assert settle(store, frozen.fence).fenced
        assert claim(store).record == TWO

    def test_earlier_settlement_is_adopted(self, store: Store) -> None:
        """Whoever takes a key over finds what an earlier holder settled at its run meanwhile."""
        frozen = claim(store)
        place = store.keys.run(FIRST.run)
        store.redis.hset(place, "s:1", TWO.text())  # what is left of a settle that was late at the key
        found = take_over(store, OTHER)
        assert frozen.fence < found.fence
        assert (found.verdict, found.record) == ("done", TWO)
        assert claim(store, StepRef("run-3", "shop.order", "1")).record == TWO

    def test_known_outcome_settles_a_step(self, store: Store) -> None:
        """A step takes over the outcome of its key, and is settled by it."""
        settle(store, claim(store).fence)
        found = claim(store, OTHER)
        assert found.record is not None
        settled = store.settle_known(
            OTHER,
            fence=found.fence,
            record=found.record,
            entry=entry("deduplicated", OTHER.run),
            onward=Advance(),
        )
        assert settled.verdict == "settled"
        record = runs(store).get(OTHER.run)
        assert record is not None
        assert (record.status, runs(store).result(record.id)) == ("completed", ONE)
        assert told(store, OTHER.run) == ["deduplicated"]

    def test_cancelled_run_goes_no_further(self, store: Store) -> None:
        """A step that finishes after its run was cancelled is recorded, and nothing follows."""
        runs(store).start(FIRST, key="", content="c", first="[]")
        fence = claim(store).fence
        runs(store).cancel(FIRST.run, entry("cancelled"))
        assert settle(store, fence, ends=True).verdict == "cancelled"
        record = runs(store).get(FIRST.run)
        assert record is not None
        assert (record.status, runs(store).result(record.id)) == ("cancelled", None)
        assert told(store) == ["cancelled", "settled"]

    def test_ended_run_keeps_its_result(self, store: Store) -> None:
        """A run that is completed takes no other outcome."""
        fence = claim(store).fence
        settle(store, fence, ends=True)
        assert settle(store, fence, record=TWO, ends=True) == Settled(SettleVerdict.LATE)
        record = runs(store).get(FIRST.run)
        assert record is not None
        assert runs(store).result(record.id) == ONE


class TestLettingGo:
    """A run keeps no copy of an outcome that its idempotency key has, once what follows is on its way."""

    LONG = Record("urn:contract:shop.priced:1", json.dumps({"price": "9" * 1000}), json.dumps([]))

    def _let_go(self, store: Store, fence: int, record: Record = LONG, place: StepRef = FIRST) -> list[str]:
        """What the run has of the step after another claim."""
        store.let_go(place, fence, record)
        claim(store, StepRef("run-9", "shop.order", "1"), key="another")
        return [str(text) for text in store.redis.hmget(store.keys.run(place.run), "s:1", "n:1")]

    def test_only_its_digest_is_left(self, store: Store) -> None:
        """What is left says that the step is settled, by which settlement, and what to find under the key."""
        fence = claim(store).fence
        assert settle(store, fence, record=self.LONG).kept
        assert self._let_go(store, fence) == ["", f"{fence} {self.LONG.digest()}"]
        record = runs(store).get(FIRST.run)
        assert record is not None
        assert record.settled == ("1",)
        assert store.settled(FIRST)

    def test_message_that_comes_again(self, store: Store) -> None:
        """It finds the outcome under the key; where the key has forgotten it, or has another, that the step is settled."""
        fence = claim(store).fence
        settle(store, fence, record=self.LONG)
        self._let_go(store, fence)
        assert claim(store) == Claim(ClaimVerdict.SETTLED, record=self.LONG)
        assert claim(store, content="another") == Claim(ClaimVerdict.SETTLED)
        store.redis.hset(store.keys.outcome(AGENT, "k"), "record", TWO.text())
        assert claim(store) == Claim(ClaimVerdict.SETTLED)
        store.redis.delete(store.keys.outcome(AGENT, "k"))
        assert claim(store) == Claim(ClaimVerdict.SETTLED)
        assert claim(store, OTHER).verdict == "granted"  # and nobody holds the key

    def test_same_settlement_once_more(self, store: Store) -> None:
        """It is known as the same; another outcome, or that of another lease, is late, as before."""
        fence = claim(store).fence
        first = settle(store, fence, record=self.LONG)
        self._let_go(store, fence)
        again = settle(store, fence, record=self.LONG)
        assert (first.verdict, again.verdict) == ("settled", "again")
        assert told(store) == ["settled"]
        assert settle(store, fence, record=TWO) == Settled(SettleVerdict.LATE)
        assert settle(store, fence + 1, record=self.LONG) == Settled(SettleVerdict.LATE)
        assert told(store) == ["settled", "late", "late"]

    def test_what_does_not_stand_is_not_let_go(self, store: Store) -> None:
        """The outcome of another lease stays as it is, a short one too, and a run that has expired is not made anew."""
        fence = claim(store).fence
        settle(store, fence, record=self.LONG)
        assert self._let_go(store, fence - 1) == [self.LONG.text(), str(fence)]
        assert self._let_go(store, fence, ONE) == [self.LONG.text(), str(fence)]
        store.redis.delete(store.keys.run(FIRST.run))
        assert self._let_go(store, fence) == ["None", "None"]
        assert not store.redis.exists(store.keys.run(FIRST.run))

    def test_late_is_not_kept(self, store: Store) -> None:
        """Whoever comes late is not told that its outcome stands."""
        frozen = claim(store).fence
        fence = take_over(store, OTHER).fence
        settle(store, fence, OTHER, record=self.LONG)
        assert not settle(store, frozen, record=TWO).kept

    def test_what_was_let_go_is_no_other_keys_outcome(self, store: Store) -> None:
        """Whoever takes over another key that the step was claimed under does not take this outcome for that key's."""
        claim(store, key="old")
        fence = claim(store).fence
        settle(store, fence, record=self.LONG)
        self._let_go(store, fence)
        fall_silent(store, "old")
        assert claim(store, OTHER, key="old").verdict == "granted"

    def test_what_came_before(self, store: Store) -> None:
        """A run that was settled before outcomes were let go goes on: it has them whole."""
        fence = claim(store).fence
        settle(store, fence, record=self.LONG)
        store.redis.delete(store.keys.outcome(AGENT, "k"))
        assert claim(store) == Claim(ClaimVerdict.SETTLED, record=self.LONG)
        assert settle(store, fence, record=self.LONG).verdict == "again"


class TestJoin:
    BRANCHES = ("a", "b")

    def arrive(
        self, store: Store, branch: str, record: Record = ONE, *, outer: Join | None = None
    ) -> Settled:
        place = StepRef(FIRST.run, FIRST.flow, f"{'1.x.' if outer else ''}1.{branch}.1")
        joins = (Join(place.step.rsplit(".", 2)[0], self.BRANCHES, branch),) + ((outer,) if outer else ())
        key = place.step
        return settle(store, claim(store, place, key=key).fence, place, key=key, record=record, joins=joins)

    def test_last_branch_completes(self, store: Store) -> None:
        """A join waits until every branch has arrived, and puts the parts together in the order of the flow."""
        assert self.arrive(store, "b", TWO).waiting
        settled = self.arrive(store, "a")
        assert settled.joined == Record(
            "a=urn:contract:shop.priced:1 b=urn:contract:shop.priced:1", '{"a":{"price":1},"b":{"price":2}}'
        )

    def test_found_again(self, store: Store) -> None:
        """What follows a settled branch is found again: the whole join, or that it still waits."""
        self.arrive(store, "a")
        place = StepRef(FIRST.run, FIRST.flow, "1.a.1")
        joins = (Join("1", self.BRANCHES, "a"),)
        assert store.follow(place, record=ONE, onward=Advance(joins, NEXT)) == Settled(
            SettleVerdict.AGAIN, waiting=True, level=1
        )
        settled = self.arrive(store, "b")
        again = store.follow(place, record=ONE, onward=Advance(joins, NEXT))
        assert (again.verdict, again.joined) == ("again", settled.joined)

    def test_nested(self, store: Store) -> None:
        """A join that is itself a branch arrives at the outer one when it is complete, with the paths of its parts."""
        outer = Join("1", ("x", "y"), "x")
        assert self.arrive(store, "a", outer=outer).waiting
        assert self.arrive(store, "b", TWO, outer=outer).waiting
        place = StepRef(FIRST.run, FIRST.flow, "1.y.1")
        settled = settle(
            store, claim(store, place, key="y").fence, place, key="y", joins=(Join("1", ("x", "y"), "y"),)
        )
        assert settled.joined is not None
        assert json.loads(settled.joined.data) == {
            "x": {"a": {"price": 1}, "b": {"price": 2}},
            "y": {"price": 1},
        }
        assert settled.joined.schema.split() == [
            "x.a=urn:contract:shop.priced:1",
            "x.b=urn:contract:shop.priced:1",
            "y=urn:contract:shop.priced:1",
        ]


class TestStart:
    def test_first_messages_are_kept_until_published(self, store: Store) -> None:
        """A run that was accepted is listed with its first messages until they are published."""
        assert runs(store).start(FIRST, key="k", content="c", first="[1]") == "created"
        assert runs(store).start(FIRST, key="k", content="c", first="[1]") == "unpublished"
        assert list(runs(store).unpublished(older_than=timedelta(seconds=-1))) == [(FIRST.run, "[1]")]
        assert list(runs(store).unpublished(older_than=timedelta(hours=1))) == []
        runs(store).published(FIRST.run)
        assert list(runs(store).unpublished(older_than=timedelta(seconds=-1))) == []
        assert runs(store).start(FIRST, key="k", content="c", first="[1]") == "existing"

    def test_other_content_conflicts(self, store: Store) -> None:
        """A run does not start a second time with another input."""
        runs(store).start(FIRST, key="k", content="c", first="[]")
        with pytest.raises(Conflict, match="another input"):
            runs(store).start(FIRST, key="k", content="other", first="[]")

    def test_content_as_the_release_before_called_it(self, store: Store) -> None:
        """A run that was accepted by the release before is the same run, where it calls the content by another name."""
        runs(store).start(FIRST, key="k", content="old", first="[]")
        assert runs(store).start(FIRST, key="k", content="new", older="old", first="[]") == "unpublished"

    def test_cancelled_run_is_not_published(self, store: Store) -> None:
        """A run that is cancelled before its first messages went out stays unpublished."""
        runs(store).start(FIRST, key="k", content="c", first="[1]")
        assert runs(store).cancel(FIRST.run, entry("cancelled")) == ("cancelled", None)
        assert list(runs(store).unpublished(older_than=timedelta(seconds=-1))) == []

    def test_run_that_was_lost_is_taken_up(self, store: Store) -> None:
        """A message of a run that Redis does not know brings the run back."""
        assert runs(store).get(FIRST.run) is None
        assert claim(store).verdict == "granted"
        record = runs(store).get(FIRST.run)
        assert record is not None
        assert (record.status, record.flow) == ("running", "shop.order")


class TestPark:
    REASON = {"kind": "error", "text": "no"}  # noqa: RUF012

    def test_parked_and_on_its_way_again(self, store: Store) -> None:
        """A parked step shows in its run, with the reason, until it is on its way again."""
        claim(store)
        assert store.park(FIRST, self.REASON, entry("parked")) == "parked"
        record = runs(store).get(FIRST.run)
        assert record is not None
        assert (record.status, record.parked) == ("parked", {"1": self.REASON})
        assert runs(store).unpark(FIRST, entry("replayed")) == "running"
        record = runs(store).get(FIRST.run)
        assert record is not None
        assert (record.status, record.parked) == ("running", {})
        assert told(store) == ["parked", "replayed"]

    def test_on_its_way_meanwhile(self, store: Store) -> None:
        """What was marked before and is on its way again, or failed otherwise since, is not marked once more."""
        claim(store)
        assert store.park(FIRST, self.REASON, entry("parked")) == "parked"
        assert store.park(FIRST, self.REASON, entry("parked"), marked=True) == "parked"
        runs(store).unpark(FIRST, entry("replayed"))
        assert store.park(FIRST, self.REASON, entry("parked"), marked=True) == "gone"
        assert runs(store).get(FIRST.run).status == "running"  # type: ignore[union-attr]
        newer = {**self.REASON, "text": "no again"}
        assert store.park(FIRST, newer, entry("parked")) == "parked"
        assert store.park(FIRST, self.REASON, entry("parked"), marked=True) == "gone"
        assert runs(store).get(FIRST.run).parked == {"1": newer}  # type: ignore[union-attr]
        assert told(store) == ["parked", "replayed", "parked"]

    def test_told_once(self, store: Store) -> None:
        """Marking the same failure twice tells it once."""
        for _ in range(2):
            assert store.park(FIRST, self.REASON, entry("parked")) == "parked"
        assert told(store) == ["parked"]

    def test_settled_step_is_not_parked(self, store: Store) -> None:
        """What is settled, and what belongs to an ended run, is not parked."""
        settle(store, claim(store).fence)
        assert store.park(FIRST, self.REASON, entry("parked")) == "settled"
        runs(store).cancel(FIRST.run, entry("cancelled"))
        assert store.park(StepRef(FIRST.run, "shop.order", "2"), self.REASON, None) == "cancelled"
        assert "parked" not in told(store)

    def test_settling_unparks(self, store: Store) -> None:
        """A step that is settled by another delivery is parked no more."""
        fence = claim(store).fence
        store.park(FIRST, self.REASON, entry("parked"))
        settle(store, fence)
        record = runs(store).get(FIRST.run)
        assert record is not None
        assert (record.status, record.settled) == ("running", ("1",))

    def test_ended_run_is_not_cancelled(self, store: Store) -> None:
        """A completed run stays completed, and a run that nobody knows is not made by cancelling it."""
        settle(store, claim(store).fence, ends=True)
        assert runs(store).cancel(FIRST.run, entry("cancelled")) == ("completed", None)
        assert runs(store).cancel("unknown", entry("cancelled", "unknown")) == ("", None)
        assert runs(store).get("unknown") is None


class Read:
    """A Redis that counts the characters that it is asked for."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.characters = 0

    def pipeline(self, **options: Any) -> Any:
        pipeline: Any = self._redis.pipeline(**options)
        execute = pipeline.execute

        def counted(**options: Any) -> Any:
            replies = execute(**options)
            self.characters += len(str(replies))
            return replies

        pipeline.execute = counted
        return pipeline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)


class TestLooking:
    """What is read of a run, by whoever asks how it is."""

    LONG = Record("urn:contract:shop.priced:1", json.dumps({"price": "9" * 10_000}))

    def _both(self, store: Store) -> tuple[RunState | None, RunRecord | None]:
        """How the run stands, and what it does, which says that too."""
        state, record = runs(store).state(FIRST.run), runs(store).get(FIRST.run)
        assert (state is None) == (record is None)
        for name in RunState.__slots__ if state else ():
            assert getattr(state, name) == getattr(record, name)
        return state, record

    def test_outcomes_are_not_read(self, store: Store) -> None:
        """Whoever asks how a run stands, or what it does, is not sent what its steps have made."""
        settle(store, claim(store).fence, record=self.LONG)
        store.park(FIRST_END, {"kind": "error", "text": "no"}, entry("parked"))
        counting = Read(store.redis)
        own: Any = counting
        seen = Runs(own, store._settings)
        for found in (seen.state(FIRST.run), seen.get(FIRST.run)):
            assert found is not None
            assert (found.status, set(found.parked)) == ("parked", {"2"})
        assert counting.characters < 1000

    def test_everything_else_is(self, store: Store) -> None:
        """How a run stands is the same from its few fields as from all of it: new, parked, within a budget, and ended."""
        assert self._both(store) == (None, None)
        runs(store).start(FIRST, key="k", content="c", first="[]")
        claim(store)
        state, record = self._both(store)
        assert state is not None
        assert record is not None
        assert (state.status, state.key, record.settled, set(record.began)) == ("running", "k", (), {"1"})
        inner = StepRef(FIRST.run, FIRST.flow, "3.b.1")
        store.park(inner, {"kind": "error", "budgets": "3"}, None)
        state, _ = self._both(store)
        assert state is not None
        assert (state.status, set(state.parked)) == ("running", {"3.b.1"})
        runs(store).pause(FIRST.run, entry("paused"))
        store.park(FIRST, {"kind": "error"}, None)
        state, _ = self._both(store)
        assert state is not None
        assert (state.status, state.paused) == ("parked", True)
        runs(store).cancel(FIRST.run, entry("cancelled"))
        state, _ = self._both(store)
        assert state is not None
        assert (state.status, state.parked) == ("cancelled", {})

    def test_a_run_that_is_known_by_little(self, store: Store) -> None:
        """A run of which nothing is left but that a step is delayed counts as running."""
        store.delayed(FIRST, LONG)
        state, record = self._both(store)
        assert state is not None
        assert record is not None
        assert (state.status, set(record.delayed)) == ("running", {"1"})

    def test_why_it_is_parked(self, store: Store) -> None:
        """The reason is there for as long as the step is parked."""
        assert runs(store).parked(FIRST) is None
        store.park(FIRST, {"kind": "error"}, None)
        assert runs(store).parked(FIRST) == {"kind": "error"}

    def test_several(self, store: Store) -> None:
        """Several runs are told of in the order in which they were asked for, those that nobody knows as none."""
        runs(store).start(FIRST, key="k", content="c", first="[]")
        store.park(OTHER, {"kind": "error"}, None)
        asked = [OTHER.run, "unknown", FIRST.run, OTHER.run]
        found = [one and one.status for one in runs(store).states(asked)]
        assert found == ["parked", None, "running", "parked"]
        assert runs(store).states([]) == []

    def test_several_in_one_round_trip(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of runs in which nothing is parked, one that was replayed among them, all is known in one round trip: who waits asks often."""
        for place in (FIRST, OTHER):
            runs(store).start(place, key=place.run, content="c", first="[]")
        store.park(OTHER, {"kind": "error"}, None)
        runs(store).unpark(OTHER, entry("replayed", OTHER.run))
        asking = runs(store)
        monkeypatch.setattr(
            asking, "_look", lambda asked: pytest.fail(f"once more: {asked}") if asked else []
        )
        found = asking.states([FIRST.run, OTHER.run])
        assert [one and one.status for one in found] == ["running", "running"]


class TestOutstanding:
    """What was sent and is not settled is counted by agent and contract version, whatever happened to it meanwhile."""

    SENT = (("1", "shop.price", "shop.order/1"),)

    def test_counted_until_settled(self, store: Store) -> None:
        """A step counts from when it is sent until it is settled; then what follows it counts."""
        runs(store).start(FIRST, key="k", content="c", first="[]", sends=self.SENT)
        assert outstanding(store).counts() == {("shop.price", "shop.order/1"): 1}
        settle(store, claim(store).fence)
        assert outstanding(store).counts() == {("shop.ship", "shop.priced/1"): 1}
        settle(store, claim(store, FIRST_END, key="k2").fence, FIRST_END, key="k2", ends=True)
        assert outstanding(store).counts() == {}

    def test_parked_and_replayed(self, store: Store) -> None:
        """A parked step goes on counting: its message may come back."""
        runs(store).start(FIRST, key="k", content="c", first="[]", sends=self.SENT)
        claim(store)
        store.park(FIRST, {"kind": "error"}, entry("parked"))
        runs(store).unpark(FIRST, entry("replayed"))
        assert outstanding(store).counts() == {("shop.price", "shop.order/1"): 1}

    def test_parked_in_a_spent_budget(self, store: Store) -> None:
        """A step that is parked counts until something has taken its place; one that fails after that counts no more."""
        spent = Advance((Join("3", (), "one", one=True),), ends=False)
        for name, early in (("run-1", True), ("run-2", False)):
            place = StepRef(name, FIRST.flow, "3.b.1")
            runs(store).start(place, key="", content="c", first="[]", sends=(("3.b.1", *self.SENT[0][1:]),))
            if early:
                assert store.park(place, {"kind": "error", "budgets": "3"}, None) == "parked"
            assert outstanding(store).counts() == {("shop.price", "shop.order/1"): 1}
            store.follow(place, record=ONE, onward=spent)
            if not early:
                assert store.park(place, {"kind": "error", "budgets": "3"}, None) == "settled"
            assert outstanding(store).counts() == {}

    def test_failed_after_the_end(self, store: Store) -> None:
        """A step that fails when its run has ended counts no more."""
        late = StepRef(FIRST.run, FIRST.flow, "2")
        runs(store).start(
            FIRST, key="", content="c", first="[]", sends=(*self.SENT, ("2", *self.SENT[0][1:]))
        )
        settle(store, claim(store).fence, ends=True)
        store.follow(FIRST, record=ONE, onward=Advance(ends=True))
        assert outstanding(store).counts() == {("shop.price", "shop.order/1"): 1}
        assert store.park(late, {"kind": "error"}, None) == "completed"
        assert outstanding(store).counts() == {}

    def test_again(self, store: Store) -> None:
        """What is sent once more counts once, and not at all once it is settled."""
        settle(store, claim(store).fence)
        store.follow(FIRST, record=ONE, onward=Advance(sends=NEXT))
        assert outstanding(store).counts() == {("shop.ship", "shop.priced/1"): 1}
        settle(store, claim(store, FIRST_END, key="k2").fence, FIRST_END, key="k2", ends=True)
        store.follow(FIRST, record=ONE, onward=Advance(sends=NEXT))
        assert outstanding(store).counts() == {}

    def test_join_counts_when_it_is_complete(self, store: Store) -> None:
        """A part counts for whoever is next while it waits for the others, and what follows counts when all have arrived."""
        both = {("shop.ship", "shop.priced/1"): 1}
        for branch, before in (("a", {}), ("b", both)):
            place = StepRef(FIRST.run, FIRST.flow, f"1.{branch}.1")
            assert outstanding(store).counts() == before
            settle(
                store, claim(store, place, key=branch).fence, place, key=branch,
                joins=(Join("1", ("a", "b"), branch),),
            )  # fmt: skip
        assert outstanding(store).counts() == {("shop.ship", "shop.priced/1"): 1}

    def test_parts_of_other_versions(self, store: Store) -> None:
        """A message of a join counts for the contract of each of its parts, until it is settled."""
        older = Record("urn:contract:shop.priced:7", '{"price":1}')
        for branch, record in (("a", older), ("b", TWO)):
            place = StepRef(FIRST.run, FIRST.flow, f"1.{branch}.1")
            settle(
                store, claim(store, place, key=branch).fence, place, key=branch, record=record,
                joins=(Join("1", ("a", "b"), branch),),
            )  # fmt: skip
            assert outstanding(store).counts()["shop.ship", "shop.priced/7"] == 1
        settle(store, claim(store, FIRST_END, key="k2").fence, FIRST_END, key="k2", ends=True)
        assert outstanding(store).counts() == {}

    def test_part_differs_from_the_outcome(self, store: Store) -> None:
        """A part is joined as it was written for the join; the outcome stays what it was."""
        joins = (Join("1", ("a",), "a"),)
        place = StepRef(FIRST.run, FIRST.flow, "1.a.1")
        record = {"run": place.run, "kind": "settled"}
        settled = store.settle(
            place, agent=AGENT, key="k", content="c", fence=claim(store, place).fence, record=ONE,
            entry=record, onward=Advance(joins, NEXT, TWO),
        )  # fmt: skip
        assert settled.joined == Record(f"a={TWO.schema}", '{"a":{"price":2}}')
        assert claim(store, place).record == ONE

    def test_cancelled(self, store: Store) -> None:
        """Of a cancelled run nothing is outstanding; others go on counting."""
        for place in (FIRST, OTHER):
            runs(store).start(place, key=place.run, content="c", first="[]", sends=self.SENT)
        runs(store).cancel(FIRST.run, entry("cancelled"))
        assert outstanding(store).counts() == {("shop.price", "shop.order/1"): 1}

    def test_forgotten_with_its_run(self, store: Store) -> None:
        """What is older than a run that nothing touches is kept is dropped with its run, and not while that waits."""
        runs(store).start(FIRST, key="k", content="c", first="[]", sends=self.SENT)
        shard = store.keys.outstanding(store.keys.shard(FIRST.run))
        [field] = store.redis.hkeys(shard)
        store.redis.hset(shard, field, "1 shop.price shop.order/1")
        assert outstanding(store).counts() == {("shop.price", "shop.order/1"): 1}
        store.redis.delete(store.keys.run(FIRST.run))
        assert outstanding(store).counts() == {}
        assert store.redis.hlen(shard) == 0


class TestCompensating:
    """What is still running when its run is cancelled with compensation is undone too, whoever dies on the way."""

    UNDO = json.dumps({"step": "1", "agent": "shop.unprice", "accepts": "urn:contract:shop.priced:1"})

    def settle(self, store: Store, place: StepRef, key: str) -> Settled:
        told = {"run": place.run, "kind": "settled"}
        return store.settle(
            place, agent=AGENT, key=key, content="c", fence=claim(store, place, key=key).fence, record=ONE, entry=told,
            onward=Advance(sends=NEXT, undo=self.UNDO),
        )  # fmt: skip

    def test_in_order_and_again(self, store: Store) -> None:
        """Cancelling gives what undoes the settled steps, with their outcomes, each time that it is asked."""
        self.settle(store, FIRST, "k")
        for _ in range(2):
            status, undo = runs(store).cancel(FIRST.run, entry("cancelled"), compensate=True)
            assert status == "compensating"
            assert undo == UndoNext(Undo("1", "shop.unprice", "urn:contract:shop.priced:1"), ONE, 0)
        assert runs(store).cancel(FIRST.run, entry("cancelled")) == ("compensating", None)
        assert told(store).count("cancelled") == 1

    def test_only_undoing_goes_on(self, store: Store) -> None:
        """While it is compensating, only what undoes steps runs; the last of it ends the run, once."""
        self.settle(store, FIRST, "k")
        runs(store).cancel(FIRST.run, entry("cancelled"), compensate=True)
        assert claim(store, FIRST_END, key="k2").verdict == "compensating"
        undo = StepRef(FIRST.run, FIRST.flow, "1.undo")
        assert settle(store, claim(store, undo, key="u").fence, undo, key="u", ends=True).verdict == "settled"
        record = runs(store).get(FIRST.run)
        assert record is not None
        assert record.status == "cancelled"

    def test_straggler(self, store: Store) -> None:
        """A step that settles after that is to be undone, and is found again by a redelivery until it is."""
        fence = claim(store, FIRST_END, key="k2").fence
        self.settle(store, FIRST, "k")
        runs(store).cancel(FIRST.run, entry("cancelled"), compensate=True)
        told = {"run": FIRST.run, "kind": "settled"}
        second = Undo("2", "shop.unprice", "urn:contract:shop.priced:1").text()
        late = store.settle(
            FIRST_END, agent=AGENT, key="k2", content="c", fence=fence, record=TWO, entry=told,
            onward=Advance(undo=second),
        )  # fmt: skip
        assert late.verdict == "undo"
        again = claim(store, FIRST_END, key="k2")
        assert (again.verdict, again.record) == ("settled", TWO)
        assert store.follow(FIRST_END, record=TWO, onward=Advance(undo=second)).verdict == "undo"
        assert claim(store, FIRST).verdict == "compensating"
        for number, step in enumerate(("1.undo", "2.undo")):
            undo = StepRef(FIRST.run, FIRST.flow, step)
            settle(store, claim(store, undo, key=step).fence, undo, key=step, ends=True)
            record = runs(store).get(FIRST.run)
            assert record is not None
            assert record.status == ("compensating" if number == 0 else "cancelled")


class TestHeld:
    def test_in_a_budget_that_is_spent(self, store: Store) -> None:
        """What is held with its run waits no more when something has taken its place: it is neither held nor outstanding."""
        held, beside = replace(FIRST, step="4.b.1"), replace(FIRST, step="5")
        sends = tuple((one.step, "shop.ship", "shop.priced/1") for one in (held, beside))
        runs(store).start(FIRST, key="k", content="c", first="[]", sends=sends)
        runs(store).pause(FIRST.run, entry("paused"))
        for one in (held, beside):
            assert claim(store, one, key=one.step).verdict == "paused"
            store.stopped(one, {"agent": "shop.ship"})
        spent = Join("4", (), "one", one=True, mark="constant")
        store.follow(replace(FIRST, step="4"), record=TWO, onward=Advance((spent,), ends=False))
        record = runs(store).get(FIRST.run)
        assert record is not None
        assert set(record.held) == {"5"}
        assert outstanding(store).counts() == {("shop.ship", "shop.priced/1"): 1}


class TestSignals:
    """A signal is taken by the step that waits for it, in whatever order the two come."""

    FOLLOWS: ClassVar[dict[str, Any]] = {"signal": "go", "path": "2", "chord": {}}
    RECORD = Record("urn:contract:shop.go:1", "{}")

    def test_either_order(self, store: Store) -> None:
        """Whoever comes second finds the other, and finds it again."""
        runs(store).start(FIRST, key="k", content="c", first="[]")
        runs(store).start(OTHER, key="o", content="c", first="[]")
        assert store.wait(FIRST, "2", "go", self.FOLLOWS) is None
        waiting = {**self.FOLLOWS, "scopes": []}
        for verdict in ("accepted", "again"):
            assert runs(store).signal(FIRST.run, "go", self.RECORD, entry("signalled")) == (verdict, waiting)
        assert runs(store).signal(OTHER.run, "go", self.RECORD, entry("signalled", OTHER.run)) == (
            "accepted",
            None,
        )
        for _ in range(2):
            assert store.wait(OTHER, "2", "go", self.FOLLOWS) == self.RECORD

    def test_conflict_and_ends(self, store: Store) -> None:
        """Another payload before the first was used is a conflict; a run that has ended, or never was, takes none."""
        runs(store).start(FIRST, key="k", content="c", first="[]")
        runs(store).signal(FIRST.run, "go", self.RECORD, entry("signalled"))
        other = Record(self.RECORD.schema, '{"no":1}')
        assert runs(store).signal(FIRST.run, "go", other, entry("signalled")) == ("conflict", None)
        runs(store).cancel(FIRST.run, entry("cancelled"))
        assert runs(store).signal(FIRST.run, "go", self.RECORD, entry("signalled")) == ("cancelled", None)
        assert runs(store).signal("nobody", "go", self.RECORD, entry("signalled", "nobody")) == ("", None)

    def test_one_wait_each(self, store: Store) -> None:
        """A signal belongs to one wait: a further wait of that name waits for a further signal."""
        runs(store).start(FIRST, key="k", content="c", first="[]")
        runs(store).signal(FIRST.run, "go", self.RECORD, entry("signalled"))
        assert store.wait(FIRST, "2", "go", self.FOLLOWS) == self.RECORD
        assert store.wait(FIRST, "5", "go", {**self.FOLLOWS, "path": "5"}) is None

    def test_beside_what_is_parked(self, store: Store) -> None:
        """A run tells what it waits for also where another step of it is parked, and nothing once it has ended."""
        runs(store).start(FIRST, key="k", content="c", first="[]")
        store.wait(FIRST, "2", "go", self.FOLLOWS)
        store.park(FIRST, {"kind": "error"}, None)
        record = runs(store).get(FIRST.run)
        assert record is not None
        assert (record.status, record.waits) == ("parked", ("2 go",))
        runs(store).cancel(FIRST.run, entry("cancelled"))
        record = runs(store).get(FIRST.run)
        assert record is not None
        assert record.waits == ()


class TestLater:
    """A run that is accepted for later is there, counts, and is begun once when its time has come."""

    SENT = (("1", "shop.price", "shop.order/1"),)

    def later(self, store: Store, due: Any = LONG, place: StepRef = FIRST) -> str:
        return runs(store).start(
            place,
            key="k",
            content="c",
            first="[1]",
            sends=self.SENT,
            due=due,
            entry=entry("started", place.run),
        )

    def come(self, store: Store, run: str = FIRST.run) -> None:
        """Its time comes."""
        store.redis.hset(store.keys.run(run), "due", 1)
        store.redis.zadd(store.keys.scheduled(store.keys.shard(run)), {run: 1})

    def test_waits_for_its_time(self, store: Store) -> None:
        """It is scheduled, and again it is the same; nothing of it is to be published before its time, by whoever asks."""
        assert self.later(store) == "scheduled"
        assert self.later(store) == "waiting"
        assert runs(store).start(FIRST, key="k", content="c", first="[1]") == "waiting"
        assert begin(store) == []
        assert list(runs(store).unpublished(older_than=timedelta(seconds=-1))) == []
        found = runs(store).get(FIRST.run)
        assert found is not None
        assert found.status == "scheduled"
        assert found.due is not None
        assert 3590 < found.due - found.started < 3610
        with pytest.raises(Conflict):
            runs(store).start(FIRST, key="k", content="other", first="[1]", due=LONG)

    def test_begins_once(self, store: Store) -> None:
        """When its time has come one process gets it; until that has published it, it is one that is unpublished."""
        self.later(store)
        self.come(store)
        assert begin(store) == [(FIRST.run, "shop.order", "[1]")]
        assert begin(store) == []
        assert list(runs(store).unpublished(older_than=timedelta(seconds=-1))) == [(FIRST.run, "[1]")]
        assert told(store) == ["started", "begun"]
        assert self.later(store) == "unpublished"
        assert claim(store).verdict == "granted"

    def test_redis_clock_decides(self, store: Store) -> None:
        """A run that is listed too early, as by a process whose clock is ahead, is not begun."""
        self.later(store)
        store.redis.zadd(store.keys.scheduled(store.keys.shard(FIRST.run)), {FIRST.run: 1})
        assert begin(store) == []
        found = runs(store).get(FIRST.run)
        assert found is not None
        assert found.status == "scheduled"

    @pytest.mark.parametrize(
        "due", [timedelta(), -LONG, datetime(1970, 1, 2, tzinfo=UTC), datetime.min.replace(tzinfo=UTC)]
    )
    def test_past_is_now(self, store: Store, due: Any) -> None:
        """A time that is past means at once."""
        assert self.later(store, due) == "created"
        assert list(store.redis.scan_iter(f"{store.keys.prefix}scheduled*")) == []

    def test_moment(self, store: Store) -> None:
        """A moment is kept as it is, and never comes early."""
        seconds, _ = store.redis.time()
        due = datetime.fromtimestamp(seconds + 5, UTC) + timedelta(microseconds=1)
        assert self.later(store, due) == "scheduled"
        assert store.redis.hget(store.keys.run(FIRST.run), "due") == str((seconds + 5) * 1000 + 1)

    def test_outlives_its_time(self, redis_server: Redis, namespace: str) -> None:
        """However short runs are kept, one that waits is kept until it has begun, and as long after that; nor does a signal
        or another run, before or after it, shorten that."""
        short = Store(
            redis_server, make_settings(namespace=namespace, run_ttl=timedelta(minutes=1), shards=1)
        )
        longest = timedelta(days=300)
        self.later(short, longest)
        self.later(short, LONG, OTHER)
        runs(short).start(StepRef("now", "f", ""), key="n", content="c", first="[]", sends=self.SENT)
        runs(short).signal(FIRST.run, "go", ONE, entry("signalled"))
        needed = int(longest / timedelta(milliseconds=1))
        for key in (short.keys.run(FIRST.run), short.keys.scheduled(0), short.keys.later(0)):
            assert needed < short.redis.pttl(key) <= needed + 60_000, key
        assert outstanding(short).counts() == {("shop.price", "shop.order/1"): 3}

    def test_counts_as_outstanding(self, store: Store) -> None:
        """What it will send counts from when it is accepted until it is settled, and once."""
        self.later(store)
        assert outstanding(store).counts() == {("shop.price", "shop.order/1"): 1}
        self.come(store)
        begin(store)
        assert outstanding(store).counts() == {("shop.price", "shop.order/1"): 1}
        settle(store, claim(store).fence, ends=True)
        assert outstanding(store).counts() == {}

    @pytest.mark.parametrize("compensate", [False, True])
    def test_cancelled(self, store: Store, compensate: bool) -> None:
        """A run that is cancelled before its time never begins, and nothing of it is outstanding."""
        self.later(store)
        self.later(store, place=OTHER)
        assert runs(store).cancel(FIRST.run, entry("cancelled"), compensate=compensate) == ("cancelled", None)
        assert store.redis.zscore(store.keys.scheduled(store.keys.shard(FIRST.run)), FIRST.run) is None
        assert outstanding(store).counts() == {("shop.price", "shop.order/1"): 1}
        self.come(store)
        assert begin(store) == []
        assert store.redis.zscore(store.keys.scheduled(store.keys.shard(FIRST.run)), FIRST.run) is None
        assert told(store) == ["started", "cancelled"]

    def test_signal_comes_before(self, store: Store) -> None:
        """A signal that comes before a run begins is there when it waits for it."""
        self.later(store)
        assert runs(store).signal(FIRST.run, "go", ONE, entry("signalled")) == ("accepted", None)
        self.come(store)
        begin(store)
        assert store.wait(FIRST, "2", "go", {"signal": "go"}) == ONE

    def test_cannot_be_paused(self, store: Store) -> None:
        """A run that has not begun is not paused: whoever wants it not to begin cancels it."""
        self.later(store)
        assert runs(store).pause(FIRST.run, entry("paused")) == "scheduled"
        found = runs(store).get(FIRST.run)
        assert found is not None
        assert not found.paused


class TestTicked:
    """How far a schedule has come is known to all beats, and only ever grows."""

    NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)

    def ticked(self, store: Store) -> ScheduleProgress:
        return ScheduleProgress(store.redis, store._settings)

    def progress(self, store: Store) -> Progress:
        return self.ticked(store).read(["shop.hourly"])[1][0]

    def test_met_once(self, store: Store) -> None:
        """Who meets a schedule that another has met changes nothing."""
        assert self.progress(store) == Progress()
        self.ticked(store).meet("shop.hourly", self.NOON)
        self.ticked(store).meet("shop.hourly", self.NOON + LONG)
        assert self.progress(store) == Progress(self.NOON)

    def test_moves_on(self, store: Store) -> None:
        """Nobody moves it back: not who is late, nor who has started the same time."""
        ticked, one, two = self.ticked(store), self.NOON + LONG, self.NOON + LONG + LONG
        ticked.done("shop.hourly", one, "run-1")
        assert self.progress(store) == Progress(one, one, "run-1")
        ticked.done("shop.hourly", two)
        ticked.done("shop.hourly", one, "run-2")
        ticked.done("shop.hourly", self.NOON)
        assert self.progress(store) == Progress(two, one, "run-1")

    def test_the_clock_is_that_of_redis(self, store: Store) -> None:
        """What time it is, Redis says."""
        seconds, _ = store.redis.time()
        now, found = self.ticked(store).read([])
        assert found == []
        assert timedelta() <= now - datetime.fromtimestamp(seconds, UTC) < timedelta(minutes=1)


class TestTimeToLive:
    def test_every_key_has_one(self, store: Store, namespace: str) -> None:
        """After each kind of operation, every key has a time to live."""
        join = (Join("1", ("a", "b"), "a"),)
        step = StepRef(FIRST.run, FIRST.flow, "1.a.1")
        fences: list[int] = []
        operations: list[Any] = [
            lambda: store.claim(
                StepRef("lost", "f", "1"), agent=AGENT, key="x", content="c", owner="w", replays=0
            ),
            lambda: store.follow(StepRef("gone", "f", "1.a.1"), record=ONE, onward=Advance(join, NEXT)),
            lambda: store.park(StepRef("unknown", "f", "1"), {"kind": "error"}, entry("parked", "unknown")),
            lambda: runs(store).unpark(StepRef("nowhere", "f", "1"), entry("replayed", "nowhere")),
            lambda: runs(store).start(FIRST, key="k", content="c", first="[]", sends=NEXT),
            lambda: announcements(store).announce({"agent": AGENT}, "w", timedelta(seconds=5)),
            lambda: announcements(store).deploy(AGENT, [{"agent": AGENT}]),
            lambda: store.note(FIRST.run, entry("started")),
            lambda: runs(store).published(FIRST.run),
            lambda: fences.append(claim(store, step).fence),
            lambda: store.renew([Held(AGENT, "k", fences[-1], step)]),
            lambda: store.release(AGENT, "k", owner=f"w|{step.run}"),
            lambda: fences.append(take_over(store, step).fence),
            lambda: runs(store).pause(FIRST.run, entry("paused")),
            lambda: runs(store).pause(FIRST.run, entry("resumed"), resume=True),
            lambda: store.hold(FIRST, "3", {4: {"sku": "s"}}),
            lambda: store.keep("k", ONE, 1000),
            lambda: store.park(step, {"kind": "error"}, entry("parked")),
            lambda: runs(store).unpark(step, entry("replayed")),
            lambda: store.release(AGENT, "k", fence=fences[-1]),
            lambda: fences.append(claim(store, step).fence),
            lambda: settle(store, fences[-1], step, joins=join),
            lambda: settle(store, fences[0], step, joins=join),
            lambda: settle(store, claim(store, OTHER, key="o").fence, OTHER, key="o", ends=True),
            lambda: runs(store).cancel(FIRST.run, entry("cancelled")),
            lambda: runs(store).start(
                StepRef("later", "f", ""), key="k", content="c", first="[]", sends=NEXT, due=LONG
            ),
            lambda: runs(store).signal("later", "go", ONE, entry("signalled", "later")),
            lambda: ScheduleProgress(store.redis, store._settings).meet("a", datetime.now(UTC)),
            lambda: ScheduleProgress(store.redis, store._settings).done("a", datetime.now(UTC) + LONG, "r"),
            lambda: store.redis.hset(store.keys.run("later"), "due", 1),
            lambda: store.redis.zadd(store.keys.scheduled(store.keys.shard("later")), {"later": 1}),
            lambda: begin(store),
            lambda: store.wait(StepRef("waiting", "f", "1"), "2", "go", {"signal": "go"}),
            lambda: runs(store).signal(step.run, "go", ONE, entry("signalled")),
            lambda: runs(store).touch([FIRST.run, OTHER.run]),
        ]
        for number, operation in enumerate(operations):
            operation()
            keys = list(store.redis.scan_iter(f"{store.keys.prefix}*"))
            assert keys
            assert [key for key in keys if store.redis.ttl(key) == -1] == [], f"after operation {number}"


class TestServer:
    def test_unknown_scripts_are_loaded(self, store: Store) -> None:
        """A server that has lost its scripts is given them again."""
        fence = claim(store).fence
        store.redis.script_flush()
        assert settle(store, fence).verdict == "settled"

    def test_script_that_is_known_runs_once(self, store: Store) -> None:
        """Where the server knows only some scripts of a round trip, those that ran are not sent again."""
        store.redis.script_flush()
        store.release(AGENT, "other", fence=1)
        store.redis.script_load(scripts.script("claim_outcome").text)
        assert claim(store).verdict == "granted"

    @pytest.mark.parametrize("lost", [0, 1, 2])
    def test_lost_answers_change_nothing(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, lost: int
    ) -> None:
        """Where the answer of any round trip is lost and the client sends it again, the step is settled just the same."""
        send, sent = scripts._send, []

        def twice(redis: Redis, calls: Sequence[Call]) -> list[Any]:
            sent.append(calls)
            if len(sent) - 1 == lost:
                send(redis, calls)
            return send(redis, calls)

        store.redis.script_flush()
        claim(store, OTHER, key="warm")
        monkeypatch.setattr(scripts, "_send", twice)
        granted = claim(store)
        assert granted.verdict == "granted"
        settled = settle(store, granted.fence)
        assert settled.verdict in {"settled", "again"}
        assert not settled.waiting
        ended = settle(store, claim(store, FIRST_END, key="k2").fence, FIRST_END, key="k2", ends=True)
        assert ended.verdict in {"settled", "again"}
        assert told(store).count("settled") == 2
        assert "late" not in told(store)

    def test_unusable_server_is_said(self, store: Store) -> None:
        """A Redis that refuses is a ServerError that says so."""
        store.redis.set(store.keys.run(FIRST.run), "not a hash")
        with pytest.raises(ServerError, match="Redis cannot be used"):
            claim(store)
        with pytest.raises(ServerError, match="Redis cannot be used"):
            runs(store).get(FIRST.run)

    def test_history_is_forgotten_on_demand(self, store: Store) -> None:
        """History is given in order, and dropped when it is elsewhere."""
        for kind in ("started", "parked"):
            store.note(FIRST.run, entry(kind))
        shard = store.keys.shard(FIRST.run)
        assert told(store) == ["started", "parked"]
        entries(store).forget(shard, [entries(store).oldest(shard)[0][0]])
        assert told(store) == ["parked"]

    def test_history_of_several_shards(self, store: Store) -> None:
        """Of several shards the oldest entries are given together, so many of each, and dropped together; one that somebody has
        replaced is refused, and keeps none of the others."""
        first = store.keys.shard(FIRST.run)
        elsewhere = next(run for run in map("run-{}".format, range(99)) if store.keys.shard(run) != first)
        other = store.keys.shard(elsewhere)
        for run, happened in ((FIRST.run, ("started", "parked")), (elsewhere, ("started",))):
            for kind in happened:
                store.note(run, entry(kind, run))
        found = entries(store).oldest_of([first, other], count=1)
        kept = {shard: one for shard, one in found.items() if not isinstance(one, Refused)}
        kinds = {shard: [json.loads(text)["kind"] for _, text in kept[shard]] for shard in kept}
        assert kinds == {first: ["started"], other: ["started"]}
        numbers = {shard: [number for number, _ in kept[shard]] for shard in kept}
        store.redis.delete(store.keys.history(other))
        store.redis.set(store.keys.history(other), "no stream")
        with pytest.raises(Refused):
            entries(store).forget_all(numbers)
        found = entries(store).oldest_of([first, other], count=1)
        assert isinstance(found[other], Refused)
        assert told(store) == ["parked"]

    def test_whoever_drains_beside_others_has_lost_nothing(self, store: Store) -> None:
        """Several processes drain one history, each at its own pace: none takes for a Redis that has gone back what another has
        dropped, or that it is behind."""
        shard = store.keys.shard(FIRST.run)
        slow, quick = entries(store), entries(store)
        for kind in ("started", "settled"):
            store.note(FIRST.run, entry(kind))
        first = [number for number, _ in slow.oldest(shard)]
        store.note(FIRST.run, entry("parked"))
        more = [number for number, _ in slow.oldest(shard)]
        quick.forget(shard, first)
        slow.forget(shard, more)  # two of them are gone, one is not
        assert slow.gone_back() is None
        quick.forget(shard, first)  # it is behind
        assert quick.gone_back() is None
        assert told(store) == []

    @pytest.mark.parametrize("text", [b"\xff{[", "-", "1-x", "\u0661-0", "-1-0", "9" * 5000, "1-0 "])
    def test_a_mark_that_is_none_tells_of_a_redis_that_has_lost_it(
        self, store: Store, text: str | bytes
    ) -> None:
        """Where somebody has put something else there, what is drained is dropped all the same, and what runs may have lost is looked
        for."""
        shard, stream = store.keys.shard(FIRST.run), entries(store)
        for kind in ("started", "parked"):
            store.note(FIRST.run, entry(kind))
            store.redis.hset(store.keys.mark(shard), "id", text)
            stream.forget(shard, [stream.oldest(shard)[0][0]])
            assert stream.oldest(shard) == []
        store.redis.hset(store.keys.mark(shard), "id", text)
        assert stream.gone_back() == 0

    def test_whoever_asks_while_others_drain_has_lost_nothing(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An answer of Redis that is older than what was drained meanwhile is none of a Redis that has gone back; one that was lost
        is."""
        shard, stream = store.keys.shard(FIRST.run), entries(store)
        store.note(FIRST.run, entry("started"))
        stream.forget(shard, [stream.oldest(shard)[0][0]])
        store.note(FIRST.run, entry("parked"))
        real = stream._redis.pipeline

        def drained_meanwhile(**options: Any) -> Any:
            pipeline = real(**options)
            execute = pipeline.execute

            def answered_before() -> Any:
                answer = execute()
                monkeypatch.undo()
                stream.forget(shard, [stream.oldest(shard)[0][0]])
                return answer

            monkeypatch.setattr(pipeline, "execute", answered_before)
            return pipeline

        monkeypatch.setattr(stream._redis, "pipeline", drained_meanwhile)
        assert stream.gone_back() is None
        assert stream.gone_back() is None
        store.redis.delete(store.keys.mark(shard))
        assert stream.gone_back() == 0
