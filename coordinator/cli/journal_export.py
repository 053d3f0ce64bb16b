"""`coordinator journal export`: runs with all that the journal has of them, for an auditor."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import click

from handoffs.contracts.text import printable
from handoffs.coordinator.cli.exits import Malformed
from handoffs.coordinator.cli.options import json_option, since_option, until_option
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.client import given
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.history import now
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.records import RecordedRun, RecordFilter
from handoffs.coordinator.render.console import print_json, say
from handoffs.coordinator.render.record_lines import lines
from handoffs.coordinator.render.record_page import page
from handoffs.coordinator.render.record_table import require_parquet, write_parquet

FORMS = ("jsonl", "html", "parquet")
"""As what runs are written."""

_LONGEST_NAME = 200


@dataclass(slots=True)
class _Written:
    """What was written: where, how many runs, and how many files."""

    output: Path
    runs: int = 0
    files: int = 0


@click.command("export")
@click.option("--run", default="", help="Only this run.")
@click.option("--key", default="", help="Only runs that were accepted under this idempotency key.")
@click.option("--flow", default="", help="Only runs of this flow.")
@since_option("runs that were accepted")
@until_option("runs that were accepted")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    default="jsonl",
    show_default=True,
    help="jsonl: one file, a line for each run, entry and action; html: a page for each run; parquet: one file of all entries.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="The file that is written; for html a folder, which is made.",
)
@json_option
def export(
    run: str,
    key: str,
    flow: str,
    since: datetime | None,
    until: datetime | None,
    form: str,
    output: Path,
    as_json: bool,
) -> None:
    """Write runs for an auditor: what happened to each, what people did to it, and the place of each entry in its chain.

    In a file of JSON lines each entry stands as it was written, with the digest of the one before it and its own, so that whoever has the
    file can compute them again. A page of HTML needs nothing beside it, no script and no network. Parquet needs pyarrow, which is not
    installed with this package. Sensitive values are masked in all of them, as they are in the journal. What is on its way to the
    journal is not in it yet.

    \b
    coordinator journal export --key o-17 --format html --output o-17
    coordinator journal export --flow shop.order --since 2026-11-01 --until 2026-12-01 --output november.jsonl
    \f

    Many parameters because each is an option of the command.
    """
    if form == "parquet":
        require_parquet()
    with on_servers("exporting the journal") as coordinator:
        run = coordinator.find_run(run).id if run else ""
        chosen = RecordFilter(run, key, flow, given.since(since), given.since(until))
        written = _write(coordinator, chosen, form, output)
    _say(written, form, as_json=as_json)


def export_record(run: str, form: str, output: Path, *, as_json: bool) -> None:
    """Write one run, by its id or how that begins, and say so."""
    if form == "parquet":
        require_parquet()
    with on_servers("exporting a run") as coordinator:
        written = _write(coordinator, RecordFilter(coordinator.find_run(run).id), form, output)
    _say(written, form, as_json=as_json)


def _say(written: _Written, form: str, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {"output": str(written.output), "format": form, "runs": written.runs, "files": written.files}
        )
    else:
        say(f"{_runs(written.runs)} written to {printable(written.output, 500)}")


def _write(coordinator: Coordinator, chosen: RecordFilter, form: str, output: Path) -> _Written:
    journal, written = coordinator.journal, _Written(output)
    try:
        if form == "html":
            _pages(journal, chosen, written)
        elif form == "parquet":
            with _whole(output) as file:
                runs = _counted(journal.records.runs(chosen), written)
                write_parquet(file, (entry for one in runs for entry in journal.records.entries(one.run)))
            written.files = 1
        else:
            runs = _counted(journal.records.runs(chosen), written)
            _text(output, (f"{line}\n" for one in runs for line in lines(journal.records, one)))
            written.files = 1
    except OSError as error:
        raise Malformed(f"{printable(output, 200)} cannot be written: {error.strerror or error}") from None
    return written


def _pages(journal: Journal, chosen: RecordFilter, written: _Written) -> None:
    """A page for each run, in a folder."""
    written.output.mkdir(parents=True, exist_ok=True)
    for one in _counted(journal.records.runs(chosen), written):
        found = journal.verification.of(one.run)
        verdict = "each entry is as it was written, by its digest and by that of the next"
        if found.before:
            verdict += f", but for {found.before} of an older release, of which nothing shows it"
        for fault in found.faults:
            verdict = f"entry {fault.sequence} is not as it was written: {fault.what}, {fault.text}"
        pieces = page(journal.records, one, printed=now(), verdict=verdict, holds=not found.count)
        _text(written.output / _file_of(one.run), pieces)
        written.files += 1


def _file_of(run: str) -> str:
    """The name of a run's page: its id, as far as a file may be called so."""
    name = quote(run, safe="~")
    if len(name) > _LONGEST_NAME:
        name = hashlib.sha256(run.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name}.html"


def _text(path: Path, pieces: Iterable[str]) -> None:
    with (
        _whole(path) as file,
        file.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream,
    ):
        stream.writelines(pieces)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Where to write a file that is to be there as a whole, or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _counted(runs: Iterable[RecordedRun], written: _Written) -> Iterator[RecordedRun]:
    for one in runs:
        written.runs += 1
        yield one


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"
