"""Large payloads travel by reference: every boundary takes them, and what cannot be had is parked with the reason and goes on later."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from handoffs import (
    Context,
    Contract,
    Coordinator,
    Flow,
    Key,
    Retry,
    Transient,
    agent,
    budget,
    constant,
    each,
    emit,
    on,
    parallel,
    wait_for,
)
from handoffs.config.payloads import PayloadSettings
from handoffs.config.settings import Settings
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.journal.runs import Noted
from handoffs.coordinator.letters.archive import Archive
from handoffs.coordinator.letters.foresight import Foresight
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runtime.payload_sweep import PayloadSweep
from tests.eager.console.pages import console
from tests.eager.flow.orders import waits
from tests.eager.flow.sizes import Count, Size, both, fill
from tests.waiting import wait_until

LARGE = 20_000
"""Octets of a text that no message is to carry."""
LIGHT = 8_000
"""Octets that a message with a reference has at most."""
KEPT = timedelta(days=40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "payloads"
    made.mkdir()
    return made


@pytest.fixture
def coordinator_settings(coordinator_settings: Settings, folder: Path) -> Settings:
    kept = PayloadSettings(url=folder.as_uri(), threshold=2_048, retention=KEPT)
    return coordinator_settings.model_copy(update={"payloads": kept})


class Sheets(Contract, name="payloads.sheets", version=1):
    id: str = Key()
    sheets: list[Size]


class Done(Contract, name="payloads.done", version=1):
    sheets: list[Size]


class Printed(Contract, name="payloads.printed", version=1):
    id: str = Key()
    text: str


heard: list[int] = []
broken: set[str] = set()


@agent("payloads.copy", retry=Retry(attempts=1))
def copied(size: Size) -> Size:
    return size


@agent("payloads.fragile", retry=Retry(attempts=1))
def fragile(size: Size) -> Size:
    if size.id in broken:
        raise ValueError("it broke")
    return size


@agent("payloads.count", retry=Retry(attempts=1))
def counted(size: Size) -> Count:
    return Count(octets=len(size.text))


@agent("payloads.sum", retry=Retry(attempts=1))
def summed(done: Done) -> Count:
    return Count(octets=sum(len(sheet.text) for sheet in done.sheets))


def large(number: str = "1") -> Size:
    return Size(id=number, text="ü" * (LARGE // 2))


def objects(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*/*") if path.is_file()]


def letter_of(run: Run) -> Letter:
    run.wait(timeout=10)
    wait_until(lambda: len(list(run.letters())) == 1, description="one letter waits")
    [letter] = run.letters()
    return letter


def body_of(letter: Letter) -> str:
    body: str = letter.row.message["body"]
    return body


def test_a_chain_hands_large_payloads_on(anywhere: Coordinator, folder: Path) -> None:
    """What a step gives is the next one's input, and the result is the client's, whatever size it has."""
    flow = Flow("payloads.chain", copied >> fill("fill", LARGE) >> copied)
    run = anywhere.start(flow, large())
    assert run.result(timeout=10) == Size(id="1", text="x" * LARGE)
    assert len(objects(folder)) == 2  # the same content has one name, whichever step gets it


def test_branches_meet_with_large_parts(anywhere: Coordinator) -> None:
    """A join gets parts that together are more than a message would carry."""
    flow = Flow("payloads.join", parallel(a=fill("one", LARGE), b=fill("two", LARGE)) >> both)
    assert anywhere.start(flow, large()).result(timeout=10) == Count(octets=2 * LARGE)


def test_each_goes_through_large_items(anywhere: Coordinator) -> None:
    """A list of large items is taken apart and put together again."""
    flow = Flow("payloads.each", each("sheets", copied, into="sheets") >> summed, input=Sheets)
    sheets = Sheets(id="1", sheets=[large(str(number)) for number in range(4)])
    assert anywhere.start(flow, sheets).result(timeout=10) == Count(octets=4 * LARGE // 2)


def test_an_event_is_heard_with_a_large_payload(anywhere: Coordinator, folder: Path) -> None:
    """Who hears it gets all of it, and the story has one object, however many hear it."""

    @on(Printed)
    @agent("payloads.hears", retry=Retry(attempts=1))
    def hears(event: Printed) -> None:
        heard.append(len(event.text))

    heard.clear()
    anywhere.work([hears])
    story = anywhere.emit(Printed(id="1", text="x" * LARGE))
    story.wait(timeout=10)
    assert heard == [LARGE]
    assert len(objects(folder)) == 1


def test_a_flow_emits_a_large_event(anywhere: Coordinator) -> None:
    """What arrives at `emit()` is emitted, and passes on."""

    @on(Size)
    @agent("payloads.listens", retry=Retry(attempts=1))
    def listens(event: Size) -> None:
        heard.append(len(event.text))

    heard.clear()
    anywhere.work([listens])
    run = anywhere.start(Flow("payloads.emits", copied >> emit() >> counted), large())
    assert run.result(timeout=10) == Count(octets=LARGE // 2)
    wait_until(lambda: heard == [LARGE // 2], description="it was heard")


def test_a_signal_brings_a_large_payload(anywhere: Coordinator) -> None:
    """What a person says is handed on as what an agent says is."""
    run = anywhere.start(Flow("payloads.waits", copied >> wait_for("said", Size) >> counted), large())
    wait_until(lambda: waits(anywhere, run), description="it waits")
    run.signal("said", Size(id="2", text="x" * LARGE))
    assert run.result(timeout=10) == Count(octets=LARGE)


def test_a_fallback_takes_the_place_of_a_large_step(anywhere: Coordinator) -> None:
    """The timer of a budget has the input of its step by reference, and an agent that falls back gets it."""

    @agent("payloads.broken", retry=Retry(attempts=1))
    def broke(size: Size) -> Size:
        raise ValueError("it broke")

    within = budget(broke, within=timedelta(milliseconds=200), fallback=copied)
    run = anywhere.start(Flow("payloads.budget", within >> counted), large())
    assert run.result(timeout=10) == Count(octets=LARGE // 2)


def test_a_constant_takes_the_place_of_a_large_step(anywhere: Coordinator) -> None:
    """A constant goes on where the step had a large input."""

    @agent("payloads.fails", retry=Retry(attempts=1))
    def fails(size: Size) -> Size:
        raise ValueError("it broke")

    within = budget(
        fails, within=timedelta(milliseconds=200), fallback=constant(Size(id="0", text="x" * LARGE))
    )
    run = anywhere.start(Flow("payloads.constant", within >> counted), large())
    assert run.result(timeout=10) == Count(octets=LARGE)


def test_another_attempt_gets_the_payload_again(anywhere: Coordinator) -> None:
    """A retry has the reference of the first attempt."""
    tried: list[int] = []

    @agent("payloads.retries", retry=Retry(attempts=3, backoff=timedelta(milliseconds=10)))
    def retries(size: Size) -> Count:
        tried.append(len(size.text))
        if len(tried) < 3:
            raise Transient("not yet")
        return Count(octets=len(size.text))

    run = anywhere.start(Flow("payloads.retried", copied >> retries), large())
    assert run.result(timeout=20) == Count(octets=LARGE // 2)
    assert tried == [LARGE // 2] * 3


def test_a_letter_has_the_reference_and_is_replayed(anywhere: Coordinator) -> None:
    """The journal has a small message, the replay goes on with the whole payload, and what was replayed and failed again is one letter."""
    broken.add("1")
    run = anywhere.start(Flow("payloads.parks", copied >> fragile >> counted), large())
    letter = letter_of(run)
    assert len(body_of(letter)) < LIGHT
    letter.replay()
    run.wait(timeout=10)
    letter = letter_of(run)
    broken.clear()
    letter.replay()
    assert run.result(timeout=10) == Count(octets=LARGE // 2)


def test_a_letter_is_edited_to_a_large_payload(anywhere: Coordinator) -> None:
    """What a person gives is kept as what an agent gives is; a copy that comes back is the same letter."""
    broken.update({"1", "2"})
    run = anywhere.start(Flow("payloads.edited", copied >> fragile >> counted), large())
    anywhere.edit(letter_of(run), Size(id="2", text="x" * LARGE))
    run.wait(timeout=10)
    letter = letter_of(run)
    assert len(body_of(letter)) < LIGHT
    broken.clear()
    letter.replay()
    assert run.result(timeout=10) == Count(octets=LARGE)


def parked_for(anywhere: Coordinator, folder: Path, spoil: Callable[[Path], object]) -> tuple[Run, Letter]:
    """A run of which the payload was spoilt while its step was parked, and which was replayed then."""
    broken.add("1")
    run = anywhere.start(Flow("payloads.spoilt", fragile >> counted), large())
    letter = letter_of(run)
    broken.clear()
    [path] = objects(folder)
    spoil(path)
    letter.replay()
    run.wait(timeout=10)
    wait_until(lambda: letter_of(run).error == "DataMissing", description="it is parked for its payload")
    return run, letter_of(run)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(lambda path: path.unlink(), "it is not there", id="removed"),
        pytest.param(lambda path: path.write_text("{}"), "has 2 bytes", id="another size"),
        pytest.param(
            lambda path: path.write_text(path.read_text("utf-8").replace("ü", "ö"), "utf-8"),
            "another digest",
            id="another content",
        ),
        pytest.param(lambda path: path.write_bytes(b"\xff" * path.stat().st_size), "not UTF-8", id="octets"),
        pytest.param(lambda path: path.write_text("x" * path.stat().st_size), "cannot be read", id="no JSON"),
    ],
)
def test_what_cannot_be_had_is_parked_and_goes_on(
    anywhere: Coordinator, folder: Path, spoil: Callable[[Path], object], why: str
) -> None:
    """The letter says why, and the step goes on once the payload is back."""
    [kept] = [large()]
    run, letter = parked_for(anywhere, folder, spoil)
    assert letter.kind == "invalid-input"
    assert why in letter.text
    [ref] = [folder / json.loads(json.loads(body_of(letter))[0][0])["dataref"]]
    ref.write_text(json.dumps(kept.to_data(), ensure_ascii=False, separators=(",", ":")), "utf-8")
    letter.replay()
    assert run.result(timeout=10) == Count(octets=LARGE // 2)


def test_a_letter_is_shown_while_the_store_is_away(coordinator: Coordinator, folder: Path) -> None:
    """What failed is told, and that the input cannot be had now; nobody who looks is refused."""
    _, letter = parked_for(coordinator, folder, Path.unlink)
    away = folder.rename(folder.with_name("away"))
    with console(coordinator) as browser:
        page = browser.get(f"/dead-letters/{letter.id}")
        assert browser.json(f"/api/dead-letters/{letter.id}")["payload"] is None
    assert "it is not there" in page
    assert "It cannot be had now: the payload store cannot be used" in page
    away.rename(folder)


def test_a_step_whose_payload_is_gone_is_given_another(anywhere: Coordinator, folder: Path) -> None:
    """An edit needs nothing of what is gone; masks, which would, are refused."""
    run, letter = parked_for(anywhere, folder, Path.unlink)
    anywhere.edit(letter, Size(id="3", text="x" * LARGE))
    assert run.result(timeout=10) == Count(octets=LARGE)


def test_a_step_whose_payload_is_gone_is_skipped(anywhere: Coordinator, folder: Path) -> None:
    """A person gives it an outcome, and the run goes on."""
    run, letter = parked_for(anywhere, folder, Path.unlink)
    anywhere.skip(letter, Size(id="3", text="x" * LARGE))
    assert run.result(timeout=10) == Count(octets=LARGE)


def test_a_store_that_is_away_is_waited_for(live_coordinator: Coordinator, folder: Path) -> None:
    """It is an outage: nothing is parked, and the run goes on when the folder is mounted again."""
    away = folder.with_name("away")
    times: list[int] = []

    @agent("payloads.takes-away", retry=Retry(attempts=1))
    def takes_away(size: Size) -> Size:
        if not times:
            folder.rename(away)
        times.append(1)
        return Size(id=size.id, text="y" * LARGE)

    run = live_coordinator.start(Flow("payloads.away", takes_away >> counted), large())
    wait_until(lambda: times, description="the folder is away")
    assert run.status() == "running"
    away.rename(folder)
    assert run.result(timeout=20) == Count(octets=LARGE)
    assert not list(run.letters())


def test_who_reads_waits_for_a_store_that_is_away(
    live_coordinator: Coordinator, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that comes meanwhile is put off, uses up no attempt, and is read when the folder is mounted again."""
    away = folder.with_name("away")
    attempts: list[int] = []

    @agent("payloads.comes-again", retry=Retry(attempts=2, backoff=timedelta(milliseconds=10)))
    def comes_again(size: Size, context: Context) -> Size:
        attempts.append(context.attempt)
        if len(attempts) == 1:
            folder.rename(away)
            raise Transient("not yet")
        return size

    run = live_coordinator.start(Flow("payloads.put-off", comes_again >> counted), large())
    wait_until(lambda: "the payload store cannot be used" in caplog.text, description="it was put off")
    away.rename(folder)
    assert run.result(timeout=20) == Count(octets=LARGE // 2)
    assert attempts == [1, 2]
    assert not list(run.letters())


def test_a_run_that_was_paused_goes_on(anywhere: Coordinator) -> None:
    """What is held with its run has its reference, and begins with its payload."""

    @agent("payloads.pauses", retry=Retry(attempts=1))
    def pauses(size: Size, context: Context) -> Size:
        anywhere.run(context.run_id).pause()
        return size

    run = anywhere.start(Flow("payloads.paused", pauses >> counted), large())
    wait_until(lambda: run.status() == "paused", description="it is paused")
    run.resume()
    assert run.result(timeout=10) == Count(octets=LARGE // 2)


def test_a_replay_is_foreseen(coordinator: Coordinator, folder: Path) -> None:
    """Whoever asks before a replay hears that the payload is gone."""
    broken.add("1")
    run = coordinator.start(Flow("payloads.foreseen", fragile >> counted), large())
    [path] = objects(folder)
    foresight = Foresight(coordinator.engine.services, dict)
    assert not any("would park again" in word for one in foresight.of([letter_of(run)]) for word in one.meets)
    path.unlink()
    assert any("would park again" in word for one in foresight.of([letter_of(run)]) for word in one.meets)


def test_a_replay_keeps_the_payload_for_as_long_as_a_start(coordinator: Coordinator, folder: Path) -> None:
    """From then on no letter says that it is needed: it is as new."""
    broken.add("1")
    run = coordinator.start(Flow("payloads.renewed", fragile >> counted), large())
    letter = letter_of(run)
    [path] = objects(folder)
    os.utime(path, (0, 0))
    letter.replay()
    assert path.stat().st_mtime > 0


def test_payloads_are_sealed_with_the_journal(coordinator_settings: Settings, folder: Path) -> None:
    """Where the journal has no message in clear, the store has no payload in clear."""
    key = base64.b64encode(bytes(range(32))).decode()
    settings = coordinator_settings.model_copy(update={"eager": True, "journal_keys": (key,)})
    with Coordinator(settings) as sealed:
        run = sealed.start(Flow("payloads.sealed", copied >> counted), Size(id="1", text="hush" * 5_000))
        assert run.status() == "completed"
    [path] = objects(folder)
    assert b"hush" not in path.read_bytes()


def test_payloads_are_removed_when_nothing_needs_them(coordinator: Coordinator, folder: Path) -> None:
    """After their time, and once two sweeps in a row find it so: those of runs that have ended. What a live run may need stays, and what a letter
    may, also one that was put away, and though Redis has forgotten its run."""
    sweep = PayloadSweep(coordinator.engine.services, coordinator.journal)
    broken.update({"parked", "put away"})
    ended = coordinator.start(Flow("payloads.ends", copied >> counted), large("ended"))
    stays = Flow("payloads.stays", fragile >> counted)
    parked, put_away = (coordinator.start(stays, large(number)) for number in ("parked", "put away"))
    lives = Flow("payloads.lives", copied >> wait_for("said", Size) >> counted)
    waits = coordinator.start(lives, large("waits"))
    assert ended.status() == "completed"
    assert Archive(coordinator.engine.services, coordinator.journal).put_away(letter_of(put_away).id)
    assert [sweep.run(), sweep.run()] == [0, 0]  # nothing is old
    coordinator.advance(KEPT + timedelta(days=1))
    for run in (parked, put_away):  # nobody knows them any more, but for their letters
        coordinator.engine.store.redis.delete(coordinator.engine.store.keys.run(run.id))
        coordinator.journal.runs.note({run.id: Noted(stays.name, "completed")})
        assert coordinator.engine.runs.state(run.id) is None
    assert {run.id for run in (ended, parked, put_away, waits)} == {
        path.parent.name for path in objects(folder)
    }
    assert [sweep.run(), sweep.run()] == [0, 1]
    assert {path.parent.name for path in objects(folder)} == {parked.id, put_away.id, waits.id}


@pytest.mark.parametrize(
    "ref",
    ["../secret", "/etc/passwd", "file:///etc/passwd", "s3://other/x", "{run}/../secret", "other/{digest}"],
)
def test_a_reference_leads_to_its_own_run_alone(coordinator: Coordinator, folder: Path, ref: str) -> None:
    """A message that names a file, another place or another run's data is parked for that, and nothing was read."""
    (folder.parent / "secret").write_text('{"id":"1","text":"hush"}')
    broken.add("1")
    run = coordinator.start(Flow("payloads.outside", fragile >> counted), large())
    message = Message.restored(letter_of(run).row.message)
    broken.clear()
    [text], *rest = json.loads(message.body)
    envelope = json.loads(text)
    name = ref.format(run=run.id, digest=envelope["datarefdigest"])
    body = json.dumps([[json.dumps({**envelope, "dataref": name})], *rest])
    coordinator.engine.publisher.publish([replace(message, body=body)])
    said = [letter.text for letter in run.letters() if letter.kind == "invalid-input"]
    assert len(said) == 1
    assert "no reference of ours" in said[0]
