"""A person edits the input of a step: the edited one runs, once; the old one does not, whatever happens beside."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from handoffs import HistoryEntry
from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import Conflict, EditRefused, ServerError
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.store.record import StepRef
from tests.integration import shop
from tests.integration.bench import Bench, new_order
from tests.waiting import wait_until


def edited(order: str, word: str = "edited", **behaviour: str) -> dict[str, Any]:
    """An input by which to know whose it is: ``word`` is in what comes out in the end."""
    return {"order": order, "behaviour": {"by": word, **behaviour}, "trail": {}}


def parked(bench: Bench, flow: Flow = shop.chain, **behaviour: str) -> tuple[Run, Letter, str]:
    """A run that is parked because of ``behaviour``, its letter, and its order."""
    run = bench.start(flow, order := new_order(), **(behaviour or {"two": "fail"}))
    assert run.wait(20) == "parked", bench.worker.last_words()
    return run, bench.letter(run), order


def told(run: Run, kind: str, step: str = "") -> list[HistoryEntry]:
    return [entry for entry in run.history() if entry["kind"] == kind and step in ("", entry.get("step"))]


def old_copies(bench: Bench, letter: Letter, times: int = 3, replays: int = 0) -> None:
    """The message as it was before the edit comes again, as the broker or an operator's script may send it; with ``replays``, as
    a replay sends it that another person has begun in the same moment: that one runs though its step is parked."""
    message = letter.edits[0].message if letter.edits else letter.row.message
    copy = Message.restored(message).replayed(replays)
    bench.client.engine.publisher.publish([copy] * times)


def settled_once(bench: Bench, run: Run, step: str, word: str) -> None:
    """The step was settled once, with the input that has this word, and nothing of the run waits."""
    bench.wait_idle()
    settled = told(run, "settled", step)
    assert [entry["input"]["behaviour"].get("by") for entry in settled] == [word], run.history()
    assert run.result().behaviour["by"] == word
    wait_until(lambda: not run.letters(), description="no letter waits")


def test_a_parked_step(bench: Bench) -> None:
    """A parked step is edited and goes on with that, each agent taking effect once; the raw message before is in the journal."""
    run, letter, order = parked(bench)
    bench.client.edit(letter, edited(order), by="ann", why="no more failing")
    bench.completed(run)
    settled_once(bench, run, "2", "edited")
    assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}
    [entry] = told(run, "edited")
    assert (entry["by"], entry["error"]) == ("ann", "no more failing")
    assert (entry["input"]["behaviour"], entry["output"]["behaviour"]) == ({"two": "fail"}, {"by": "edited"})
    [edit] = bench.client.desk.letter(letter.id).edits
    assert (edit.who, edit.why, edit.message) == ("ann", "no more failing", letter.row.message)
    acts = [(act.action, act.who, act.note) for act in bench.client.journal.actions.of(run.id)]
    assert acts == [("edit", "ann", "no more failing"), ("replay", "ann", "no more failing")]


def test_old_copies_run_the_edited_input(bench: Bench) -> None:
    """Copies of the old message, before, beside and after the edited one, do not run the old input, though it could run."""
    run, letter, order = parked(bench)
    with bench.not_consuming("shop.two"):
        old_copies(bench, letter)
        bench.mend(order)  # the old input would be done now
        bench.client.edit(letter, edited(order))
        old_copies(bench, bench.client.desk.letter(letter.id))
    bench.completed(run)
    old_copies(bench, bench.client.desk.letter(letter.id))
    settled_once(bench, run, "2", "edited")
    assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}
    assert told(run, "late") == []


def test_old_copies_of_an_edited_step_that_fails_too(bench: Bench) -> None:
    """An edited input that fails is parked as such, even where an old copy brought it there; a replay of it is edited too."""
    run, letter, order = parked(bench)
    with bench.not_consuming("shop.two"):
        bench.client.edit(letter, edited(order, "first", two="fail"))
        old_copies(bench, bench.client.desk.letter(letter.id), times=2)
    letter = bench.letter(run, times=2)
    bench.wait_idle()
    assert letter.row.payload["behaviour"] == {"by": "first", "two": "fail"}
    assert json.loads(json.loads(letter.row.message["body"])[0][0])["data"]["behaviour"]["by"] == "first"
    wait_until(
        lambda: _edited(bench, letter, edited(order, "second"), by="bob"),
        description="no copy that was put off runs the first edit any more",
    )
    # a copy that failed before may be parked only now
    wait_until(lambda: run.status() == "completed", description="the second edit has made it")
    settled_once(bench, run, "2", "second")
    assert [edit.number for edit in letter.edits] == [1, 2]
    assert bench.effects(run)["two"] == 1


def _edited(bench: Bench, letter: Letter, given: dict[str, Any], by: str) -> bool:
    """Whether a letter could be edited: it cannot while a copy of its message runs."""
    try:
        bench.client.edit(letter, given, by=by)
    except EditRefused:
        return False
    return True


def test_while_an_old_copy_runs(bench: Bench) -> None:
    """While a replay of the parked message runs, the edit is refused, and what runs counts."""
    run, letter, order = parked(bench, two="fail-then-hold")
    shop.flag(order, "two.hold", bench.folder).touch()
    old_copies(bench, letter, times=1, replays=1)
    bench.wait_flag(order, "two.began")
    with pytest.raises(EditRefused, match="it runs now"):
        bench.client.edit(letter, edited(order))
    bench.mend(order)
    wait_until(lambda: run.status() != "parked", description="the copy has made it")
    bench.completed(run)
    assert told(run, "edited") == []
    with pytest.raises(EditRefused):
        bench.client.edit(letter, edited(order))
    assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}


def _unseen(bench: Bench, run: Run, step: str) -> None:
    """Nobody can see that the step runs: as when it begins in the very moment of an edit."""
    engine = bench.client.engine
    engine.store.redis.hdel(engine.store.keys.run(run.id), f"r:{step}")


@pytest.mark.parametrize("key", ["the same key", "another key"])
def test_an_old_copy_that_began_unseen(bench: Bench, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old input that was begun in the moment of the edit brings a late outcome. Under the same key the step is then parked
    as a conflict, for its effect was taken; under another key the edited input is what counts."""
    run, letter, order = parked(bench, two="fail-then-hold")
    shop.flag(order, "two.hold", bench.folder).touch()
    old_copies(bench, letter, times=1, replays=1)
    bench.wait_flag(order, "two.began")
    _unseen(bench, run, "2")
    monkeypatch.setattr(bench.client.engine.store, "lease_of", lambda agent, key: None)
    given = edited(order if key == "the same key" else new_order())
    bench.client.edit(letter, given)
    bench.mend(order)
    if key == "another key":
        bench.completed(run)
        wait_until(lambda: told(run, "late"), description="the old outcome is late")
        assert run.result().behaviour["by"] == "edited"
        assert len(told(run, "settled", "2")) == 1
        return
    wait_until(lambda: told(run, "late"), description="the old outcome is late")
    wait_until(lambda: run.status() == "parked", description="it is a conflict")
    conflict = wait_until(
        lambda: [one for one in run.letters() if one.row.kind == "conflict"], description="there is a letter"
    )
    bench.wait_idle()
    assert told(run, "settled", "3") == []
    assert bench.effects(run) == {"one": 1, "two": 1, "three": 0}
    monkeypatch.undo()
    with pytest.raises(Conflict, match="which has its outcome"):
        bench.client.edit(conflict[0], edited(order, "again"))
    back = told(run, "edited")[0]["input"]
    bench.client.edit(conflict[0], {"order": order, **back})  # to what its effect was taken with
    wait_until(
        lambda: run.status() == "completed",
        description="it goes on, though a copy was parked a moment before",
    )
    bench.completed(run)
    assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}
    assert run.result().trail["two"] == told(run, "late")[0]["output"]["trail"]["two"]


def test_many_edit_at_once(bench: Bench) -> None:
    """Of many operators each is told whether his edit was taken; the last that was is what runs, once."""
    run, letter, order = parked(bench)
    ready = threading.Barrier(8)

    def edit(number: int) -> bool:
        ready.wait(10)
        try:
            bench.client.edit(letter, edited(order, f"w{number}"), by=f"w{number}")
        except EditRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(edit, range(8)))
    bench.completed(run)
    entries = told(run, "edited")
    assert len(entries) == sum(taken) > 0
    settled_once(bench, run, "2", entries[-1]["by"])
    assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}
    assert [edit.number for edit in letter.edits][-1] == len(entries)


def _broken(*_: Any, **__: Any) -> None:
    raise ServerError("the broker is away")


def test_a_crash_between_recording_and_publishing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor that dies after recording leaves the step parked; whoever replays it replays the edited input."""
    run, letter, order = parked(bench)
    bench.mend(order)
    with monkeypatch.context() as patch:
        patch.setattr(bench.client.desk, "replay", _broken)
        with pytest.raises(ServerError):
            bench.client.edit(letter, edited(order), by="ann")
    assert run.status() == "parked"
    assert bench.letter(run).row.message == letter.row.message
    bench.letter(run).replay(by="bob")
    bench.completed(run)
    settled_once(bench, run, "2", "edited")
    [edit] = letter.edits
    assert (edit.who, edit.message) == ("ann", letter.row.message)


def test_the_broker_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the edited message cannot be sent, the step waits as before, edited; even Redis may forget the run then."""
    run, letter, order = parked(bench)
    bench.mend(order)
    store = bench.client.engine.store
    with monkeypatch.context() as patch:
        patch.setattr(bench.client.engine.publisher, "publish", _broken)
        with pytest.raises(ServerError):
            bench.client.edit(letter, edited(order))
    assert run.status() == "parked"
    waiting = bench.letter(run)
    assert waiting.row.message != letter.row.message
    store.redis.delete(store.keys.run(run.id))
    waiting.replay()
    wait_until(lambda: told(run, "settled", "3"), description="the run has come to its end")
    assert [entry["input"]["behaviour"] for entry in told(run, "settled", "2")] == [{"by": "edited"}]


def test_a_branch(bench: Bench) -> None:
    """A part of a join, nested or not, is edited by itself; its siblings, and what joins them, are as they were."""
    run, letter, order = parked(bench, shop.nested, inner="fail")
    bench.client.edit(letter, edited(order))
    result = bench.completed(run)
    bench.wait_idle()
    assert set(bench.effects(run).values()) == {1}
    assert set(result.trail) == {"one", "left", "inner", "other", "right", "join", "innerjoin", "three"} - {
        "one",
        "left",
    } | {
        "one",
        "left",
    }
    assert [entry["input"]["behaviour"] for entry in told(run, "settled", letter.row.step)] == [
        {"by": "edited"}
    ]


def test_a_join(bench: Bench) -> None:
    """What a join has put together is edited as a whole."""
    run, letter, order = parked(bench, shop.header, join="fail")
    half = edited(order)
    bench.client.edit(letter, {"left": half, "right": half})
    assert bench.completed(run).behaviour == {"by": "edited"}
    old_copies(bench, bench.client.desk.letter(letter.id))
    bench.wait_idle()
    assert bench.effects(run) == {"one": 1, "left": 1, "right": 1, "join": 1}


def test_an_edited_input_that_kills_its_worker(bench: Bench) -> None:
    """An edited input that costs a process its life is parked, and edited once more; its key is free for that."""
    run, letter, _ = parked(bench)
    other = new_order()
    bench.client.edit(letter, edited(other, "first", two="kill-child"))
    letter = bench.letter(run, times=2)
    assert letter.row.kind in {"worker-lost", "time-limit"}  # whichever the pool notices first
    bench.client.edit(letter, edited(other, "second"))
    bench.completed(run)
    settled_once(bench, run, "2", "second")


def test_an_edit_to_a_key_that_stands_for_something_else(bench: Bench) -> None:
    """Another run's key with another content is refused at once, and by the claim where it comes in between."""
    other = bench.start(shop.chain, taken := new_order())
    bench.completed(other)
    run, letter, _ = parked(bench)
    with pytest.raises(Conflict, match="stands for another input"):
        bench.client.edit(letter, edited(taken))
    assert run.status() == "parked"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.client.engine.store, "lease_of", lambda agent, key: None)
        bench.client.edit(letter, edited(taken))
    again = bench.letter(run, times=2)
    assert again.row.kind == "conflict"
    run.cancel()
    with pytest.raises(EditRefused, match="is cancelled"):
        bench.client.edit(again, edited(new_order()))


def test_a_run_that_ends_beside(bench: Bench) -> None:
    """A step that was skipped meanwhile is not edited; a cancelled run's old and edited messages do nothing."""
    run, letter, order = parked(bench)
    bench.client.skip(letter, edited(order, "skipped"), by="ann", why="known")
    with pytest.raises(EditRefused):
        bench.client.edit(letter, edited(order))
    assert bench.completed(run).behaviour["by"] == "skipped"
    run, letter, order = parked(bench)
    with bench.not_consuming("shop.two"):
        bench.client.edit(letter, edited(order))
        run.cancel()
    old_copies(bench, letter)
    bench.wait_idle()
    assert run.status() == "cancelled"
    assert bench.effects(run) == {"one": 1, "two": 0, "three": 0}


class TestPaused:
    def held(self, bench: Bench) -> tuple[Run, str]:
        """A paused run whose second step is held."""
        run = bench.start(shop.chain, order := new_order(), one="hold")
        bench.wait_flag(order, "one.began")
        run.pause()
        bench.mend(order)
        wait_until(
            lambda: "2" in (bench.client.engine.runs.get(run.id) or _none()).held, description="it is held"
        )
        return run, order

    def test_a_held_step(self, bench: Bench) -> None:
        """It begins with the edited input when the run is resumed; old copies of its message, then and later, do too."""
        run, order = self.held(bench)
        held = bench.client.engine.runs.get(run.id).held["2"]  # type: ignore[union-attr]
        assert (held["agent"], held["payload"]["order"]) == ("shop.two", order)
        run.edit("2", edited(order), by="ann", why="in time")
        assert run.status() == "paused"
        run.resume()
        bench.completed(run)
        settled_once(bench, run, "2", "edited")
        assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}
        [entry] = told(run, "edited")
        assert (entry["by"], entry["error"], entry["input"]["order"]) == ("ann", "in time", order)
        assert entry["input"]["behaviour"] == {"one": "hold"}

    def test_what_is_not_held(self, bench: Bench) -> None:
        """A step that runs while its run is paused, one that is settled, and one that is not sent yet are refused."""
        run = bench.start(shop.chain, order := new_order(), two="hold")
        bench.wait_flag(order, "two.began")
        run.pause()
        for step in ("1", "2", "3"):
            with pytest.raises(EditRefused, match="neither parked nor held"):
                run.edit(step, edited(order))
        bench.mend(order)
        run.resume()
        bench.completed(run)
        assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}

    def test_a_copy_of_what_runs_is_held(self, bench: Bench) -> None:
        """Where a copy of the running step's message is held, the step runs all the same, and is not edited."""
        run = bench.start(shop.single, order := new_order(), patient="hold")
        [message] = bench_first(bench, run, order)
        bench.wait_flag(order, "patient.began")
        run.pause()
        bench.client.engine.publisher.publish([message])
        record = bench.client.engine.runs.get
        wait_until(lambda: "1" in (record(run.id) or _none()).held, description="the copy is held")
        with pytest.raises(EditRefused, match="it runs now"):
            run.edit("1", edited(order))
        bench.mend(order)
        run.resume()
        bench.completed(run)
        assert told(run, "edited") == []

    def test_held_then_parked(self, bench: Bench) -> None:
        """A held step that is edited and fails is parked with its edited input, and the message before is kept."""
        run, order = self.held(bench)
        run.edit("2", edited(order, "first", two="fail"), by="ann")
        shop.flag(order, "mended", bench.folder).unlink()
        run.resume()
        assert run.wait(20) == "parked"
        letter = bench.letter(run)
        [edit] = letter.edits
        assert (edit.who, edit.number) == ("ann", 1)
        assert json.loads(json.loads(edit.message["body"])[0][0])["data"]["behaviour"] == {"one": "hold"}
        run.edit("2", edited(order, "second"), by="bob")
        bench.completed(run)
        settled_once(bench, run, "2", "second")
        assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}

    def test_cancelled(self, bench: Bench) -> None:
        """An edited step of a paused run that is cancelled does not run."""
        run, order = self.held(bench)
        run.edit("2", edited(order))
        run.cancel()
        with pytest.raises(CoordinationError):
            run.edit("2", edited(order, "again"))
        bench.wait_idle()
        assert bench.effects(run) == {"one": 1, "two": 0, "three": 0}


def bench_first(bench: Bench, run: Run, order: str) -> list[Message]:
    """The first message of a run of the patient's, once more."""
    assert run.flow is not None
    return [bench.first_message(run.flow, run.id, {"order": order, "behaviour": {"patient": "hold"}})]


def _none() -> Any:
    raise AssertionError("there is no such run")


def test_command_line(bench: Bench, tmp_path: Path) -> None:
    """`dead-letters edit` takes a file, `dead-letters skip` and `runs edit` an object; mistakes end in a line."""

    def command(*arguments: str) -> tuple[int | None, str]:
        program = bench.installation.program(
            f"cli-{new_order()}", *arguments, AGENTS="tests.integration.shop"
        )
        wait_until(lambda: not program.running, description=f"{arguments} has ended")
        return program.status, program.log()

    run, letter, order = parked(bench)
    file = tmp_path / "input.json"
    file.write_text(json.dumps(edited(order)))
    status, said = command(
        "dead-letters", "edit", letter.id, "--payload", f"@{file}", "--why", "by hand", "--by", "ann"
    )
    assert (status, "edited and replayed" in said) == (0, True), said
    bench.completed(run)
    [entry] = told(run, "edited")
    assert (entry["by"], entry["error"]) == ("ann", "by hand")
    status, said = command("dead-letters", "show", letter.id, "--json")
    assert [(edit["who"], edit["why"]) for edit in json.loads(said[said.index("{") :])["edits"]] == [
        ("ann", "by hand")
    ]
    for arguments, why in (
        (("--payload", json.dumps(edited(order)), "--why", "x"), "cannot be edited"),
        (("--payload", '{"order": 5}', "--why", "x"), "not a valid"),
        (("--payload", "@/nowhere/at/all", "--why", "x"), "cannot be read"),
        (("--payload", "[]", "--why", "x"), "no JSON object"),
        (("--payload", "{", "--why", "x"), "Invalid value"),
        (("--payload", "{}"), "Missing option '--why'"),
    ):
        status, said = command("dead-letters", "edit", letter.id, *arguments)
        assert status in {1, 2}, said
        assert why in said
        assert "Traceback" not in said
    run, letter, order = parked(bench)
    status, said = command(
        "dead-letters", "skip", letter.id, "--output", json.dumps(edited(order, "skipped")), "--why", "known"
    )
    assert (status, "step 2" in said) == (0, True), said
    assert bench.completed(run).behaviour["by"] == "skipped"
    run, letter, order = parked(bench)
    status, said = command("runs", "show", run.id, "--json")
    [now] = json.loads(said[said.index("{") :])["now"]
    assert (now["step"], now["state"], now["says"]) == ("2", "parked", "parked: error: Broken: two is broken")
    status, said = command("runs", "show", run.id)
    assert "parked: error: Broken" in said
    status, said = command("runs", "edit", run.id, "2", "--payload", json.dumps(edited(order)), "--why", "x")
    assert status == 0, said
    assert bench.completed(run).behaviour["by"] == "edited"


@pytest.mark.parametrize("text", ['{"number":1}', "{", "[]", '"x"', '{"number":"many"}', "null"])
def test_redis_has_something_else_there(bench: Bench, text: str) -> None:
    """Where what the run has as its edited input cannot be read, the step is parked with that reason, and not run."""
    run, letter, order = parked(bench)
    store = bench.client.engine.store
    store.redis.hset(store.keys.run(run.id), "i:2", text)
    bench.mend(order)
    letter.replay()
    again = bench.letter(run, times=2)
    assert (again.row.kind, "cannot be read" in again.row.text) == ("invalid-input", True)
    assert store.edit_of(StepRef(run.id, "", "2"))
    run.cancel()
