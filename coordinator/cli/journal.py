"""`coordinator journal`: is it as it was written, what of it is kept elsewhere, and how long is it kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.text import printable
from handoffs.coordinator.cli.exits import ALTERED, Malformed
from handoffs.coordinator.cli.filtered import id_of_recorded_run
from handoffs.coordinator.cli.journal_export import export
from handoffs.coordinator.cli.options import by_option, json_option, limit_option, reason_option
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.journal.actions import ActionRow
from handoffs.coordinator.journal.faults import Fault
from handoffs.coordinator.journal.retention import Policy
from handoffs.coordinator.journal.tombstones import PRUNE
from handoffs.coordinator.journal.verification import MOST_FAULTS, Verified
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.render.console import bar, out, print_json, say, say_json, table, tell

_LONGEST_LINE = 4_096
_LINE = strictjson.Limits(octets=_LONGEST_LINE, depth=4, nodes=20)


@click.group()
def journal() -> None:
    """The journal as a record: prove that it is as it was written, keep its heads elsewhere, remove what is too old.

    Each entry of a run's history has the digest of the one before it; what people did is one more such chain.
    """


@journal.command("verify")
@click.option("--run", default="", help="Only the history of this run.")
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Compare with heads that were kept elsewhere: what coordinator journal seal printed.",
)
@json_option
def verify(run: str, against: Path | None, as_json: bool) -> None:
    """Prove that no entry of the journal was changed, removed, inserted or moved since it was written; else name the first of each chain.

    What this cannot show: that somebody who may write to the whole database has made all of a chain anew, or removed a run with
    all that is written of it. For that keep the heads where they cannot write (`coordinator journal seal`), and compare: --against.
    What a release before the chains has written is counted, and proves nothing.

    \b
    coordinator journal verify
    coordinator journal seal > heads.jsonl             (to another machine)
    coordinator journal verify --against heads.jsonl

    Exit status: 0 all is as it was written, 4 some is not.
    """
    with on_servers("verifying the journal") as coordinator:
        verification = coordinator.journal.verification
        if run:
            run = id_of_recorded_run(coordinator, run)
            found = verification.of(run)
        else:
            with bar() as progress:
                task = progress.add_task("verifying", total=verification.count())
                found = verification.all(lambda rows: progress.advance(task, rows))
        if against is not None:
            for fault in _compared(coordinator, against):
                if run in ("", fault.run):
                    found.add(fault)
        graves = [one for one in coordinator.journal.actions.of(run) if one.action == PRUNE] if run else []
    _report(found, graves, as_json=as_json)
    if found.count:
        raise click.exceptions.Exit(ALTERED)


@journal.command("seal")
def seal() -> None:
    """Print where each chain ends now, as JSON lines, to be kept where nobody who writes to the journal may write.

    The first line says of which namespace and of when it is; each other one has a chain (`run` and its id, `actions`, or `start`:
    after which row of a table there are chains), how many entries it has, and the digest of the last. It holds no content of any run.
    `coordinator journal verify --against FILE` compares.
    """
    with on_servers("reading the heads of the journal") as coordinator:
        for line in coordinator.journal.witness.lines():
            say_json(line)


@journal.command("prune")
@click.option("--dry-run", is_flag=True, help="List what would be removed, and remove nothing.")
@limit_option("of what would be removed, the first to have ended first")
@by_option
@reason_option
@json_option
def prune(dry_run: bool, limit: int, by: str, why: str, as_json: bool) -> None:
    """Remove the runs that have ended longer ago than COORDINATOR_JOURNAL_RETENTION says, or COORDINATOR_JOURNAL_RETENTION_BY_FLOW.

    The coordinator process does the same by itself; this does it now. History, letters and edits of such a run are removed; what people
    did stays, and an action `prune` says who removed it and why, how many entries there were, and the digest of the last.
    A run that has not ended, or of which a letter waits, is kept.
    """
    with on_servers("removing old runs") as coordinator:
        settings, retention = coordinator.settings, coordinator.journal.retention
        policy, now = (
            Policy(settings.journal_retention, settings.journal_retention_by_flow),
            coordinator.engine.server.now(),
        )
        if not policy:
            raise click.UsageError(
                "nothing says how long runs are kept: set COORDINATOR_JOURNAL_RETENTION, such as 365d"
            )
        if dry_run:
            _list_expired(retention.expired(policy, now), limit, as_json=as_json)
            return
        removed = 0
        while some := retention.prune(policy, now, by=by, why=why):
            removed += len(some)
    if as_json:
        print_json({"removed": removed})
    else:
        say(f"{_counted(removed, 'run')} removed")


journal.add_command(export)


def _list_expired(expired: Iterator[Any], limit: int, *, as_json: bool) -> None:
    count, shown = 0, []
    for one in expired:
        count += 1
        if count <= limit:
            shown.append(one)
    if as_json:
        runs = [{"run": one.run, "flow": one.flow, "status": one.state, "ended": one.ended} for one in shown]
        print_json({"count": count, "runs": runs})
        return
    rows = [(one.run, one.flow, one.state, moment(one.ended)) for one in shown]
    out.print(table(f"would be removed: {count:,}", ("run", "flow", "status", "ended"), rows))
    say(f"{_counted(count, 'run')} would be removed; nothing was done")


def _compared(coordinator: Coordinator, path: Path) -> Iterator[Fault]:
    shown = printable(path, 200)
    try:
        with path.open("rb") as file:
            yield from coordinator.journal.witness.compare(_lines(file))
    except OSError as error:
        raise Malformed(f"{shown} cannot be read: {error.strerror}") from None
    except InvalidInput as error:
        raise Malformed(f"{shown}: {error}") from None


def _lines(file: Any) -> Iterator[Any]:
    while line := file.readline(_LONGEST_LINE):
        if line.strip():
            yield strictjson.loads(line, _LINE)


def _report(found: Verified, graves: Sequence[ActionRow], *, as_json: bool) -> None:
    if as_json:
        counts = {name: getattr(found, name) for name in ("runs", "entries", "actions", "before")}
        faults = {"count": found.count, "faults": [asdict(fault) for fault in found.faults]}
        removed = {"removed": [asdict(one) for one in graves]} if graves else {}
        print_json({"holds": not found.count, **counts, **faults, **removed})
        return
    followed = (
        _counted(found.runs, "run"),
        _counted(found.entries, "entry", "entries"),
        _counted(found.actions, "action"),
    )
    say("followed {} with {} of their history, and {}".format(*followed))
    for one in graves:
        say(f"removed by {one.who} at {moment(one.at)}: {one.note}")
    if found.before:
        say(f"{_counted(found.before, 'row')} of an older release: nothing shows whether they were changed")
    if not found.count:
        say(
            "all of it is as it was written, unless a whole chain was made anew: coordinator journal verify --help"
        )
        return
    rows = [
        (
            fault.what,
            fault.chain if fault.chain != "run" else fault.run,
            fault.sequence,
            moment(fault.at),
            fault.text,
        )
        for fault in found.faults
    ]
    out.print(
        table(f"not as it was written: {found.count:,}", ("what", "chain", "entry", "when", "found"), rows)
    )
    if found.count > MOST_FAULTS:
        tell(f"{found.count - MOST_FAULTS:,} more are not named")


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
