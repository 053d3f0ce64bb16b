"""The commands on contracts: whether one schema can read what another writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from handoffs.contracts import strictjson
from handoffs.contracts.compatibility import Verdict, compare
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.fields import changes
from handoffs.contracts.registry.publication import Published
from handoffs.contracts.text import printable
from handoffs.coordinator.cli import deployments
from handoffs.coordinator.cli.contract_publish import check, publish
from handoffs.coordinator.cli.contract_show import find, list_contracts, opened, show
from handoffs.coordinator.cli.docs import docs
from handoffs.coordinator.cli.exits import Malformed
from handoffs.coordinator.cli.files import read_json
from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.render.console import out, print_json, say, table

_STATUS = {"compatible": 0, "incompatible": 1, "unknown": 3}
_DIRECTIONS = {"backward": ("backward",), "forward": ("forward",), "full": ("backward", "forward")}


@click.group("contracts")
def contracts() -> None:
    """Publish contracts, and see what a change of one breaks.

    \b
    coordinator contracts check                        is all published? for CI
    coordinator contracts publish --owner payments     publish what is new
    coordinator contracts show payments.fraud-scored   its fields and versions
    coordinator contracts diff payments.fraud-scored/1 payments.fraud-scored/2
    """


for _command in (check, publish, list_contracts, show, docs, *deployments.COMMANDS):
    contracts.add_command(_command)


@contracts.command("diff")
@click.argument("writer", type=click.Path(path_type=Path), metavar="WRITER")
@click.argument("reader", type=click.Path(path_type=Path), metavar="READER")
@click.option(
    "--mode",
    type=click.Choice(list(_DIRECTIONS)),
    default="backward",
    show_default=True,
    help="backward: READER reads what WRITER writes; forward: the other way round; full: both.",
)
@click.option(
    "--containment", is_flag=True, help="Both as written: the writer may emit what it does not declare."
)
@json_option
def diff(writer: Path, reader: Path, mode: str, containment: bool, as_json: bool) -> None:
    """Whether READER can read whatever WRITER writes. Both are files of JSON Schemas (2020-12 or draft-07), or published
    versions of a contract, such as payments.fraud-scored/2.

    By default the writer emits only the properties that it declares. What is incompatible comes with a witness: an
    instance that is written and cannot be read.

    Exit status: 0 compatible, 1 incompatible, 3 not decided, 2 a file is not a schema.
    """
    schemas = {"backward": (writer, reader), "forward": (reader, writer)}
    versions = {path: _version(path) for path in (writer, reader)}
    loaded = {path: version or read_json(path) for path, version in versions.items()}
    verdicts: list[tuple[str, Path, Path, Verdict]] = []
    for direction in _DIRECTIONS[mode]:
        writes, reads = schemas[direction]
        try:
            verdict = compare(
                _side(loaded[writes], "writes"), _side(loaded[reads], "reads"), containment=containment
            )
        except CoordinationError as error:
            raise Malformed(f"{_named(writes)} and {_named(reads)}: {error}") from None
        verdicts.append((direction, writes, reads, verdict))
    worst = max((verdict for *_, verdict in verdicts), key=lambda found: _RANK[found.verdict])
    if as_json:
        print_json(_report(verdicts, worst))
    else:
        for _, writes, reads, verdict in verdicts:
            _print(writes, reads, verdict)
        _print_changes(versions[writer], versions[reader])
    if worst.verdict != "compatible":
        raise click.exceptions.Exit(_STATUS[worst.verdict])


_RANK = {"compatible": 0, "unknown": 1, "incompatible": 2}


def _report(verdicts: list[tuple[str, Path, Path, Verdict]], worst: Verdict) -> dict[str, Any]:
    """The verdict of all directions asked for, its witness, and each difference with its direction."""
    differences = [
        {
            "direction": direction,
            "kind": difference.kind,
            "path": difference.path,
            "writer": difference.writer,
            "reader": difference.reader,
            "certain": difference.certain,
            "text": str(difference),
        }
        for direction, _, _, verdict in verdicts
        for difference in verdict.differences
    ]
    return {"verdict": worst.verdict, "differences": differences, "witness": worst.witness}


def _print(writes: Path, reads: Path, verdict: Verdict) -> None:
    title = f"{_named(writes)} -> {_named(reads)}: {verdict.verdict}"
    if verdict.verdict == "compatible":
        say(title)
        return
    rows = [
        (
            difference.path or "/",
            difference.kind,
            "nothing" if difference.kind == "required" else difference.writer,
            difference.reader if difference.certain else f"{difference.reader} (not decided)",
        )
        for difference in verdict.differences
    ]
    out.print(table(title, ("where", "keyword", "the writer may emit", "the reader wants"), rows))
    if verdict.verdict == "incompatible":
        witness = printable(strictjson.dumps(verdict.witness), 2000)
        say(f"witness: {witness}")


def _print_changes(old: Published | None, new: Published | None) -> None:
    if old is not None and new is not None:
        rows = [
            (change.path, change.was or "-", change.now or "-") for change in changes(old.reads, new.reads)
        ]
        if rows:
            out.print(table("fields", ("field", str(old.ref), str(new.ref)), rows))


def _version(path: Path) -> Published | None:
    """A published version, where it is called like one and no file is."""
    if path.suffix == ".json" or not re.fullmatch("[^/]+/[0-9]+", str(path)) or path.exists():
        return None
    try:
        return find(opened(), str(path))
    except click.ClickException as error:
        raise Malformed(error.message) from None


def _side(given: Any, side: str) -> Any:
    return getattr(given, side) if isinstance(given, Published) else given


def _named(path: Path) -> str:
    return printable(path, 200)
