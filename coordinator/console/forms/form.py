"""Form: a contract as a form, and what a person has filled in as data of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract, each_fault
from handoffs.contracts.errors import CoordinationError, InvalidJson
from handoffs.contracts.schema import generated
from handoffs.contracts.text import MASK
from handoffs.coordinator.console.forms.fields import FormField, fields_of


@dataclass(frozen=True, slots=True)
class Form:
    """A form of a contract (``name/version``). ``faults`` are those that belong to no field of it."""

    contract: str
    fields: tuple[FormField, ...]
    faults: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong with what was sent."""
        return not self.faults and not any(one.fault for one in self.fields)

    @property
    def wrong(self) -> str:
        """What is wrong, in a line."""
        return "; ".join([*(f"{one.path}: {one.fault}" for one in self.fields if one.fault), *self.faults])


@dataclass(frozen=True, slots=True)
class Filled:
    """A form that was sent: with what is wrong in it, and what it says; ``data`` is None where something is wrong that leaves none."""

    form: Form
    data: dict[str, Any] | None


def form_of(contract: type[Contract], value: Any = None, *, locked: Iterable[str] = ()) -> Form:
    """The form of ``contract``, filled with ``value`` (JSON values, sensitive ones masked); the fields ``locked`` stay as they are."""
    return Form(str(contract.ref()), tuple(fields_of(generated(contract), value, frozenset(locked))))


def filled(
    contract: type[Contract], sent: Mapping[str, Any], value: Any = None, *, locked: Iterable[str] = ()
) -> Filled:
    """The form with what was ``sent`` in it, over the ``value`` that it was made with. What is masked stays masked: who has the value puts
    it there; so such a field is not judged here."""
    form = form_of(contract, value, locked=locked)
    data: dict[str, Any] = dict(value) if isinstance(value, Mapping) else {}
    shown: list[FormField] = []
    for one in form.fields:
        text = sent.get(one.name)
        if one.locked or not isinstance(text, str):
            shown.append(one)
            continue
        text = text.replace("\r\n", "\n")
        fault = _put(data, one, text)
        shown.append(
            replace(
                one,
                value=MASK if one.kind == "secret" and text == MASK else "" if one.kind == "secret" else text,
                fault=fault,
            )
        )
    form = replace(form, fields=tuple(shown))
    return Filled(form, data) if not form.is_sound else judged(contract, form, data)


def judged(contract: type[Contract], form: Form, data: dict[str, Any]) -> Filled:
    """The form with what the contract says of ``data``."""
    masked = _masked_paths(data, "")
    try:
        contract.model_validate_json(strictjson.dumps(data))
        return Filled(form, data)
    except ValidationError as error:
        found = [(place, text) for place, text in each_fault(error, contract) if not _is_below(place, masked)]
    except CoordinationError as error:
        found = [("", error.cause)]
    except Exception as error:  # noqa: BLE001 - of a validator that the contract brings
        found = [("", f"{type(error).__name__} in a validator")]
    if not found:
        return Filled(form, data)
    known = {one.path for one in form.fields}
    own = {place: text for place, text in found if place in known}
    others = tuple(f"{place or 'the whole'}: {text}" for place, text in found if place not in known)
    fields = tuple(replace(one, fault=own.get(one.path, "")) for one in form.fields)
    return Filled(Form(form.contract, fields, others[:20]), data)


def _put(data: dict[str, Any], one: FormField, text: str) -> str:
    """Put what was typed where it belongs; gives what is wrong with it."""
    *above, last = one.path.split(".")
    place = data
    for step in above:
        inner = place.get(step)
        place[step] = inner = dict(inner) if isinstance(inner, Mapping) else {}
        place = inner
    if text == "" and not (one.kind == "text" and one.required):
        return _put_nothing(place, last, one)
    value, fault = _value(one, text)
    if not fault:
        place[last] = value
    return fault


def _put_nothing(place: dict[str, Any], name: str, one: FormField) -> str:
    """A field that was left empty: what was empty or null before stays so, else it is not given, and its default holds."""
    before = place.get(name)
    if one.was_given and (before is None or (before == "" and one.kind in ("text", "lines"))):
        return ""
    if one.required:
        return "it is needed"
    place.pop(name, None)
    return ""


def _value(one: FormField, text: str) -> tuple[Any, str]:
    if one.kind in ("text", "lines", "secret") or (
        one.kind == "choice" and text in one.options and not _is_json_choice(one)
    ):
        return text, ""
    try:
        return strictjson.loads(text), ""
    except InvalidJson as error:
        return None, "it is no number" if one.kind == "number" else f"it is no JSON: {error.cause}"


def _is_json_choice(one: FormField) -> bool:
    return one.options == ("true", "false") or all(
        option[:1] in "-0123456789[{" or option in ("true", "false", "null") for option in one.options
    )


def _masked_paths(value: Any, path: str) -> frozenset[str]:
    if value == MASK:
        return frozenset({path})
    inside = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    return frozenset().union(
        *(_masked_paths(inner, f"{path}.{name}" if path else str(name)) for name, inner in inside)
    )


def _is_below(place: str, masked: frozenset[str]) -> bool:
    return any(place == one or place.startswith(f"{one}.") for one in masked)
