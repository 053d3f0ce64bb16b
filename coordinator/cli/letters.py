"""`coordinator dead-letters`: what failed and waits, and sending it on its way again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import click
from rich.console import Group

from handoffs.coordinator.cli.exits import UNFINISHED
from handoffs.coordinator.cli.exports import export_letter
from handoffs.coordinator.cli.filtered import id_of_run
from handoffs.coordinator.cli.groups import groups
from handoffs.coordinator.cli.interventions import edit_letter, skip_letter
from handoffs.coordinator.cli.operations import carried_on, print_operation
from handoffs.coordinator.cli.options import MOST, Command, by_option, json_option, reason_option
from handoffs.coordinator.cli.pace import pace_options
from handoffs.coordinator.cli.parameters import SECONDS, Count
from handoffs.coordinator.cli.replay import Replayed, print_foreseen, print_replayed
from handoffs.coordinator.cli.selected import refuse_none, resolve_group, selected
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.cli.unknown_names import tell_of_unknown_names
from handoffs.coordinator.cli.unserved import tell_of_unserved
from handoffs.coordinator.client.letter_view import letters_json
from handoffs.coordinator.client.operation import Pace
from handoffs.coordinator.journal.letter_row import LetterSummary
from handoffs.coordinator.journal.letters import LetterFilter
from handoffs.coordinator.letters.operations import ARCHIVE, REPLAY, RESTORE
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.render.console import (
    bar,
    out,
    print_json,
    print_json_items,
    say,
    say_lines,
    table,
    tell,
)

_MOST = 100
"""How many letters are listed where nobody says how many."""

_FILTERS: tuple[Callable[[Any], Any], ...] = (
    click.option("--flow", default="", help="Only of this flow."),
    click.option("--agent", default="", help="Only of this agent."),
    click.option("--run", default="", help="Only of this run (the beginning of its id will do)."),
    click.option(
        "--kind",
        "--reason",
        "kind",
        default="",
        help="Only of this kind: error, invalid-input, time-limit, ...",
    ),
    click.option("--group", default="", metavar="ID", help="Only of this group: dead-letters groups."),
)


def _filtered(command: Command) -> Command:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def _on_many(everything: str) -> Callable[[Command], Command]:
    """The arguments of a command that does one thing to many letters; ``everything`` says which ``--all`` are."""
    options: tuple[Callable[[Any], Any], ...] = (
        click.argument("letters", nargs=-1),
        _filtered,
        click.option("--all", "everything", is_flag=True, help=everything),
        reason_option,
        by_option,
        json_option,
    )

    def given(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return given


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at what failed, and send it on its way again."""


@dead_letters.command("list")
@_filtered
@click.option("--all", "everything", is_flag=True, help="Also those that were replayed or settled.")
@click.option(
    "--limit",
    type=Count(1, MOST),
    default=None,
    help="How many, the oldest first.  [default: 100; of --json all]",
)
@click.option("--no-limit", is_flag=True, help="All of them, however many there are.")
@json_option
def list_letters(
    everything: bool, limit: int | None, no_limit: bool, as_json: bool, **chosen: Unpack[LetterFilter]
) -> None:
    """What waits: why, where, since when. Where more wait than are listed, the last line says how many."""
    chosen["state"] = None if everything else "waiting"
    most = None if no_limit else limit or (None if as_json else _MOST)
    with on_servers("listing dead letters") as coordinator:
        chosen["run"] = id_of_run(coordinator, chosen.get("run", ""))
        resolve_group(coordinator, chosen)
        tell_of_unserved(coordinator)
        if as_json:
            print_json_items(letters_json(coordinator.desk, coordinator.desk.each(limit=most, **chosen)))
            if not coordinator.dead_letters(limit=1, **chosen):
                tell_of_unknown_names(coordinator, chosen)
            return
        letters = coordinator.dead_letters(limit=most, **chosen)
        total = (
            len(letters)
            if most is None or len(letters) < most
            else coordinator.journal.letters.total(**chosen)
        )
        if not letters:
            tell_of_unknown_names(coordinator, chosen)
    out.print(letter_table(letters, total))
    if total > len(letters):
        say(f"the oldest {len(letters):,} of {total:,}: --limit N lists more, --no-limit all, a filter fewer")


@dead_letters.command("show")
@click.argument("letter")
@json_option
def show_letter(letter: str, as_json: bool) -> None:
    """One dead letter: its error and where it was raised, its input with sensitive values masked, and what to do.

    The frames are the innermost three places in the agent's code; the whole account of the failure stands below.
    """
    with on_servers("showing a dead letter") as coordinator:
        [shown] = letters_json(coordinator.desk, [coordinator.find_letter(letter)])
    if as_json:
        print_json(shown)
        return
    trace, shown["frames"] = shown.pop("trace"), " < ".join(shown["frames"])
    shown |= {name: moment(shown[name]) for name in ("first_failed_at", "last_failed_at")}
    shown["edits"] = [{**edit, "at": moment(edit["at"])} for edit in shown["edits"]]
    rows = [
        (name, json.dumps(value) if isinstance(value, (dict, list)) else value)
        for name, value in shown.items()
    ]
    out.print(table(f"dead letter {shown['id']}", ("", ""), rows))
    if trace:
        say_lines(trace)


dead_letters.add_command(groups)
dead_letters.add_command(edit_letter)
dead_letters.add_command(skip_letter)
dead_letters.add_command(export_letter)


@dead_letters.command("replay")
@click.argument("letters", nargs=-1)
@_filtered
@click.option("--all", "everything", is_flag=True, help="Everything that waits.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--wait", "seconds", type=SECONDS, default=None, help="Wait so many seconds, and say what came of it."
)
@pace_options
@reason_option
@by_option
@json_option
def replay_letters(
    letters: tuple[str, ...],
    everything: bool,
    dry_run: bool,
    seconds: float | None,
    why: str,
    by: str,
    as_json: bool,
    pace: Pace,
    **chosen: Unpack[LetterFilter],
) -> None:
    """Replay LETTERS by id, or those that a filter selects: each run goes on at the step that failed.

    It is an operation on the letters that are there now: `coordinator operations` lists, cancels and resumes it. Whatever ends this
    process, resuming replays no letter twice.

    \b
    coordinator dead-letters replay --flow shop.order --reason time-limit --dry-run
    coordinator dead-letters replay --flow shop.order --reason time-limit --wait 30 --why "the warehouse is back"
    coordinator dead-letters replay --group 1f3a --canary 5 --rate 20 --stop-on-recurrence

    Exit status: 0 all were replayed, 3 some were refused, or it was stopped.
    \f

    Many parameters because each is an option of the command.
    """
    refuse_none(letters, everything, chosen)
    if dry_run and seconds is not None:
        raise click.UsageError("--dry-run does nothing for which there could be a --wait")
    with on_servers("replaying dead letters") as coordinator:
        selection = selected(coordinator, letters, chosen)
        if dry_run:
            print_foreseen(coordinator.foresee_letters(selection), as_json=as_json)
            return
        begun = coordinator.operating.begin(REPLAY, selection, pace, by=by, why=why)
        operation = carried_on(coordinator, begun, coordinator.operation(begun.id).total)
        outcome = Replayed.of(operation, coordinator.operation_letters(begun.id))
        came = coordinator.follow(outcome.done, seconds) if seconds is not None else None
        if not outcome.done and not outcome.refused:
            tell_of_unknown_names(coordinator, chosen)
    print_replayed(outcome, noun="letter", as_json=as_json, came=came)


@dead_letters.command("archive")
@_on_many("Everything that waits.")
def archive_letters(
    letters: tuple[str, ...],
    everything: bool,
    why: str,
    by: str,
    as_json: bool,
    **chosen: Unpack[LetterFilter],
) -> None:
    """Put away LETTERS by id, or those that a filter selects: they wait no more, and are kept.

    `dead-letters list --all` has them; `dead-letters restore` brings them back, and so does a replay of one by its id. Their runs stay parked until they are forgotten: `runs
    cancel` ends them. Exit status: 0 all were put away, 3 it was stopped.
    \f

    Many parameters because each is an option of the command.
    """
    refuse_none(letters, everything, chosen)
    _carry_out(ARCHIVE, "putting dead letters away", letters, chosen, by=by, why=why, as_json=as_json)


@dead_letters.command("restore")
@_on_many("Everything that is put away.")
def restore_letters(
    letters: tuple[str, ...],
    everything: bool,
    why: str,
    by: str,
    as_json: bool,
    **chosen: Unpack[LetterFilter],
) -> None:
    """Bring back LETTERS that were put away, by id, or those that a filter selects: they wait again.

    One whose step has its outcome by now, or whose run was cancelled, waits no more. Exit status: 0 all were brought back, 3 it was
    stopped.
    \f

    Many parameters because each is an option of the command.
    """
    refuse_none(letters, everything, chosen)
    chosen["state"] = "archived"
    _carry_out(RESTORE, "bringing dead letters back", letters, chosen, by=by, why=why, as_json=as_json)


def _carry_out(
    kind: str, doing: str, letters: Sequence[str], chosen: LetterFilter, *, by: str, why: str, as_json: bool
) -> None:
    """Begin an operation that needs no pace, and carry it out.

    Many parameters because most of them are options of the commands.
    """
    with on_servers(doing) as coordinator:
        selection = selected(coordinator, letters, chosen)
        begun = coordinator.operating.begin(kind, selection, Pace(), by=by, why=why)
        operation = carried_on(coordinator, begun, coordinator.operation(begun.id).total)
    print_operation(operation, as_json=as_json)
    if operation.state != "done":
        raise click.exceptions.Exit(UNFINISHED)


def letter_table(letters: Sequence[LetterSummary], total: int | None = None) -> Group:
    """Letters as a table; ``total`` is how many there are, where these are not all."""
    rows = [
        (
            row.id,
            row.state,
            row.flow,
            f"{row.step} {row.agent}",
            row.kind,
            f"{row.error}: {row.text}" if row.error else row.text,
            moment(row.last_failed_at),
        )
        for row in letters
    ]
    columns = ("letter", "state", "flow", "step", "kind", "why", "since")
    return table(f"dead letters: {len(rows) if total is None else total:,}", columns, rows)


@dead_letters.command("reseal")
@reason_option
@by_option
@json_option
def reseal_letters(why: str, by: str, as_json: bool) -> None:
    """Seal what is in the journal in clear, or with an older key, with the first of COORDINATOR_JOURNAL_KEYS.

    Afterwards the other keys are not needed any more. Exit status: 0 all is sealed with it, 3 some could not be opened.
    """
    with on_servers("sealing dead letters") as coordinator:
        journal = coordinator.journal
        if not journal.sealed_with:
            raise click.UsageError(
                "COORDINATOR_JOURNAL_KEYS is not set: make a key with openssl rand -base64 32"
            )
        with bar() as progress:
            task = progress.add_task("sealing", total=journal.sealing.count())
            resealed = journal.sealing.reseal(lambda: progress.advance(task), by=by, why=why)
    if as_json:
        print_json({"key": journal.sealed_with, "resealed": resealed.done, "refused": resealed.refused})
    else:
        say(f"{resealed.done:,} sealed with the key {journal.sealed_with}")
        for letter, reason in resealed.refused.items():
            tell(f"{letter}: {reason}")
    if resealed.refused:
        raise click.exceptions.Exit(UNFINISHED)
