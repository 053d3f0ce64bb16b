"""What holds for every command, one that is added tomorrow too: who acts is written down with the reason, ids may be begun, and people
see the time of where they are."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handoffs import Coordinator
from handoffs.coordinator.cli.schedules import _cells
from handoffs.coordinator.client.operation import Pace
from handoffs.coordinator.observe.scheduling import standing
from handoffs.coordinator.store.schedules import Progress
from tests.eager.command import Command
from tests.eager.office import AGENT, BUILD, FILES, PRICES, Filed, Office, Order, commands, options
from tests.integration.nights import each_second

Arguments = Callable[[Office], list[str]]


def _run(*words: str) -> Arguments:
    return lambda office: [office.failed.id, *words]


def _held(office: Office) -> list[str]:
    office.asking.pause()
    return [office.asking.id]


def _operation(office: Office) -> list[str]:
    """An operation that is begun, and whose process has gone away."""
    return [office.coordinator.operating.begin("replay", {}, Pace(), by="", why="as agreed").id]


def _put_away(office: Office) -> list[str]:
    office.coordinator.archive_letters(office.letter)
    return [office.letter.id]


def _group(office: Office) -> list[str]:
    return [office.coordinator.letter_groups()[0].id]


def _file(*words: str) -> list[str]:
    return [*words, str(Path(tempfile.mkdtemp()) / "written")]


ACTS: dict[str, tuple[str, Arguments]] = {
    "dead-letters archive": ("archive", lambda office: [office.letter.id]),
    "dead-letters restore": ("restore", _put_away),
    "operations cancel": ("cancel-operation", _operation),
    "operations resume": ("resume-operation", _operation),
    "approvals answer": ("signal", lambda office: [office.asking.id, "--set", "approved=true"]),
    "contracts record-deployment": ("record-deployment", lambda _: ["payments.fraud", "--build", "new"]),
    "contracts withdraw": ("withdraw-deployment", lambda _: [AGENT]),
    "dead-letters edit": ("edit", lambda office: [office.letter.id, "--payload", '{"number": "mended"}']),
    "dead-letters replay": ("replay", lambda office: [office.letter.id]),
    "dead-letters reseal": ("reseal", lambda _: []),
    "dead-letters skip": ("skip", lambda office: [office.letter.id, "--output", '{"number": "good"}']),
    "events forget": ("forget-events", lambda _: ["--all", "--yes"]),
    "events replay": ("replay", lambda _: ["--all", "--yes"]),
    "runs allow": ("allow", _run("--tokens", "5")),
    "runs cancel": ("cancel", _run()),
    "runs edit": ("edit", _run("1", "--payload", '{"number": "mended"}')),
    "runs give-up": ("give-up", _run()),
    "runs pause": ("pause", lambda office: [office.asking.id]),
    "runs resume": ("resume", _held),
    "runs signal": (
        "signal",
        lambda office: [office.asking.id, "approval", "--payload", '{"approved": true}'],
    ),
}
"""The commands with which people change what is there: what each is called among the actions, and arguments for it."""

LOOKS = frozenset(
    {
        "actions export", "actions list", "agents", "approvals list", "check", "contracts can-i-deploy", "contracts check",
        "contracts deployments", "contracts diff", "contracts docs", "contracts list", "contracts manifest", "contracts show",
        "dead-letters list", "dead-letters show", "events list", "events unheard", "flows", "flows list", "flows show",
        "flows usage", "doctor", "health", "map", "top", "runs list", "runs show", "schedules list", "trace",
        "dead-letters export", "dead-letters groups", "dead-letters groups show", "journal export", "journal seal", "journal verify",
        "operations list", "operations show", "runs export", "runs find", "runs watch",
        "runs compare",
    }
)  # fmt: skip
"""The commands that change nothing."""

ELSEWHERE = {
    "dead-letters groups note": "the note is the reason: test_groups.py",
    "journal prune": "it needs a policy: test_journal.py",
}
"""The commands with which a person acts too, and where that is tried."""

BEGINS = {
    "start": "its runs are the record of it, with their input, and a program starts them in the same way",
    "events emit": "its story is the record of it",
    "contracts publish": "it writes files that are committed: the version control has who and why",
    "new": "it writes files of a project that is not there yet",
    "demo": "it begins work of its own",
    "worker": "a process", "serve": "a process", "beat": "a process", "flower": "a process", "console": "a process",
    "console-token": "it shows a new token, and keeps it nowhere",
}  # fmt: skip
"""The commands that begin something, and why there is no action of it."""


def test_it_is_known_of_each_command_whether_a_person_acts_with_it() -> None:
    """One that is added is put among those that act, look or begin."""
    known = [*ACTS, *LOOKS, *BEGINS, *ELSEWHERE]
    assert sorted(known) == sorted(commands())
    assert all("--by" in options(commands()[name]) for name in ELSEWHERE)


@pytest.mark.parametrize("name", sorted(ACTS))
def test_who_acts_is_written_down_and_why(name: str, office: Office, command: Command) -> None:
    """With --by and --why, and they are in the list of actions then."""
    assert {"--by", "--why"} <= options(commands()[name])
    action, arguments = ACTS[name]
    status, _, err = command(
        office.coordinator, *name.split(), *arguments(office), "--by", "bob", "--why", "as agreed"
    )
    assert status == 0, err
    told = command.json(office.coordinator, "actions", "list", "--by", "bob")["actions"]
    assert action in {one["action"] for one in told}
    assert all(one["note"].endswith("as agreed") for one in told)


@pytest.mark.parametrize("name", sorted(ACTS))
def test_who_acts_is_whoever_is_logged_in(
    name: str, office: Office, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody is named; and no reason need be given where nothing is put in the place of another."""
    monkeypatch.setattr("getpass.getuser", lambda: "cid")
    action, arguments = ACTS[name]
    reason = ["--why", "as agreed"] if name.rsplit(maxsplit=1)[-1] in {"edit", "skip"} else []
    assert command(office.coordinator, *name.split(), *arguments(office), *reason)[0] == 0
    found = command.json(office.coordinator, "actions", "list", "--by", "cid")["actions"]
    assert action in {told["action"] for told in found}


BEGUN: dict[str, Arguments] = {
    "actions export --run": lambda office: ["--run", office.failed.id[:8]],
    "actions list --run": lambda office: ["--run", office.failed.id[:8]],
    "approvals answer RUN": lambda office: [office.asking.id[:8], "--set", "approved=true"],
    "contracts withdraw --build": lambda _: [AGENT, "--build", BUILD[:6]],
    "dead-letters edit LETTER": lambda office: [
        office.letter.id[:8], "--payload", '{"number": "mended"}', "--why", "so",
    ],
    "dead-letters list --run": lambda office: ["--run", office.failed.id[:8]],
    "dead-letters replay --run": lambda office: ["--run", office.failed.id[:8], "--dry-run"],
    "dead-letters replay LETTERS": lambda office: [office.letter.id[:8], "--dry-run"],
    "dead-letters show LETTER": lambda office: [office.letter.id[:8]],
    "dead-letters skip LETTER": lambda office: [
        office.letter.id[:8], "--output", '{"number": "good"}', "--why", "so",
    ],
    "runs allow RUN": lambda office: [office.failed.id[:8], "--tokens", "5"],
    "runs cancel RUN": lambda office: [office.failed.id[:8]],
    "runs edit RUN": lambda office: [office.failed.id[:8], "1", "--payload", '{"number": "m"}', "--why", "so"],
    "runs give-up RUN": lambda office: [office.failed.id[:8]],
    "runs pause RUN": lambda office: [office.asking.id[:8]],
    "runs resume RUN": lambda office: [_held(office)[0][:8]],
    "runs show RUN": lambda office: [office.failed.id[:8]],
    "runs signal RUN": lambda office: [office.asking.id[:8], "approval", "--payload", '{"approved": true}'],
    "trace CORRELATION-ID": lambda office: [office.story.id[:8]],
    "dead-letters archive --run": lambda office: ["--run", office.failed.id[:8]],
    "dead-letters archive LETTERS": lambda office: [office.letter.id[:8]],
    "dead-letters restore --run": lambda office: [*_put_away(office)[:0], "--run", office.failed.id[:8]],
    "dead-letters restore LETTERS": lambda office: [_put_away(office)[0][:8]],
    "dead-letters export LETTER": lambda office: [office.letter.id[:8], *_file("--as-test")],
    "journal export --run": lambda office: ["--run", office.failed.id[:8], *_file("--output")],
    "journal verify --run": lambda office: ["--run", office.failed.id[:8]],
    "runs watch RUN": lambda office: [office.done.id[:8]],
    "runs compare RUN": lambda office: [office.failed.id[:8], office.asking.id[:8]],
    "runs export RUN": lambda office: [office.failed.id[:8], *_file("--as-test")],
}  # fmt: skip
"""Where ids are asked for, and arguments with the beginning of one."""

_IDS = frozenset({"RUN", "LETTER", "LETTERS", "CORRELATION-ID", "--run", "--letter", "--build"})
_NAMES_ONE = frozenset({"contracts manifest --build", "contracts record-deployment --build"})
"""Where a build gets its name."""


def _asked() -> set[str]:
    found = set()
    for name, command in commands().items():
        for one in options(command):
            shown = one.strip("[]").removesuffix("...").upper() if not one.startswith("-") else one
            found |= {f"{name} {shown}"} if shown in _IDS else set()
    return found - _NAMES_ONE


def test_it_is_known_where_ids_are_asked_for() -> None:
    """A command that asks for one more is put into the table."""
    assert sorted(BEGUN) == sorted(_asked())


@pytest.mark.parametrize("place", sorted(BEGUN))
def test_the_beginning_of_an_id_will_do_everywhere(place: str, office: Office, command: Command) -> None:
    """It does what the whole id would do."""
    name = place.rpartition(" ")[0]
    status, out, err = command(office.coordinator, *name.split(), *BEGUN[place](office))
    assert (status, re.sub(r"operation +\S+ +\d+/\d+ [\d:]+\n", "", err)) == (0, "")  # a bar is no remark
    assert out


@pytest.mark.parametrize("place", sorted(BEGUN))
def test_a_beginning_of_none_is_one_line(place: str, office: Office, command: Command) -> None:
    """It says that there is none, and where they are listed; nothing is done."""
    name = place.rpartition(" ")[0]
    ids = {
        office.failed.id[:8],
        office.done.id[:8],
        office.asking.id[:8],
        office.story.id[:8],
        office.letter.id[:8],
        BUILD[:6],
    }
    arguments = ["none-such" if one in ids else one for one in BEGUN[place](office)]
    before = len(office.coordinator.actions_page().actions)
    status, out, err = command(office.coordinator, *name.split(), *arguments)
    assert (status, out) == (1, "")
    assert re.fullmatch(
        r"coordinator: .*'none-such'.*list.*: coordinator (?:runs|dead-letters|contracts) .*\n", err
    )
    assert len(office.coordinator.actions_page().actions) == before


def test_of_several_that_begin_so_none_is_meant(office: Office, command: Command) -> None:
    """They are named, for a run as a filter and for a build as elsewhere."""
    page = office.coordinator.journal.runs.beginning_with
    runs: Any = office.coordinator.journal.runs
    runs.beginning_with = lambda prefix, limit: (
        ["cafe-1", "cafe-2"] if prefix == "cafe" else page(prefix, limit)
    )
    for words in (["list"], ["replay", "--dry-run"], ["replay"]):
        status, out, err = command(office.coordinator, "dead-letters", *words, "--run", "cafe")
        assert (status, out) == (1, "")
        assert "'cafe' begins the ids of several runs: cafe-1, cafe-2; give more" in err
    office.deployments.record(_build(f"{BUILD}-2"))
    status, out, err = command(office.coordinator, "contracts", "withdraw", AGENT, "--build", BUILD[:6])
    assert (status, out) == (1, "")
    assert f"several builds: {BUILD}, {BUILD}-2" in err
    assert command(office.coordinator, "contracts", "withdraw", AGENT, "--build", BUILD)[0] == 0


def test_a_filter_takes_whole_what_has_letters_only(office: Office, command: Command) -> None:
    """A letter may name a run that was never accepted here: it is found by that name all the same."""
    from tests.journal_suite import letter  # noqa: PLC0415 - for this test alone

    office.coordinator.journal.letters.add(letter("stray", run="stray-run"))
    [found] = command.json(office.coordinator, "dead-letters", "list", "--run", "stray-run")
    assert found["id"] == "stray"


def test_a_story_is_found_before_the_journal_has_it(
    office: Office, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By how its id begins, as a run is."""
    told = [entry for entry in office.coordinator.history(office.story.id) if entry["kind"] == "emitted"]
    monkeypatch.setattr(office.coordinator.journal.runs, "beginning_with", lambda *_: [])
    monkeypatch.setattr(
        office.coordinator._listing._pending, "entries", lambda kinds: told if "emitted" in kinds else []
    )
    assert office.story.id in command(office.coordinator, "trace", office.story.id[:8])[1]


SHOWN: dict[str, Arguments] = {
    "actions list": lambda _: [],
    "agents": lambda _: [],
    "approvals list": lambda _: [],
    "check": lambda _: [],
    "contracts can-i-deploy": lambda _: ["payments.fraud"],
    "contracts check": lambda _: [],
    "contracts deployments": lambda _: [],
    "contracts diff": lambda _: ["payments.fraud-scored/1", "payments.fraud-scored/2"],
    "contracts list": lambda _: [],
    "contracts publish": lambda _: ["--dry-run"],
    "contracts show": lambda _: ["payments.fraud-scored"],
    "doctor": lambda _: [],
    "dead-letters list": lambda _: ["--all"],
    "dead-letters replay": lambda _: ["--all", "--dry-run"],
    "dead-letters reseal": lambda _: [],
    "dead-letters show": lambda office: [office.letter.id],
    "events emit": lambda _: [Filed.ref().name, "--payload", '{"number": "2"}'],
    "events forget": lambda _: ["--all", "--yes"],
    "events list": lambda _: [],
    "events replay": lambda _: ["--all", "--yes"],
    "events unheard": lambda _: [],
    "flows": lambda _: [],
    "console-token": lambda _: ["ann"],
    "flows list": lambda _: [],
    "flows show": lambda _: ["payments.payment"],
    "flows usage": lambda _: [PRICES.name],
    "runs find": lambda office: [office.failed.id[:6]],
    "runs list": lambda _: [],
    "runs show": lambda office: [office.failed.id],
    "schedules list": lambda _: [],
    "start": lambda _: [FILES.name, "--payload", '{"number": "3"}'],
    "top": lambda _: ["--once"],
    "trace": lambda office: [office.story.id],
    "dead-letters archive": lambda _: ["--all"],
    "dead-letters restore": _put_away,
    "dead-letters export": lambda office: [office.letter.id, *_file("--as-test")],
    "dead-letters groups": lambda _: [],
    "dead-letters groups note": lambda office: [*_group(office), "the price list"],
    "dead-letters groups show": _group,
    "journal verify": lambda _: [],
    "operations cancel": _operation,
    "operations list": lambda office: _operation(office)[:0],
    "operations resume": _operation,
    "operations show": _operation,
    "runs compare": lambda office: [office.failed.id, office.asking.id],
    "runs export": lambda office: [office.failed.id, *_file("--as-test")],
}
"""The commands that print a table, or JSON, and arguments for them."""

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d[^\s\"',;]*")


def test_it_is_known_which_commands_print_tables() -> None:
    """One that is added with --json is put into the table; the others print what they do or what happens, or write into files, and the
    map has no time."""
    others = {"contracts docs", "demo", "map", "new", "journal export", "journal prune", "runs watch"}
    printing = {name for name, one in commands().items() if "--json" in options(one)}
    assert sorted(SHOWN) == sorted(printing - others)


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_people_see_their_time_and_programs_that_of_the_world(
    name: str, office: Office, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No table has a moment in the form for programs, and what programs get is in UTC."""
    if name == "schedules list":
        monkeypatch.setenv("COORDINATOR_AGENTS", "tests.integration.nights")
    status, out, _ = command(office.coordinator, *name.split(), *SHOWN[name](office))
    assert status in (0, 1)
    assert out
    assert not _ISO.findall(out)
    _, out, _ = command(office.coordinator, *name.split(), *SHOWN[name](office), "--json")
    json.loads(out)
    assert all(datetime.fromisoformat(found).utcoffset() == timedelta() for found in _ISO.findall(out))


def test_the_times_of_edits_and_schedules_are_those_of_this_machine(
    office: Office, command: Command, coordinator: Coordinator
) -> None:
    """Today's without the day, and another day's with it."""
    office.coordinator.edit(office.letter, Order(number="bad again"), why="a try")
    out = command(office.coordinator, "dead-letters", "show", office.letter.id)[1]
    assert "a try" in out
    assert not _ISO.findall(out)
    last = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    row = standing(each_second, Progress(last=last, run="run-1"), coordinator.now()).to_json()
    assert row["last"] == "2026-01-02T03:04:05+00:00"
    assert _cells(row)[4:] == (f"{last.astimezone():%Y-%m-%d %H:%M:%S}", "run-1")


def _build(name: str) -> Any:
    from tests.builds import manifest  # noqa: PLC0415 - for this test alone

    return manifest(AGENT, build=name)
