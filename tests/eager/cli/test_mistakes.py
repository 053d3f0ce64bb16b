"""What looks like success and is none is said: on standard error, with a status that a script sees."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import ValidationError
from redis.exceptions import AuthenticationError, ConnectionError  # noqa: A004

from handoffs import Contract, Coordinator, ExactDecimal, Flow, Key, Permanent, agent, wait_for
from handoffs.config.settings import SettingsError, load
from handoffs.contracts.errors import ContractError, InvalidData
from handoffs.coordinator.cli.check import remarks
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import LetterClosed, LoadError, ServerError, UnknownRun
from handoffs.coordinator.flow.loading import Definitions, load_modules
from handoffs.coordinator.observe.current import Current, State, unsettled
from handoffs.coordinator.observe.served import coordinator_processes
from handoffs.coordinator.render.streams import ReaderGone
from handoffs.coordinator.store.scripts import redis_error
from tests.eager.command import Command, have_loaded
from tests.waiting import wait_until


class Parcel(Contract, name="slip.parcel", version=1):
    number: str = Key()


class Word(Contract, name="slip.word", version=1):
    said: str


BROKEN: set[str] = set()


@agent("slip.pack")
def pack(parcel: Parcel) -> Parcel:
    if parcel.number in BROKEN:
        raise Permanent(f"no box for {parcel.number}")
    return parcel


@agent("slip.send")
def send(word: Word) -> Word:
    return word


PACKS = Flow("slip.packs", pack)
ASKS = Flow("slip.asks", pack >> wait_for("word", Word) >> send)


@pytest.fixture(autouse=True)
def _mended() -> Iterator[None]:
    BROKEN.clear()
    yield
    BROKEN.clear()


@pytest.fixture
def desk(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    """A coordinator that has the flows of this module loaded."""
    have_loaded(coordinator, monkeypatch, PACKS, ASKS)
    return coordinator


def failed(desk: Coordinator, number: str) -> Run:
    """A run that is parked at its only step."""
    BROKEN.add(number)
    run = desk.start(PACKS, Parcel(number=number))
    assert run.status() == "parked"
    return run


class TestEnded:
    @pytest.mark.parametrize(
        "asked",
        [("cancel",), ("cancel", "--compensate"), ("give-up",), ("pause",), ("resume",)],
    )
    def test_what_is_asked_of_a_completed_run_is_refused(
        self, desk: Coordinator, command: Command, asked: tuple[str, ...]
    ) -> None:
        """One line says that it had ended, how, and that nothing was done; the status is that of a refusal."""
        run = desk.start(PACKS, Parcel(number="1"))
        name, *more = asked
        status, out, err = command(desk, "runs", name, run.id, *more)
        assert (status, out) == (1, "")
        assert f"run {run.id} had ended before: it is completed" in err
        undoes = name == "give-up" or bool(more)
        assert ("nothing of it was undone" if undoes else "nothing was changed") in err
        assert len(err.splitlines()) == 1
        assert run.status() == "completed"

    def test_a_run_may_be_cancelled_once_more(self, desk: Coordinator, command: Command) -> None:
        """It is what was asked for already; only that it be undone as well is refused."""
        run = desk.start(ASKS, Parcel(number="1"))
        for _ in range(2):
            assert command(desk, "runs", "cancel", run.id)[:2] == (0, f"run {run.id}: cancelled\n")
        status, _, err = command(desk, "runs", "cancel", run.id, "--compensate")
        assert status == 1
        assert "it is cancelled" in err
        assert "nothing of it was undone" in err

    def test_a_run_that_goes_on_is_paused_and_resumed(self, desk: Coordinator, command: Command) -> None:
        """As before, without a word on standard error."""
        run = desk.start(ASKS, Parcel(number="1"))
        assert command(desk, "runs", "pause", run.id) == (0, f"run {run.id}: paused\n", "")
        assert command(desk, "runs", "resume", run.id) == (0, f"run {run.id}: running\n", "")


class TestSignals:
    def test_a_signal_that_was_taken_says_so(self, desk: Coordinator, command: Command) -> None:
        """And what its run does now."""
        run = desk.start(ASKS, Parcel(number="1"))
        sent = ("runs", "signal", run.id, "word", "--payload", '{"said": "go"}')
        status, out, _ = command(desk, *sent)
        assert (status, out) == (0, f"the signal 'word' was taken; run {run.id}: completed\n")

    def test_a_signal_that_comes_too_late_says_what_the_run_is(
        self, desk: Coordinator, command: Command
    ) -> None:
        """That its wait is over, and what to do; in Python too."""
        run = desk.start(ASKS, Parcel(number="1"))
        run.signal("word", Word(said="go"))
        with pytest.raises(UnknownRun, match="is completed; the signal 'word' was not taken, and its wait"):
            run.signal("word", Word(said="go"))
        status, _, err = command(desk, "runs", "signal", run.id, "word", "--payload", '{"said": "go"}')
        assert status == 1
        assert "is completed" in err
        assert f"coordinator runs show {run.id}" in err


class TestLetters:
    def test_a_letter_that_waits_no_more_is_not_replayed(self, desk: Coordinator, command: Command) -> None:
        """By its id it is refused, also in a dry run, and the run is as it was."""
        run = failed(desk, "1")
        [letter] = run.letters()
        BROKEN.clear()
        letter.replay()
        assert run.status() == "completed"
        before = len(run.history())
        with pytest.raises(LetterClosed, match="does not wait any more: it"):
            desk.desk.replay(letter.id)
        status, out, err = command(desk, "dead-letters", "replay", letter.id)
        assert (status, out) == (3, "0 replayed\n")
        assert "does not wait any more" in err
        assert (
            "0 would be replayed, 1 refused"
            in command(desk, "dead-letters", "replay", letter.id, "--dry-run")[1]
        )
        assert len(run.history()) == before

    def test_a_filter_does_not_count_it(self, desk: Coordinator, command: Command) -> None:
        """What somebody has replayed meanwhile is not among what a filter selects."""
        done, _ = failed(desk, "1").letters()[0], failed(desk, "2")
        BROKEN.clear()
        done.replay()
        status, out, err = command(desk, "dead-letters", "replay", "--agent", "slip.pack")
        assert (status, out) == (0, "1 replayed\n")
        assert "does not wait" not in err

    def test_a_letter_that_is_parked_again_is_replayed_again(self, desk: Coordinator) -> None:
        """Under the id that it had."""
        run = failed(desk, "1")
        [letter] = run.letters()
        letter.replay()
        assert run.status() == "parked"
        BROKEN.clear()
        run.letters()[0].replay()
        assert run.status() == "completed"


class TestNames:
    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            (("runs", "list", "--flow", "slip.pack"), "no flow called 'slip.pack' is known here or in the journal; is slip.packs meant?"),
            (("runs", "list", "--flow", "nix"), "no flow called 'nix' is known here or in the journal"),
            (("runs", "list", "--failed-at", "slip.pak"), "no agent or step called 'slip.pak' is known here or in the journal; is slip.pack meant?"),
            (("approvals", "list", "--flow", "nix"), "no flow called 'nix' is known here or in the journal"),
            (("dead-letters", "list", "--flow", "nix"), "no flow called 'nix' is known here or in the journal"),
            (("dead-letters", "list", "--agent", "nix"), "no agent called 'nix' is known here or in the journal"),
            (("dead-letters", "list", "--kind", "nix"), "no kind of failure is called 'nix'; there are: allowance-spent, "),
            (("dead-letters", "replay", "--agent", "nix"), "no agent called 'nix' is known here or in the journal"),
        ],
    )  # fmt: skip
    def test_a_name_that_nobody_knows_is_told(
        self, desk: Coordinator, command: Command, asked: tuple[str, ...], told: str
    ) -> None:
        """Where nothing was found for it: in a line on standard error, also where the list is for programs; the status stays."""
        failed(desk, "1")
        for more in ((), ("--json",)):
            status, _, err = command(desk, *asked, *more)
            assert status == 0
            assert [line for line in err.splitlines() if line.startswith(f"coordinator: {told}")]

    @pytest.mark.parametrize(
        "asked",
        [
            ("runs", "list", "--flow", "slip.asks"),
            ("runs", "list", "--failed-at", "slip.send"),
            ("runs", "list", "--failed-at", "9.a"),
            ("dead-letters", "list", "--flow", "slip.asks"),
            ("dead-letters", "list", "--agent", "slip.send"),
            ("dead-letters", "list", "--kind", "time-limit"),
        ],
    )
    def test_a_name_that_is_known_is_not_told_of(
        self, desk: Coordinator, command: Command, asked: tuple[str, ...]
    ) -> None:
        """That nothing was found is all there is to say."""
        status, _, err = command(desk, *asked)
        assert (status, err) == (0, "")


class TestNobody:
    @pytest.mark.parametrize("asked", [("runs", "show"), ("dead-letters", "list"), ("start", "slip.packs")])
    def test_that_no_coordinator_process_is_at_work_is_told(
        self, desk: Coordinator, command: Command, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...]
    ) -> None:
        """By each command whose answer waits for one; and nothing is told of it where one is, or where nobody can say."""
        run = failed(desk, "1")
        more = [run.id] if asked == ("runs", "show") else []
        more = ["--payload", '{"number": "1"}'] if asked[0] == "start" else more
        serving: list[int] = [0]
        monkeypatch.setattr("handoffs.coordinator.cli.unserved.is_embedded", lambda _: False)
        monkeypatch.setattr("handoffs.coordinator.cli.unserved.coordinator_processes", lambda _: serving[0])
        told = "no coordinator process is at work: dead letters, budgets and history wait for one: coordinator serve"
        assert told in command(desk, *asked, *more)[2]
        serving[0] = 1
        assert told not in command(desk, *asked, *more)[2]

        def unknown(_: object) -> int:
            raise ServerError("the broker is away")

        monkeypatch.setattr("handoffs.coordinator.cli.unserved.coordinator_processes", unknown)
        status, _, err = command(desk, *asked, *more)
        assert "at work" not in err
        assert status == (3 if asked[0] == "start" else 0)

    def test_a_run_that_has_ended_waits_for_nobody(
        self, desk: Coordinator, command: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So it is not asked who is at work."""
        run = desk.start(PACKS, Parcel(number="1"))
        monkeypatch.setattr("handoffs.coordinator.cli.unserved.is_embedded", lambda _: False)
        monkeypatch.setattr("handoffs.coordinator.cli.unserved.coordinator_processes", lambda _: 0)
        assert command(desk, "runs", "show", run.id)[2] == ""

    def test_who_takes_dead_letters_is_at_work(self, live_coordinator: Coordinator) -> None:
        """A coordinator process that has begun is counted, and none is where the queue has nobody."""
        run = live_coordinator.start(PACKS, Parcel(number="1"))
        assert run.wait(20) == "completed"
        services = live_coordinator.engine.services
        wait_until(lambda: coordinator_processes(services) == 1, description="it takes dead letters")
        live_coordinator.close()

    def test_check_remarks_who_is_missing(
        self, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Loaded agents of which no worker is alive, no coordinator process, and a journal in a file."""
        monkeypatch.setattr("handoffs.coordinator.cli.check.coordinator_processes", lambda _: 0)
        definitions, services = Definitions(), coordinator.engine.services
        definitions.agents.update({one.name: one for one in (pack, send)})
        told = dict(remarks(services, definitions))
        assert told["workers"].startswith("nobody is at work as slip.pack, slip.send; start a worker")
        assert told["coordinator process"].startswith("no coordinator process is at work")
        monkeypatch.setattr("handoffs.coordinator.cli.check.coordinator_processes", lambda _: 2)
        services.announcements.announce(services.manifest(pack).to_json(), "here", timedelta(minutes=1))
        told = dict(remarks(services, definitions))
        assert told["workers"].startswith("nobody is at work as slip.send;")
        assert told["coordinator process"] == "2 at work"
        in_a_file = services.settings.model_copy(update={"journal_url": None})
        told = dict(remarks(replace(services, settings=in_a_file), definitions))
        assert told["journal file"].endswith("set COORDINATOR_JOURNAL_URL")


class TestInputs:
    def test_an_edit_asks_for_the_whole_input(self, desk: Coordinator, command: Command) -> None:
        """Where a field is missing in it, the error names all that there are."""
        [letter] = failed(desk, "1").letters()
        edited = ("dead-letters", "edit", letter.id, "--why", "x", "--payload", "{}")
        status, _, err = command(desk, *edited)
        assert status == 1
        assert "nothing was edited; give the whole input; it has: number" in err
        status, _, err = command(desk, *edited[:-1], '{"number": 5}')
        assert status == 1
        assert "whole input" not in err

    def test_a_key_in_the_place_of_an_id_is_told(self, desk: Coordinator, command: Command) -> None:
        """With the command that finds its runs."""
        desk.start(PACKS, Parcel(number="c-7"))
        status, _, err = command(desk, "runs", "show", "c-7")
        assert status == 1
        assert "there is no run 'c-7', but c-7 is the key of some" in err
        assert "coordinator runs list --key c-7" in err
        assert "--key" not in command(desk, "runs", "show", "c-8")[2]

    @pytest.mark.parametrize(
        ("asked", "reads"), [(("runs", "list"), True), (("runs", "cancel", "abcd"), False)]
    )
    def test_a_server_that_goes_away_while_it_is_read(
        self,
        desk: Coordinator,
        command: Command,
        monkeypatch: pytest.MonkeyPatch,
        asked: tuple[str, ...],
        reads: bool,
    ) -> None:
        """Nothing was to be recorded then, and nothing else is said; what changes something says that it may have."""

        def away(*_: Any, **__: Any) -> None:
            raise redis_error(ConnectionError("gone"))

        monkeypatch.setattr(desk, "runs", away)
        monkeypatch.setattr(desk, "find_run", away)
        status, _, err = command(desk, *asked)
        assert status == 1
        assert ("nothing was asked to be recorded" in err) == reads
        assert ("may have been recorded or not" in err) != reads


def test_a_wrong_password_is_told_as_that() -> None:
    """And where the right one is to be set."""
    said = str(redis_error(AuthenticationError("WRONGPASS invalid username-password pair")))
    assert "it refuses the user or the password" in said
    assert "COORDINATOR_REDIS_URL" in said
    assert "may have been recorded" not in said


def test_a_folder_that_is_found_instead_of_a_module_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python takes a folder without ``__init__.py`` for a package: the path tells where that is."""
    (tmp_path / "slipfolder").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(LoadError, match=f"is the folder {tmp_path}/slipfolder, which has no __init__.py"):
        load_modules(["slipfolder"])


@pytest.mark.parametrize(
    ("given", "kind"), [(600, "an integer"), (6.5, "a float"), (True, "true or false"), (None, "nothing")]
)
def test_what_is_given_for_an_exact_decimal_is_called_what_it_is(given: Any, kind: str) -> None:
    """In JSON a text is asked for, in Python a Decimal."""

    class Sum(Contract, name="slip.sum", version=1):
        amount: ExactDecimal

    with pytest.raises(InvalidData, match=f"written as a text, never as {kind}"):
        Sum.from_data({"amount": given})
    with pytest.raises(ValidationError, match=f"written as a Decimal, never as {kind}"):
        Sum(amount=given)
    with pytest.raises(ValidationError, match="written as a Decimal, never as a text"):
        Sum(amount="9.90")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("COORDINATOR_AGENT", "COORDINATOR_AGENTS"),
        ("coordinator_brokr_url", "COORDINATOR_BROKER_URL"),
        ("COORDINATOR_XYZZY", ""),
    ],
)
def test_a_misspelt_setting_is_told_with_the_one_that_is_like_it(
    name: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where there is none like it, where their names are."""
    monkeypatch.setenv(name, "hush")
    with pytest.raises(SettingsError) as refused:
        load()
    assert (f"{name} is like {meant}" in str(refused.value)) == bool(meant)
    assert (" is like " in str(refused.value)) == bool(meant)
    assert "docs/settings.md has the names" in str(refused.value)


def test_a_parked_subscriber_is_told_of_where_no_run_is_parked_at_it(
    desk: Coordinator, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that hears an event holds up no run of a flow: its letters are named where its failures are looked for."""
    failed(desk, "1")
    monkeypatch.setattr(desk, "runs", lambda **_: [])
    status, _, err = command(desk, "runs", "list", "--failed-at", "slip.pack")
    assert status == 0
    assert "coordinator dead-letters list --agent slip.pack" in err


class TestStart:
    def test_what_was_read_first_gives_way_to_what_was_read_later(self) -> None:
        """A step of which the history has the outcome is not at work as well; one that is parked stays."""
        states: dict[str, State] = {"1": "queued", "2": "parked", "3": "running"}
        doing = [Current(step, "slip.pack", state, None) for step, state in states.items()]
        history = [{"kind": "settled", "step": "1"}, {"kind": "settled", "step": "2"}, {"kind": "started"}]
        assert [one.step for one in unsettled(doing, history)] == ["2", "3"]

    def test_a_field_that_is_not_sent_is_told(
        self, desk: Coordinator, command: Command, tmp_path: Path
    ) -> None:
        """Readers are open, so it is no fault: a line on standard error says which it is, and what fields there are."""
        given = '{"number": "1", "nummer": "2"}'
        status, _, err = command(desk, "start", "slip.packs", "--payload", given)
        assert status == 0
        assert "slip.parcel/1 has no field nummer: it is not sent; it has: number" in err
        file = tmp_path / "parcels.jsonl"
        file.write_text(given.replace("1", "3") + "\n" + '{"number": "4"}\n')
        status, _, err = command(desk, "start", "slip.packs", "--input", str(file))
        assert status == 0
        assert err.count("has no field nummer") == 1

    def test_what_is_sent_whole_is_told_nothing_of(self, desk: Coordinator, command: Command) -> None:
        """Standard error stays empty."""
        assert command(desk, "start", "slip.packs", "--payload", '{"number": "1"}')[::2] == (0, "")


@pytest.mark.parametrize("hint", [str, Annotated[str, Key]])
def test_a_key_field_without_parentheses_is_refused(hint: Any) -> None:
    """Where it is declared: it would be no key at all."""
    members: dict[str, Any] = {"__module__": __name__, "__annotations__": {"number": hint}}
    if hint is str:
        members["number"] = Key
    with pytest.raises(ContractError, match=r"write Key\(\)"):
        type("Bare", (Contract,), members, name="slip.bare", version=1)


def test_a_reader_that_has_seen_enough_is_told_nothing(
    desk: Coordinator, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the pipe is closed the command ends without a word, with the status of one that SIGPIPE ends."""

    def gone(*_: Any) -> None:
        raise ReaderGone

    monkeypatch.setattr("handoffs.coordinator.cli.run_lists.print_json", gone)
    assert command(desk, "runs", "list", "--json") == (141, "", "")
