"""`coordinator dead-letters export` and `coordinator runs export`: what has happened, written as a test; a run also as a record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from handoffs.contracts.text import printable
from handoffs.coordinator.cases.case import ExportedCase
from handoffs.coordinator.cli.journal_export import FORMS, export_record
from handoffs.coordinator.cli.options import Command, json_option
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.errors import ExportRefused
from handoffs.coordinator.render.console import print_json, say


def _as_test(*, required: bool) -> Callable[[Command], Command]:
    """``--as-test`` and ``--force``: which file is written, and whether one that is there gives way."""

    def options(command: Command) -> Command:
        command = click.option("--force", is_flag=True, help="Write over a file that is there.")(command)
        return click.option(
            "--as-test",
            "file",
            type=click.Path(path_type=Path, dir_okay=False),
            required=required,
            metavar="FILE",
            help="Write a module for pytest there: tests/test_....py.",
        )(command)

    return options


@click.command("export")
@click.argument("letter")
@_as_test(required=True)
@json_option
def export_letter(letter: str, file: Path, force: bool, as_json: bool) -> None:
    """Write LETTER as a test: its agent alone, given the same input, is parked for the same reason.

    \b
    coordinator dead-letters export 0ae2 --as-test tests/test_price_900.py
    pytest tests/test_price_900.py            passes while the fault is there

    It needs no server: it runs in eager mode, with the fixture `coordinator` of the package. Sensitive values are masked in it, as
    everywhere: then the test fails until they are filled in. The agent has to be loaded here (COORDINATOR_AGENTS). Letters whose
    reason is a server, time or another run, and not the input, are refused.
    """
    with on_servers("exporting a dead letter") as coordinator:
        case = coordinator.find_letter(letter).as_test()
    _write(case, file, force=force, as_json=as_json)


@click.command("export")
@click.argument("run")
@_as_test(required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    default="jsonl",
    show_default=True,
    help="As what --output is written: JSON lines, a page of HTML, or Parquet.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Write all that the journal has of it there; for html into a folder, which is made.",
)
@json_option
def export_run(
    run: str, file: Path | None, force: bool, form: str, output: Path | None, as_json: bool
) -> None:
    """Write RUN as a record, as `journal export` does, or as a test.

    \b
    coordinator runs export 2af7 --format html --output o-17
    coordinator runs export 2af7 --as-test tests/test_order_17.py
    pytest tests/test_order_17.py

    The test starts its flow with the same payload, and goes the same way: agents that have their outcome give that and are not called; one
    that is parked is. The signals that came come again. Sensitive values are masked, as everywhere: then the test fails until they are
    filled in. The flow has to be loaded here (COORDINATOR_AGENTS), and the run to have completed, to be parked, or to wait for a signal.
    """
    if (file is None) == (output is None):
        raise click.UsageError("say where it is written: --output PATH for a record, or --as-test FILE")
    if output is not None:
        export_record(run, form, output, as_json=as_json)
        return
    assert file is not None
    with on_servers("exporting a run") as coordinator:
        case = coordinator.find_run(run).as_test()
    _write(case, file, force=force, as_json=as_json)


def _write(case: ExportedCase, file: Path, *, force: bool, as_json: bool) -> None:
    shown = printable(file, 200)
    try:
        with file.open("w" if force else "x", encoding="utf-8", newline="\n") as opened:
            opened.write(case.text)
    except FileExistsError:
        raise ExportRefused(
            f"{shown} is there already", "nothing was written", "name another file, or say --force"
        ) from None
    except OSError as error:
        raise ExportRefused(
            f"{shown} cannot be written: {error.strerror}", "there is no test", "name another file"
        ) from None
    if as_json:
        print_json({"file": str(file), "masked": list(case.masked)})
        return
    say(f"{shown} is written: pytest {shown}")
    if case.masked:
        say(
            f"fill in first what is masked, {len(case.masked)} in all: {printable(', '.join(case.masked), 1_000)}"
        )
