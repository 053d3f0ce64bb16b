"""`coordinator dead-letters export` and `coordinator runs export`: what has happened, written as a test."""

from __future__ import annotations

from pathlib import Path

import click

from handoffs.contracts.text import printable
from handoffs.coordinator.cases.case import ExportedCase
from handoffs.coordinator.cli.options import Command, json_option
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.errors import ExportRefused
from handoffs.coordinator.render.console import print_json, say


def _as_test(command: Command) -> Command:
    """``--as-test`` and ``--force``: which file is written, and whether one that is there gives way."""
    command = click.option("--force", is_flag=True, help="Write over a file that is there.")(command)
    return click.option(
        "--as-test",
        "file",
        type=click.Path(path_type=Path, dir_okay=False),
        required=True,
        metavar="FILE",
        help="Write a module for pytest there: tests/test_....py.",
    )(command)


@click.command("export")
@click.argument("letter")
@_as_test
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
@_as_test
@json_option
def export_run(run: str, file: Path, force: bool, as_json: bool) -> None:
    """Write RUN as a test: its flow, started with the same payload, goes the same way and ends in the same.

    \b
    coordinator runs export 2af7 --as-test tests/test_order_17.py
    pytest tests/test_order_17.py

    Agents that have their outcome give that and are not called; one that is parked is. The signals that came come again. Sensitive
    values are masked, as everywhere: then the test fails until they are filled in. The flow has to be loaded here
    (COORDINATOR_AGENTS), and the run to have completed, to be parked, or to wait for a signal.
    """
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
