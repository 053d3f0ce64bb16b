"""Only Redis says what time it is: hosts' clocks differ, and no time of one is compared with another's."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import handoffs.coordinator as house
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import Asking, Call, RoundTrip
from handoffs.coordinator.store.history_stream import read as read_entry
from handoffs.coordinator.store.performing import answered
from handoffs.coordinator.store.store import Store
from tests.store_suite import AGENT, FIRST, ONE, announcements, claim, outstanding, runs

SHOWN = {
    "cli/schedules.py", "cli/unheard.py", "console/access/access.py", "console/templating.py", "console/runs/reading.py", "observe/facets.py", "client/coordinator.py", "history.py", "messaging/envelopes.py", "observe/current.py",
    "client/run.py", "observe/moments.py", "observe/doctor/doctor.py", "observe/readings.py", "render/run_timeline.py", "runs/due.py", "runtime/flower.py", "runtime/losses.py", "runtime/service.py",
    "runtime/embedded/deaths.py", "store/clock.py",
}  # fmt: skip
"""The modules that ask their host what time it is: to write it down, or to show it to people; the console also to
end the sessions of browsers, which its own process began."""

MOVING = {
    "client/virtual_time.py", "handoff/signs.py", "runs/start.py", "runtime/eager.py", "runtime/embedded/broker.py", "runtime/embedded/expiry.py",
    "runtime/embedded/servers.py", "store/moved_time.py", "store/scripts.py",
}  # fmt: skip
"""Those that know that a test may have moved it, in a process that is its own server."""

HOUR = 3_600_000


@pytest.fixture(params=[-HOUR, HOUR], ids=["behind", "ahead"])
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose clock is an hour off."""
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + request.param)


def test_no_other_module_asks_its_host() -> None:
    """Who needs the time to decide something asks Redis for it."""
    folder = Path(next(iter(house.__path__)))
    asking = {
        str(file.relative_to(folder))
        for file in folder.rglob("*.py")
        if re.search(
            r"\btime\.time\(|\.now\(UTC\)|\.utcnow\(|from handoffs\.config import clock",
            file.read_text("utf-8"),
        )
    }
    assert asking == SHOWN | MOVING


def test_no_script_is_told_the_time() -> None:
    """Each asks for it itself."""
    lua = Path(clock.__file__).parent / "lua"
    assert not [
        file.stem for file in lua.rglob("*.lua") if re.search(r"\barg\.now\b", file.read_text("utf-8"))
    ]


@pytest.mark.usefixtures("host")
class TestHostsWithOtherClocks:
    def test_announced(self, store: Store) -> None:
        """A worker is alive for as long as it says, and not for longer."""
        said = announcements(store)
        said.announce({"agent": AGENT, "build": "1"}, "w1", timedelta(seconds=15))
        said.announce({"agent": AGENT, "build": "1"}, "w2", timedelta())
        assert {one["instance"]: one["live"] for one in said.of(AGENT)} == {"w1": True, "w2": False}
        assert [one["instance"] for one in said.live()] == ["w1"]

    def test_unpublished(self, store: Store) -> None:
        """A run that was just accepted is its starter's, and later the sweep's."""
        runs(store).start(FIRST, key="k", content="c", first="[1]")
        assert list(runs(store).unpublished(older_than=timedelta(seconds=10))) == []
        assert list(runs(store).unpublished(older_than=timedelta(seconds=-1))) == [(FIRST.run, "[1]")]

    def test_kept(self, store: Store) -> None:
        """An outcome that a fallback may use is as old as it is."""
        store.keep("key", ONE, 60_000)
        found = store.kept("key")
        assert found is not None
        assert 0 <= found[1] < 10_000

    def test_kept_by_an_older_release(self, store: Store) -> None:
        """What it has written is read."""
        store.redis.set(store.keys.kept("key"), json.dumps({"at": clock.now(), "record": ONE.text()}))
        found = store.kept("key")
        assert found is not None
        assert found[0] == ONE

    def test_lease(self, store: Store) -> None:
        """A lease that is held is held for everybody."""
        claim(store)
        held = store.lease_of(AGENT, "k")
        assert held is not None
        assert held.held
        store.redis.hset(store.keys.outcome(AGENT, "k"), "until", 0)
        lapsed = store.lease_of(AGENT, "k")
        assert lapsed is not None
        assert not lapsed.held

    def test_times_of_a_run(self, store: Store) -> None:
        """When it started, when its steps were sent and begun, and until when they are delayed, is all on one clock."""
        [text] = answered(store.redis, _asked(store))
        runs(store).start(FIRST, key="k", content="c", first="[]", sends=((FIRST.step, AGENT, "a/1"),))
        claim(store)
        store.delayed(FIRST, timedelta(minutes=1))
        found = runs(store).get(FIRST.run)
        assert found is not None
        sent, _, _ = outstanding(store).sent(FIRST.run)[FIRST.step]
        times = [found.started, sent, found.began[FIRST.step], found.delayed[FIRST.step] - 60]
        assert all(abs(time - int(text) / 1000) < 10 for time in times)

    def test_claimed(self, store: Store) -> None:
        """A claim says what time it is: by that a deadline is judged."""
        [text] = answered(store.redis, _asked(store))
        assert abs(claim(store).at - int(text)) < 10_000


def _asked(store: Store) -> Asking[list[Any]]:

    return (yield RoundTrip.of(clock.asked(store.keys.run("r"))))


def test_it_is_one_question() -> None:
    """The time is asked for beside what it is compared with, in one round trip."""
    assert clock.asked("near") == Call("time", {"near": "near"}, {})


def test_history_is_told_by_redis_clock() -> None:
    """When something happened is when Redis got it: entries of many hosts are in one order."""
    assert read_entry("1700000000123-0", '{"at":"1999-01-01T00:00:00+00:00","kind":"settled"}') == {
        "at": "2023-11-14T22:13:20.123+00:00",
        "kind": "settled",
    }
    assert read_entry("1-0", '{"kind":"settled"}') == {"kind": "settled"}
