"""`coordinator approvals`: what runs wait for from people, and answering it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidData, InvalidJson
from handoffs.contracts.schema import generated
from handoffs.contracts.text import printable, quoted
from handoffs.coordinator.cli.options import (
    by_option,
    json_option,
    limit_option,
    payload_option,
    reason_option,
)
from handoffs.coordinator.cli.runs import signal_contract, status_after
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.cli.unknown_names import tell_of_unknown_names
from handoffs.coordinator.client.approvals import Approval, asked_by
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.docs.schema_words import branches, resolved
from handoffs.coordinator.errors import SignalRefused
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.render.console import out, print_json, say, table


@click.group("approvals")
def approvals() -> None:
    """What runs wait for from people, or from systems outside: their signals; and answering one."""


@approvals.command("list")
@click.option("--flow", default="", help="Only of this flow.")
@click.option("--signal", default="", help="Only of this name.")
@click.option("--key", default="", help="Only of the runs of this key.")
@limit_option("those of the newest run first")
@json_option
def list_approvals(flow: str, signal: str, key: str, limit: int, as_json: bool) -> None:
    """The signals that runs wait for: since when, which fields an answer has, and until when, where the flow says it.

    The fields are those of the signal's contract, where its flow is loaded with COORDINATOR_AGENTS; optional ones are in brackets.
    """
    with on_servers("listing approvals") as coordinator:
        found = coordinator.approvals(flow=flow, signal=signal, key=key, limit=limit)
        if not found:
            tell_of_unknown_names(coordinator, {"flow": flow})
    if as_json:
        print_json([one.to_json() for one in found])
        return
    rows = [
        (
            one.run,
            one.flow,
            one.key or "-",
            one.signal,
            moment(one.since),
            _asked(one),
            moment(one.due) or "-",
        )
        for one in found
    ]
    out.print(table("approvals", ("run", "flow", "key", "signal", "since", "asks", "due"), rows))
    if found:
        say("answer one: coordinator approvals answer RUN --set FIELD=VALUE")
        if len(found) == limit:
            say(f"the first {limit:,}: --limit N lists more")


@approvals.command("answer")
@click.argument("run")
@click.option("--signal", default="", help="Which signal, where the run waits for several.")
@click.option(
    "--set", "fields", multiple=True, metavar="FIELD=VALUE", help="What a field is to be; once for each."
)
@payload_option("The whole answer, or what --set adds to", required=False)
@reason_option
@by_option
def answer(run: str, signal: str, fields: tuple[str, ...], payload: Any, why: str, by: str) -> None:
    """Send RUN the signal that it waits for. Its contract checks the answer before anything is sent.

    A VALUE is text where the field takes text, and JSON otherwise: 5, true, null, '["a", "b"]'. The run's history and
    `coordinator actions list` have who answered, and why.

    \b
    coordinator approvals list                                          what waits, and what it asks
    coordinator approvals answer 3f2a --set approved=true --why "called the customer"
    coordinator approvals answer 3f2a --payload @answer.json
    \f

    Many parameters because each is an option of the command.
    """
    given = _read(fields)
    with on_servers("answering an approval") as coordinator:
        found = coordinator.find_run(run)
        name = signal or _awaited(found)
        contract = signal_contract(found, name)
        data = _data(contract, payload, given)
        found.signal(name, contract.from_data(data), by, why=why)
        say(status_after(found))


def _asked(one: Approval) -> str:
    """The fields of an answer, in a line."""
    if one.asks is None:
        return f"{one.contract} (not loaded here)"
    fields = [
        f"{field.name}: {field.kind}" if field.required else f"[{field.name}: {field.kind}]"
        for field in one.asks
    ]
    return ", ".join(fields) or "nothing"


def _awaited(run: Run) -> str:
    """The one signal that a run waits for. Raises :class:`~handoffs.coordinator.errors.SignalRefused` where it is not one."""
    names = sorted({one.signal for one in run.waiting()})
    if len(names) == 1:
        return names[0]
    shown = printable(run.id, 80)
    if names:
        raise SignalRefused(
            f"run {shown} waits for several signals: {', '.join(printable(name, 80) for name in names)}",
            "nothing was sent",
            "name one of them with --signal",
        )
    raise SignalRefused(
        f"run {shown} waits for no signal: it is {run.status()}",
        "nothing was sent",
        "see what does: coordinator approvals list",
    )


def _read(fields: Sequence[str]) -> dict[str, str]:
    """The fields of ``--set``. Raises :class:`click.UsageError` for what sets none, or one twice."""
    given: dict[str, str] = {}
    for text in fields:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.UsageError(f"--set {quoted(text, 80)} sets no field: write --set FIELD=VALUE")
        if name in given:
            raise click.UsageError(f"--set gives {quoted(name, 80)} twice")
        given[name] = value
    return given


def _data(contract: type[Contract], payload: Any, given: dict[str, str]) -> Any:
    """The answer as JSON values. Raises :class:`~handoffs.contracts.errors.InvalidData` for a field that the contract does not have, and for a
    value that is neither text nor JSON where JSON is wanted."""
    if not given:
        return {} if payload is None else payload
    if payload is not None and not isinstance(payload, dict):
        raise InvalidData("--payload is no JSON object", "nothing was sent", "give an object, or only --set")
    schema = generated(contract)
    properties, data = schema.get("properties", {}), dict(payload or {})
    for name, text in given.items():
        if name not in properties:
            known = ", ".join(field.name for field in asked_by(contract) if "." not in field.name) or "none"
            raise InvalidData(
                f"{contract.ref()} has no field {quoted(name, 80)}",
                "nothing was sent",
                f"its fields: {known}",
            )
        data[name] = _value(name, text, _takes_text(properties[name], schema.get("$defs", {})))
    return data


def _value(name: str, text: str, is_text: bool) -> Any:
    if is_text:
        return text
    try:
        return strictjson.loads(text)
    except InvalidJson:
        raise InvalidData(
            f"the value of {printable(name, 80)} is no JSON, and the field takes no text",
            "nothing was sent",
            "write 5, true, null, '[1, 2]', or give the whole answer with --payload",
        ) from None


def _takes_text(schema: Any, definitions: Any) -> bool:
    """Whether a field takes text, alone or among other values."""
    found = resolved(schema, definitions)
    if found.get("type") == "string" or any(isinstance(one, str) for one in found.get("enum", ())):
        return True
    if isinstance(found.get("const"), str):
        return True
    return any(_takes_text(part, definitions) for part in branches(found))
