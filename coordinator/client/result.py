"""Result: what a run has made, as contracts where its flow is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.versions import Versions
from handoffs.coordinator.continuation.parts import numbers_of, parts_of
from handoffs.coordinator.errors import RunParked
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.store.record import Record
from handoffs.coordinator.store.run_state import RunState, waits_for_person


def typed_result(flow: Flow | None, record: Record, versions: Versions) -> Any:
    """The result of a run as contracts, where the flow is known: one, or one for each branch; else plain data."""
    known = _contracts_of(flow) if flow is not None else {}

    def contract(uri: str, value: Any) -> Any:
        ref = ContractRef.from_uri(uri)
        return versions.read(known[ref.name], ref, value) if ref.name in known else value

    data = json.loads(record.data)
    if "=" not in record.schema:
        return contract(record.schema, data) if record.schema else data
    for part in parts_of(record.schema):
        for parent, last in _places(data, part.path):
            parent[last] = contract(part.schema, parent[last])
    return data


def parked_error(record: RunState) -> RunParked:
    """The error of a run that is parked: about the first of its steps that waits for a person."""
    step, failure = min(
        (step, failure) for step, failure in record.parked.items() if waits_for_person(step, failure)
    )
    error = RunParked(
        f"run {record.id} of {record.flow} is parked at step {step} ({failure['agent']}): "
        f"{failure['kind']}: {failure['error']}: {failure['text']}",
        "nothing after that step has run",
        "mend the cause and replay the dead letter",
    )
    error.step, error.failure = step, failure
    return error


def _contracts_of(flow: Flow) -> dict[str, type[Contract]]:
    """The contracts of which a result may be, by name."""
    signals = {contract.ref().name: contract for contract in flow.signals.values()}
    return signals | {place.agent.emits.ref().name: place.agent.emits for place in flow.places()}


def _places(parent: Any, path: list[str]) -> Iterator[tuple[Any, Any]]:
    """The places that a path names: in which object or list, and the name or the number there."""
    first, *deeper = path
    for name in numbers_of(first, len(parent)) if isinstance(parent, list) else (first,):
        if deeper:
            yield from _places(parent[name], deeper)
        else:
            yield parent, name
