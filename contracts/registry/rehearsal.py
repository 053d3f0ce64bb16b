"""Rehearsal: migrations are tried on samples before a version that relies on them is published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.compatibility import compare
from handoffs.contracts.compatibility.budget import Budget, Exhausted
from handoffs.contracts.compatibility.engine import matches
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.schema import Schemas
from handoffs.contracts.compatibility.validator import Validator
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.errors import CoordinationError, InvalidData, InvalidJson
from handoffs.contracts.fields import masked
from handoffs.contracts.migration import Migration, migrations
from handoffs.contracts.registry.golden import accepted
from handoffs.contracts.registry.problem import Problem
from handoffs.contracts.registry.publication import Published
from handoffs.contracts.samples import samples

_MOST = 60
_STEPS = 200_000


@dataclass(slots=True)
class Rehearsal:
    """Tries the migrations of a class between ``versions``; ``kept`` is further data of each, from golden envelopes.

    A step must take every sample of its source, leave it as it was, and give what the target reads. A downcast that is
    not declared lossy must lose nothing: down and up again, and up and down again, give what was there.
    """

    contract: type[Contract]
    versions: Mapping[int, Published]
    kept: Mapping[int, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    _instances: dict[int, tuple[dict[str, Any], ...]] = field(default_factory=dict)

    def problems(self) -> Iterator[Problem]:
        """What is wrong with the steps, for each of them the first instance that shows it."""
        declared = migrations(self.contract)
        for (source, target), migration in sorted(declared.items()):
            if source in self.versions and target in self.versions:
                found = self._step(migration)
                if found is None and target < source and not migration.lossy:
                    found = self._round_trips(migration, declared.get((target, source)))
                if found is not None:
                    yield found

    def _step(self, migration: Migration) -> Problem | None:
        source = self.versions[migration.source].ref
        for number, instance in enumerate(self._of(migration.source), 1):
            before = strictjson.canonical(instance)
            try:
                self._migrated(migration, instance)
            except CoordinationError as error:
                kept = number <= len(self.kept.get(migration.source, ()))
                which = f" (golden envelope {number} of {source})" if kept else ""
                remedy = f"let it make what is wanted of every instance of {source}"
                return self._problem(migration, error.cause + which, instance, remedy)
            if strictjson.canonical(instance) != before:
                return self._problem(
                    migration,
                    f"the {migration} changes the data that it is given",
                    instance,
                    "copy before you change",
                )
        return None

    def _round_trips(self, down: Migration, up: Migration | None) -> Problem | None:
        """Where something is lost though the downcast does not say so."""
        remedy = 'say what is lost, @downcast(..., lossy="..."), or keep it'
        if up is None and not self._goes_unchanged(down.target, down.source):
            return None
        for instance in self._of(down.source):
            back = self._up(up, self._migrated(down, instance))
            if back is None or not self._same(down.source, instance, back):
                what = f"the {down} loses something: up again it is not what it was"
                return self._problem(down, what, instance, remedy)
        for instance in self._of(down.target):
            raised = self._up(up, instance)
            if raised is None:
                continue
            back = self._migrated(down, raised)
            if not self._same(down.target, instance, back):
                what = f"the {down} loses something: what was version {down.target} does not come back"
                return self._problem(down, what, instance, remedy, down.target)
        return None

    def _up(self, up: Migration | None, data: dict[str, Any]) -> dict[str, Any] | None:
        """Upcast; None where the step does not take it, which is a problem of that step."""
        try:
            return data if up is None else self._migrated(up, data)
        except CoordinationError:
            return None

    def _migrated(self, migration: Migration, instance: dict[str, Any]) -> dict[str, Any]:
        made = migration.apply(instance)
        try:
            strictjson.dumps(made)
        except InvalidJson as error:
            raise InvalidData(f"the {migration} gives no JSON: {error.cause}") from None
        target = self.versions[migration.target]
        own = self.contract.ref() == target.ref
        faults = () if own else tuple(_faults(target, made))
        if faults:
            raise InvalidData(
                f"the {migration} gives what {target.ref} does not read: {'; '.join(faults[:5])}"
            )
        if own:
            try:
                self.contract.from_data(made)
            except InvalidData as error:
                raise InvalidData(
                    f"the {migration} gives what {target.ref} does not read: {error.cause}"
                ) from None
        return made

    def _same(self, version: int, before: dict[str, Any], after: dict[str, Any]) -> bool:
        """Whether nothing of ``before`` is missing. Of the version at hand, a default fills in."""
        if ContractRef(self.contract.ref().name, version) == self.contract.ref():
            try:
                after = self.contract.from_data(after).to_data()
                before = self.contract.from_data(before).to_data()
            except CoordinationError:
                return False
        return _holds(after, before)

    def _goes_unchanged(self, source: int, target: int) -> bool:
        return compare(self.versions[source].writes, self.versions[target].reads).verdict == "compatible"

    def _of(self, version: int) -> tuple[dict[str, Any], ...]:
        """Instances that a writer of a version emits. Those of the version at hand pass the validators of its class."""
        if version not in self._instances:
            published = self.versions[version]
            own = published.ref == self.contract.ref()
            found = accepted(self.contract) if own else samples(published.writes, most=_MOST)
            self._instances[version] = (*self.kept.get(version, ()), *found)
        return self._instances[version]

    def _problem(
        self, migration: Migration, text: str, instance: Any, remedy: str, version: int | None = None
    ) -> Problem:
        shown = masked(instance, self.versions[version or migration.source].sensitive)
        name = migration.contract
        newer = ContractRef(name, max(migration.source, migration.target))
        older = ContractRef(name, min(migration.source, migration.target))
        return Problem("migration", newer, text, remedy, older, witness=shown, has_witness=True)


def _holds(after: Any, before: Any) -> bool:
    """Whether all that is in ``before`` is in ``after``."""
    if isinstance(before, dict) and isinstance(after, dict):
        return all(name in after and _holds(after[name], inner) for name, inner in before.items())
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_holds, after, before))
    return bool(before == after) and isinstance(before, bool) == isinstance(after, bool)


def _faults(target: Published, data: dict[str, Any]) -> Iterator[str]:
    """The fields for which ``data`` surely is not what a version reads; no value is shown."""
    try:
        node = Schemas().read(target.reads)
        validator = Validator(Budget(steps=_STEPS), matches)
        if validator.valid(node, data) is not False:
            return
        places = list(_places(validator, node, data, ""))
    except (Exhausted, RecursionError):
        places = []
    yield from places or ["(whole): does not fit"]


def _places(validator: Validator, node: Node, value: Any, path: str) -> Iterator[str]:
    for inner in (*node.all_of, *([node.reference] if node.reference is not None else [])):
        yield from _places(validator, inner, value, path)
    if isinstance(value, dict):
        for name in node.required:
            if name not in value:
                yield f"{path}/{name}: is missing"
        for name, inner in (node.properties or {}).items():
            if name in value and validator.valid(inner, value[name]) is False:
                place = f"{path}/{name}"
                yield from list(_places(validator, inner, value[name], place)) or [f"{place}: does not fit"]
    elif isinstance(value, list) and node.items is not None:
        for number, item in enumerate(value):
            if validator.valid(node.items, item) is False:
                place = f"{path}/{number}"
                yield from list(_places(validator, node.items, item, place)) or [f"{place}: does not fit"]
