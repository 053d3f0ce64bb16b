"""Golden envelopes: a few messages of a version as its writers wrote them, kept for good and read back on every check."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.envelope import Envelope, message_id, run_id, trace_parent
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.registry.problem import Problem
from handoffs.contracts.samples import exampled, samples
from handoffs.contracts.schema import generated, normal, writes
from handoffs.contracts.text import printable

_MOST = 3
_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def golden_envelopes(contract: type[Contract]) -> tuple[tuple[Envelope, ...], tuple[Problem, ...]]:
    """One to three messages of a class: of its ``examples``, or else of samples which it accepts. And what is wrong."""
    examples = generated(contract).get("examples")
    if examples is not None:
        return _of_examples(contract, examples)
    found = accepted(contract, usual=True) or accepted(contract)
    if not found:
        return (), (_none_accepted(contract),)
    return _enveloped(contract, _unlike(found))


def accepted(contract: type[Contract], *, usual: bool = False) -> tuple[dict[str, Any], ...]:
    """Samples of what a writer of the class emits, as its validators accept it. Fields with ``examples`` have one of them
    where that can be; with ``usual`` there are no others."""
    raw = generated(contract)
    found: dict[str, dict[str, Any]] = {}
    for sample in samples(writes(contract), beside=[normal(exampled(raw))], usual=usual):
        try:
            data = contract.from_data(sample).to_data()
        except (CoordinationError, ValueError):  # of a validator, of pydantic's serializer
            continue
        found.setdefault(strictjson.canonical(data), data)
    return tuple(found.values())


def _of_examples(contract: type[Contract], examples: Any) -> tuple[tuple[Envelope, ...], tuple[Problem, ...]]:
    found: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for number, example in enumerate(examples if isinstance(examples, list) else [], 1):
        try:
            found.append(contract.from_data(example).to_data())
        except CoordinationError as error:
            text = f"example {number} of {contract.ref()} is not one: {printable(error.cause, 300)}"
            problems.append(Problem("golden", contract.ref(), text, "correct the example"))
    if not found and not problems:
        problems.append(_none_accepted(contract))
    return ((), tuple(problems)) if problems else _enveloped(contract, tuple(found[:_MOST]))


def _unlike(found: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """The first, and then those that differ from it in other fields than the ones before."""
    first, *others = found
    chosen, seen = [first], set[str]()
    for data in others:
        differing = {name for name in data if data[name] != first.get(name)}
        if len(chosen) < _MOST and not differing <= seen:
            chosen.append(data)
            seen |= differing
    return tuple(chosen)


def _enveloped(
    contract: type[Contract], found: tuple[dict[str, Any], ...]
) -> tuple[tuple[Envelope, ...], tuple[Problem, ...]]:
    try:
        return tuple(_envelope(contract, number, data) for number, data in enumerate(found, 1)), ()
    except CoordinationError as error:
        text = f"{contract.ref()} does not read what it writes itself: {printable(error.cause, 300)}"
        return (), (Problem("golden", contract.ref(), text, "let it read each field as it writes it"),)


def _envelope(contract: type[Contract], number: int, data: dict[str, Any]) -> Envelope:
    ref = contract.ref()
    run = run_id(str(ref), f"golden-{number}")
    message = message_id(run, "1")
    key = contract.from_data(data).key()
    return Envelope(
        id=message,
        source="/contracts/golden",
        type=ref.name,
        data_schema=ref.uri,
        subject=key or None,
        time=_TIME,
        correlation_id=run,
        idempotency_key=key or f"golden-{number}",
        trace_parent=trace_parent(run, message),
        data=data,
    )


def _none_accepted(contract: type[Contract]) -> Problem:
    return Problem(
        "golden",
        contract.ref(),
        f"no sample of {contract.ref()} passes its validators, so there is no golden envelope",
        "give an example: Field(examples=[...]) for the fields with a validator, or for the whole "
        'model_config = {"json_schema_extra": {"examples": [{...}]}}',
    )
