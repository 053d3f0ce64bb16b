"""`coordinator map` and `coordinator events`: what people and programs see, and how mistakes end."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, Key, agent, emit, on
from handoffs.coordinator.cli import main
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.observe.survey import Surveyor
from handoffs.coordinator.observe.topology import LandscapeMap
from tests.eager.command import Command
from tests.eager.newsroom import Filed, Newsroom
from tests.waiting import wait_until as _wait_until

MODULE = """
from handoffs import Contract, Key
from handoffs import agent, on

class Asked(Contract, name="word.asked", version=2):
    word: str = Key()

class Answered(Contract, name="word.answered", version=1):
    word: str = Key()

@on(Asked)
@agent("word.answer")
def answer(asked: Asked) -> Answered:
    if asked.word == "nothing":
        raise ValueError("nothing to say")
    return Answered(word=asked.word)
"""


class Shouted(Contract, name="word.shouted", version=1):
    word: str = Key()


def wait_until(condition: Any) -> Any:
    return _wait_until(condition, description="it is there")


def unheard(coordinator: Coordinator, *words: str) -> None:
    for word in words:
        coordinator.emit(Shouted(word=word))
    wait_until(lambda: len(coordinator.dead_letters(state="unheard")) == len(words))


def landscape(coordinator: Coordinator, *flows: Flow) -> LandscapeMap:
    catalogue = Definitions()
    for flow in flows:
        catalogue.add(flow)
    engine = coordinator.engine
    surveyor = Surveyor(engine.services, coordinator.journal, catalogue, asks=True, working=engine.agents)
    return surveyor.landscape_map()


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module that is loaded."""
    (tmp_path / "words_of_mine.py").write_text(MODULE, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COORDINATOR_AGENTS", "words_of_mine")
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, str, str]:
    status: Any = 0
    try:
        main(arguments)
    except SystemExit as end:
        status = end.code
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    return status, printed.out, printed.err


# The map


def test_the_map_of_what_is_there(live_coordinator: Coordinator, command: Command) -> None:
    """Agents with their workers, queues and versions; events from whom to whom; a queue that is not there is told."""
    room = Newsroom()
    live_coordinator.work(room.agents)

    @agent(room.name("file"))
    def file(filed: Filed) -> Filed:
        return filed

    room.broken.add("desk s")
    story = live_coordinator.emit(Filed(story="s"))
    assert story.wait(20) == "parked"
    wait_until(story.letters)
    found = landscape(live_coordinator, Flow(room.name("flow"), file >> emit()))
    desk = found.agent(room.name("desk"))
    assert desk is not None
    assert (desk.known, desk.live, desk.depth, desk.parked) == ("live", 1, 0, 1)
    assert (desk.consumers or 0) >= 1
    assert dict(desk.reads) == {"news.filed": (1,)}
    assert dict(desk.writes) == {"news.ordered": (1,)}
    assert desk.outstanding == 1
    away = found.agent(room.name("file"))
    assert away is not None
    assert (away.known, away.live, away.depth, away.consumers) == ("loaded", 0, None, None)
    [filed] = [event for event in found.events if event.contract == "news.filed"]
    assert (filed.agents, filed.flows) == (
        (),
        (room.name("flow"),),
    )  # who returns it in a flow emits no event
    assert {(ear.agent, ear.pattern) for ear in filed.subscribers} == {
        (room.name("desk"), "news.filed"),
        (room.name("ear"), "news.*"),
    }
    [ordered] = [event for event in found.events if event.contract == "news.ordered"]
    assert ordered.agents == (room.name("desk"),)
    assert {queue.name: queue.depth for queue in found.queues}["handoff.dead-letters"] == 0
    status, out, err = command(live_coordinator, "map")
    assert (status, err) == (0, "")
    assert room.name("desk") in out
    assert max(map(len, out.splitlines())) <= 100
    assert command(live_coordinator, "map", "--mermaid")[1].startswith("flowchart LR\n")
    assert command.json(live_coordinator, "map")["asked"] is True


def test_whoever_is_away_is_told(live_coordinator: Coordinator) -> None:
    """A subscriber whose workers have gone is known as it was seen last, with what waits for it."""
    room = Newsroom()
    live_coordinator.work([room.desk])
    said = live_coordinator.engine.announcements
    manifest = live_coordinator.engine.manifest(room.setter).to_json()
    said.announce(manifest, "gone", timedelta())
    said.announce({**manifest, "agent": "\x1b[31m", "accepts": 3}, "odd", timedelta(hours=1))
    found = landscape(live_coordinator)
    setter = found.agent(room.name("setter"))
    assert setter is not None
    assert (setter.known, setter.live) == ("seen", 0)
    assert any("no worker" in remark and room.name("setter") in remark for remark in found.remarks())
    assert found.agent("\x1b[31m") is None


def test_the_map_of_what_is_loaded(words: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without servers it is what the modules say, and nobody is said to be away."""
    status, out, err = ran(capsys, "map")
    assert (status, err) == (0, "")
    assert "word.asked/2" not in out
    assert "├─ from whoever emits it" in out
    assert "└─ to word.answer, reads 2" in out
    assert "no worker" not in out
    assert ran(capsys, "map", "--watch", "--json")[0] == 2


def test_the_map_is_drawn_again(
    words: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --watch it is drawn until somebody stops it."""
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("handoffs.coordinator.cli.map.time.sleep", pause)
    status, out, _ = ran(capsys, "map", "--watch")
    assert status == 130
    assert "word.answer" in out


# Events


def test_events_are_listed(words: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each event with who emits it and who hears it."""
    listed = json.loads(ran(capsys, "events", "list", "--json")[1])
    assert [(one["contract"], one["agents"], [ear["agent"] for ear in one["heard"]]) for one in listed] == [
        ("word.answered", ["word.answer"], []),
        ("word.asked", [], ["word.answer"]),
    ]
    assert "nobody" in ran(capsys, "events", "list")[1]


def test_an_event_is_emitted(words: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is emitted, and its story is shown once it has ended; a file may hold the payload."""
    (words / "asked.json").write_text('{"word": "why"}', "utf-8")
    status, out, _ = ran(
        capsys, "events", "emit", "word.asked", "--payload", "@asked.json", "--timeout", "20"
    )
    assert status == 0
    assert "word.answer" in out
    assert "completed" in out
    status, out, _ = ran(
        capsys,
        "events",
        "emit",
        "word.asked/2",
        "--payload",
        '{"word": "nothing"}',
        "--timeout",
        "20",
        "--json",
    )
    assert (status, json.loads(out)["status"]) == (3, "parked")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("word.none", "--payload", "{}"), 1, "there is no contract called 'word.none'"),
        (("word.none\x1b", "--payload", "{}"), 1, "\\u001b"),
        (("", "--payload", "{}"), 1, "there is no contract"),
        (("word.asked/1", "--payload", "{}"), 2, "is loaded in version 2, not 1"),
        (("word.asked", "--payload", "{"), 2, "not JSON"),
        (("word.asked", "--payload", "[]"), 2, "object"),
        (("word.asked", "--payload", "{}"), 2, "word: Field required"),
        (("word.asked", "--payload", "@none.json"), 2, "cannot be read"),
        (("word.asked", "--payload", '{"word": "x"}', "--key", "\x07"), 1, "idempotency key"),
        (("word.asked", "--payload", '{"word": "x"}', "--no-wait"), 1, "needs servers"),
    ],
)
def test_a_wrong_event_is_not_emitted(
    words: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, said: str
) -> None:
    """A mistake ends in one message that says what is wrong."""
    found, out, err = ran(capsys, "events", "emit", *arguments)
    assert (found, out) == (status, "")
    assert said in err


def test_unheard_events_are_counted_and_listed(live_coordinator: Coordinator, command: Command) -> None:
    """What nobody heard is counted by contract, and the oldest are listed."""
    unheard(live_coordinator, "one", "two", "three")
    made = command.json(live_coordinator, "events", "unheard", "--limit", "2")
    assert made["counts"] == {"word.shouted/1": 3}
    assert len(made["events"]) == 2
    out = command(live_coordinator, "events", "unheard")[1]
    assert "unheard: 3" in out
    assert "all of them" in out
    assert command.json(live_coordinator, "events", "unheard", "--contract", "word.other") == {
        "counts": {},
        "events": [],
    }
    assert command.json(live_coordinator, "events", "unheard", "--limit", "0") == {
        "counts": {"word.shouted/1": 3},
        "events": [],
    }
    assert [
        event.unheard for event in landscape(live_coordinator).events if event.contract == "word.shouted"
    ] == [3]


def test_unheard_events_are_replayed(
    live_coordinator: Coordinator, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks first and says who would hear them; --yes does not ask; once somebody subscribes they arrive."""
    unheard(live_coordinator, "one", "two")
    for arguments in ((), ("word.shouted", "--all"), ("--all", "--json")):
        assert command(live_coordinator, "events", "replay", *arguments)[0] == 2
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    status, out, _ = command(live_coordinator, "events", "replay", "--all")
    assert status == 130
    assert "nobody subscribes to it yet" in out
    assert len(live_coordinator.dead_letters(state="unheard")) == 2
    heard: list[str] = []

    @on(Shouted)
    @agent("word.listener")
    def listener(shouted: Shouted) -> None:
        heard.append(shouted.word)

    live_coordinator.work([listener])
    status, out, _ = command(live_coordinator, "events", "replay", "word.shouted", "--yes")
    assert (status, out.strip()) == (0, "2 replayed")
    wait_until(lambda: sorted(heard) == ["one", "two"])
    assert command.json(live_coordinator, "events", "unheard")["counts"] == {}


def test_unheard_events_are_forgotten(
    live_coordinator: Coordinator, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks first and says what goes; only what was asked for goes, for good, and who did is in the journal."""
    unheard(live_coordinator, "one", "two")
    for arguments in ((), ("word.shouted", "--all"), ("--all", "--json"), ("--all", "--days", "-1")):
        assert command(live_coordinator, "events", "forget", *arguments)[0] == 2
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    status, out, _ = command(live_coordinator, "events", "forget", "--all")
    assert (status, "word.shouted/1" in out) == (130, True)
    for others in (("word.shout",), ("word_shouted",), ("word.SHOUTED",), ("word.shouted", "--days", "1")):
        assert command.json(live_coordinator, "events", "forget", *others, "--yes") == {"forgotten": 0}
    assert len(live_coordinator.dead_letters(state="unheard")) == 2
    status, out, _ = command(live_coordinator, "events", "forget", "word.shouted", "--yes")
    assert (status, out.strip()) == (0, "2 forgotten")
    assert live_coordinator.dead_letters(state=None) == []
    [act] = live_coordinator.journal.actions.of("")
    assert (act.action, act.note) == ("forget-events", "2 unheard events of word.shouted")
    assert act.who


def test_what_waits_is_not_forgotten(live_coordinator: Coordinator, command: Command) -> None:
    """Whatever else is dead-lettered stays where it is."""
    unheard(live_coordinator, "one")
    [letter] = live_coordinator.dead_letters(state="unheard")
    live_coordinator.journal.letters.mark(letter.id, "waiting")
    assert command.json(live_coordinator, "events", "forget", "--all", "--yes") == {"forgotten": 0}
    assert len(live_coordinator.dead_letters()) == 1


def test_an_event_that_is_not_heard_again_is_kept_again(live_coordinator: Coordinator) -> None:
    """One that was replayed for nobody is there once more; an old copy of it, that comes after that, changes nothing."""
    unheard(live_coordinator, "one")
    [first] = live_coordinator.dead_letters(state="unheard")
    first.replay()
    [again] = wait_until(
        lambda: [one for one in live_coordinator.dead_letters(state="unheard") if one.times == 2]
    )
    for letter in (first, again):
        message = letter.message
        body = message["body"] if isinstance(message["body"], str) else ""
        live_coordinator.desk.unheard(RawLetter(message["headers"], body.encode(), "application/json"))
    [same] = live_coordinator.dead_letters(state="unheard")
    assert (same.times, same.replays, same.last_failed_at) == (2, 1, again.last_failed_at)


def test_what_is_cancelled_is_not_replayed(live_coordinator: Coordinator, command: Command) -> None:
    """An event of a story that was cancelled is refused by name; the exit status says so."""
    story = live_coordinator.emit(Shouted(word="one"))
    wait_until(lambda: live_coordinator.dead_letters(state="unheard"))
    record = live_coordinator.engine.runs.get(story.id)
    assert record is not None
    if story.cancel() != "cancelled":
        pytest.skip("a story of which nothing is open has ended")
    status, out, _ = command(live_coordinator, "events", "replay", "--all", "--yes", "--json")
    assert status == 3
    assert "was cancelled" in json.loads(out)["refused"][0]["reason"]
