"""Choreography on real servers: fleets of their own, which come and go."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from handoffs import Contract, Key
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from tests.eager.newsroom import Filed
from tests.integration import newspaper
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import Installation, depth, open_installation

CREW = ("news.desk", "news.setter", "news.press", "news.archive")


@pytest.fixture
def installation(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("news")
    before = os.environ.get("TEST_FOLDER")
    os.environ["TEST_FOLDER"] = str(folder)
    with open_installation(
        servers,
        folder,
        AGENTS="tests.integration.newspaper",
        CONTRACTS_FOLDER=str(folder / "published"),
    ) as opened:
        publishing = opened.program("publishing", "contracts", "publish", "--owner", "news")
        wait_until(lambda: publishing.status == 0, description="the contracts are published")
        opened.coordinator_process()
        yield opened
    if before is None:
        del os.environ["TEST_FOLDER"]
    else:
        os.environ["TEST_FOLDER"] = before


def names(count: int) -> list[str]:
    mark = secrets.token_hex(3)
    return [f"{mark}-{number}" for number in range(count)]


def emitted(client: Coordinator, stories: list[str]) -> list[Run]:
    return [client.emit(Filed(story=story)) for story in stories]


def heard(*stories: str) -> bool:
    """Whether these stories went through, each effect taken once; what else hears them does not count."""
    others = {"ear", "begins", "ledger"}
    found = {what: count for what, count in newspaper.effects().items() if what.split(" ")[0] not in others}
    return found == newspaper.expected(*stories)


def test_fleets_of_their_own(installation: Installation) -> None:
    """Fifty stories go through workers of one agent each, every effect taken once, nothing left open."""
    for worker in [installation.worker(name, pool="threads", concurrency=4, wait=False) for name in CREW]:
        worker.wait_ready()
    stories = names(50)
    with installation.client() as client:
        runs = emitted(client, stories)
        wait_until(lambda: heard(*stories), description="all are archived", timeout=60)
        wait_until(
            lambda: set(client.statuses(runs)) == {"completed"},
            description=f"nothing is open\n{installation.logs()[-3000:]}",
        )
        assert client.dead_letters() == []
        wait_until(
            lambda: len(runs[0].history()) == 1 + 1 + 3 + 3 + 1 + 1, description="its history is whole"
        )


def test_a_fleet_is_away(installation: Installation) -> None:
    """Events wait for a fleet that is down, killed or not started yet; a subscriber that comes later hears what comes after it."""
    workers = {name: installation.worker(name, pool="threads", concurrency=2) for name in CREW}
    workers["news.setter"].kill()
    first, second = names(5), names(5)
    with installation.client() as client:
        emitted(client, first)
        wait_until(
            lambda: newspaper.effects()[f"desk {first[-1]}"] == 1,
            description="the desk has ordered the parts",
        )
        assert newspaper.effects()[f"press {first[0]}"] == 0
        ear = installation.worker("news.ear", pool="threads", AGENTS="tests.integration.newspaper_ear")
        emitted(client, second)
        workers["news.setter"].start()
        wait_until(lambda: heard(*first, *second), description="all are archived", timeout=60)
        wait_until(
            lambda: all(newspaper.effects()[f"ear news.printed {story}"] == 1 for story in (*first, *second)),
            description="the newcomer has heard what was printed since",
        )
        assert not any(newspaper.effects()[f"ear news.filed {story}"] for story in first)
        ear.stop()


def test_who_is_parked_holds_nobody(installation: Installation) -> None:
    """A handler that fails is parked alone, and its story goes on from there when it is replayed."""
    installation.worker(*CREW, pool="threads", concurrency=4)
    [story] = names(1)
    newspaper.break_down("press")
    with installation.client() as client:
        [run] = emitted(client, [story])
        assert run.wait(30) == "parked"
        [letter] = wait_until(run.letters, description="the letter is there")
        assert letter.agent == "news.press"
        newspaper.break_down("press", broken=False)
        letter.replay()
        wait_until(lambda: heard(story), description="it is archived")
        wait_until(lambda: run.status() == "completed", description="nothing is open")


def test_an_event_that_nobody_hears(installation: Installation) -> None:
    """It is kept by the coordinator process, listed, and replayed when somebody subscribes."""

    class Whispered(Contract, name="quiet.whispered", version=1):
        word: str = Key()

    with installation.client() as client:
        client.emit(Whispered(word="psst"))
        [letter] = wait_until(
            lambda: client.dead_letters(state="unheard"), description="the event is in the journal"
        )
        assert (letter.kind, letter.agent) == ("unheard", "")
        [story] = names(1)
        client.emit(Filed(story=story))
        wait_until(lambda: len(client.dead_letters(state="unheard")) == 2, description="that one too")
        filed = next(one for one in client.dead_letters(state="unheard") if one.flow == "on:news.filed")
        installation.worker(*CREW, pool="threads")
        filed.replay()
        wait_until(lambda: heard(story), description="it is archived after all")


def test_in_order(installation: Installation) -> None:
    """An ordered subscriber hears one at a time, in order, over two workers of which one is killed; a crowd is refused."""
    crowd = installation.worker("news.ledger", pool="threads", concurrency=4, wait=False)
    wait_until(lambda: not crowd.running, description="a worker that takes several at a time ends")
    assert "in order" in crowd.log()
    first = installation.worker("news.ledger", pool="threads", concurrency=1)
    stories = names(60)
    with installation.client() as client:
        emitted(client, stories[:30])
        second = installation.worker("news.ledger", pool="threads", concurrency=1, wait=False)
        wait_until(lambda: newspaper.effects()[f"ledger {stories[5]}"] == 1, description="it has begun")
        first.kill()
        emitted(client, stories[30:])
        wait_until(
            lambda: newspaper.effects()[f"ledger {stories[-1]}"] >= 1,
            description=f"all are in the ledger\n{second.log()[-3000:]}",
            timeout=60,
        )
    lines = (installation.folder / "effects").read_text("utf-8").splitlines()
    written = [line.partition(" ")[2] for line in lines if line.startswith("ledger ")]
    assert list(dict.fromkeys(written)) == stories


def test_a_queue_with_a_bound(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where a queue is full the one who emits is held up, and nothing is lost: it goes on when there is room."""
    folder = tmp_path_factory.mktemp("bound")
    os.environ["TEST_FOLDER"] = str(folder)
    with open_installation(
        servers,
        folder,
        AGENTS="tests.integration.newspaper",
        CONTRACTS_ENFORCED="false",
        QUEUE_LIMITS="news.setter=20",
    ) as installation:
        installation.coordinator_process()
        setters = installation.worker("news.setter", pool="threads", concurrency=2)
        setters.stop()
        installation.worker("news.desk", "news.press", "news.archive", pool="threads", concurrency=4)
        stories = names(30)
        with installation.client() as client:
            emitted(client, stories)
            queue = installation.queue_name("news.setter")
            with client.engine.app.connection_for_read() as connection:
                wait_until(lambda: depth(connection, queue)[0] >= 20, description="the bounded queue is full")
                wait_until(lambda: "no room" in installation.logs(), description="the desk is held up")
                assert depth(connection, queue)[0] <= 25
            setters.start()
            wait_until(lambda: heard(*stories), description="all are archived", timeout=90)
            assert client.dead_letters() == []


def test_the_global_view(installation: Installation) -> None:
    """While a fleet is away, the map and the trace say who is missing, what waits where, and what has not been heard; as
    programs read them."""
    workers = {name: installation.worker(name, pool="threads", concurrency=2) for name in CREW}
    workers["news.setter"].stop()
    [story] = names(1)
    with installation.client() as client:
        [run] = emitted(client, [story])
        wait_until(
            lambda: newspaper.effects()[f"desk {story}"] == 1, description="the desk has ordered the parts"
        )

        def seen() -> Any:
            """What the map says of the fleet that is away, once it has gone."""
            atlas = asked("map", "--json")
            [setter] = [agent for agent in atlas["agents"] if agent["agent"] == "news.setter"]
            return (atlas, setter) if not setter["live"] and setter["depth"] == 3 else None

        def asked(*arguments: str) -> Any:
            done = installation.program(f"asked-{secrets.token_hex(3)}", *arguments, LOG_LEVEL="ERROR")
            wait_until(lambda: done.status is not None, description=f"{arguments} has ended")
            assert done.status == 0, done.log()
            return json.loads(done.log())

        atlas, setter = wait_until(seen, description="its queue has three events", timeout=60)
        assert (setter["consumers"], setter["outstanding"]) == (0, 3)
        assert any("no worker of news.setter is alive" in remark for remark in atlas["remarks"])
        [desk] = [agent for agent in atlas["agents"] if agent["agent"] == "news.desk"]
        assert (desk["live"], desk["consumers"], desk["depth"]) == (1, 1, 0)
        trace = asked("trace", run.id, "--json")
        assert trace["counts"]["open"] == 3
        workers["news.setter"].start()
        wait_until(lambda: run.status() == "completed", description="the story goes on", timeout=60)
        wait_until(lambda: "open" not in client.trace(run.id).counts, description="all of it is told")
        [whole] = [node for node in client.trace(run.id).nodes if node.kind == "set"]
        assert (whole.state, whole.size) == ("settled", 3)
