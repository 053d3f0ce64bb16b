"""The commands that show what is published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.fields import fields
from handoffs.contracts.registry.publication import Published
from handoffs.contracts.registry.registry import Registry, open_registry
from handoffs.contracts.text import quoted
from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.session import settings_of_command
from handoffs.coordinator.render.console import out, print_json, say_lines, table

_DIGITS = 12  # of a fingerprint


@click.command("list")
@json_option
def list_contracts(as_json: bool) -> None:
    """The contracts that are published."""
    registry = opened()
    columns = ("contract", "versions", "owner", "mode", "keys")
    newest = [find(registry, name) for name in registry.names()]
    listed = [
        (
            published.ref.name,
            list(registry.versions(published.ref.name)),
            published.owner,
            published.mode,
            list(published.keys),
        )
        for published in newest
    ]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in listed])
    else:
        rows = [
            [", ".join(map(str, cell)) if isinstance(cell, list) else cell for cell in row] for row in listed
        ]
        out.print(table("contracts", columns, rows))


@click.command("show", short_help="The fields and versions of a contract.")
@click.argument("contract", metavar="NAME[/VERSION]")
@json_option
def show(contract: str, as_json: bool) -> None:
    """One published version, by default the newest: its fields, and the versions beside it."""
    registry = opened()
    published = find(registry, contract)
    versions = [
        _version(registry.get(ContractRef(published.ref.name, number)))
        for number in registry.versions(published.ref.name)
    ]
    if as_json:
        print_json({**published.to_json(), "versions": versions})
        return
    rows = [
        (
            field.path,
            field.kind,
            field.bounds,
            "required" if field.required else "optional",
            _marks(published, field.path),
        )
        for field in fields(published.reads).values()
    ]
    out.print(table(str(published.ref), ("field", "type", "bounds", "for readers", "marks"), rows))
    if published.description:
        say_lines(published.description)
    columns = ("version", "up from before", "down to before", "owner", "mode", "fingerprint")
    shown = [
        (
            version["version"],
            "upcast" if version["upcast"] else "-",
            _downcast(version["downcast"]),
            version["owner"],
            version["mode"],
            version["fingerprint"].removeprefix("sha256:")[:_DIGITS],
        )
        for version in versions
    ]
    out.print(table("versions", columns, shown))


def opened() -> Registry:
    """The registry that the settings name."""
    return open_registry(Path(settings_of_command().contracts_folder))


def find(registry: Registry, wanted: str) -> Published:
    """The version that ``name`` or ``name/version`` means. Raises :class:`click.ClickException` where there is none."""
    name, _, version = wanted.partition("/")
    numbers = registry.versions(name)
    if numbers and (not version or version in map(str, numbers)):
        found = registry.get(ContractRef(name, int(version) if version else numbers[-1]))
        if found is not None:
            return found
    there = [f"{name}/{number}" for number in numbers] or list(registry.names()) or ["none"]
    raise click.ClickException(f"{quoted(wanted, 120)} is not published; there is: {', '.join(there)}")


def _version(published: Published | None) -> dict[str, Any]:
    assert published is not None
    return {
        "version": published.ref.version,
        "upcast": published.upcast,
        "downcast": None if published.downcast is None else {"lossy": published.downcast},
        "owner": published.owner,
        "mode": published.mode,
        "fingerprint": published.fingerprint,
        "generator": published.generator,
    }


def _marks(published: Published, path: str) -> str:
    marks = ["key"] if path.removeprefix("/") in published.keys else []
    return ", ".join([*marks, *(["sensitive"] if path in published.sensitive else [])])


def _downcast(downcast: dict[str, str] | None) -> str:
    if downcast is None:
        return "-"
    return f"downcast; lost: {downcast['lossy']}" if downcast["lossy"] else "downcast"
