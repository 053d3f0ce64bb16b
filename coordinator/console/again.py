"""Again: the form of an action that comes back, because it was not what is taken: with what was typed, and what is wrong at each field."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal, get_args, get_origin

from fastapi import Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ValidationError

from handoffs.contracts.text import printable
from handoffs.coordinator.console.templating import here_of, rendered

_LONG = 1_000


class Wrong(Exception):
    """What was sent is not what is taken: ``faults`` are what is wrong by field, and under no name with the whole of it."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("what was sent is not what is taken")
        self.faults = faults


@dataclass(frozen=True, slots=True)
class AgainField:
    """A field of an action: how it is called, what was typed into it, and what is wrong with that."""

    name: str
    label: str
    kind: Literal["hidden", "tick", "lines", "text"]
    value: str
    fault: str


def body_of(model: type[BaseModel], texts: Mapping[str, str]) -> BaseModel:
    """The body that the ``texts`` of a form say. A field that was left empty is not given. Raises :class:`Wrong`."""
    fields = model.model_fields
    given = {
        name: text for name, text in texts.items() if text or (name in fields and fields[name].is_required())
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise Wrong(_faults(error, frozenset(fields))) from None


def form_again(
    request: Request,
    title: str,
    about: str,
    model: type[BaseModel],
    texts: Mapping[str, str],
    faults: Mapping[str, str],
) -> HTMLResponse:
    """The page with the form once more.

    Many parameters because each is a part of the page.
    """
    fields = [_field(name, model, texts.get(name, ""), faults.get(name, "")) for name in model.model_fields]
    hidden = [f"{one.label}: {one.fault}" for one in fields if one.kind == "hidden" and one.fault]
    return rendered(
        request, "again.html.j2", title=title, twin="", code=HTTPStatus.UNPROCESSABLE_ENTITY, about=about, fields=fields,
        at=here_of(request), refused=[*([faults[""]] if faults.get("") else []), *hidden],
    )  # fmt: skip


def _faults(error: ValidationError, known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in error.errors(include_url=False, include_input=False, include_context=False)[:20]:
        name, *within = [str(part) for part in one["loc"]] or [""]
        at = name if name in known else ""
        said = one["msg"].removeprefix("Value error, ")
        where = ".".join([*([] if at else [name]), *within])
        text = f"{where}: {said}" if where and not at else said
        found[at] = f"{found[at]}; {text}" if at in found else text
    return {name: printable(text, 500) for name, text in found.items()}


def _field(name: str, model: type[BaseModel], value: str, fault: str) -> AgainField:
    return AgainField(
        name, name.replace("_", " ").capitalize(), _kind(model.model_fields[name]), value, fault
    )


def _kind(field: Any) -> Literal["hidden", "tick", "lines", "text"]:
    kinds = _plain_types(field.annotation)
    if any(isinstance(one, type) and issubclass(one, BaseModel) for one in kinds):
        return "hidden"
    if bool in kinds:
        return "tick"
    longest = max((getattr(one, "max_length", None) or 0 for one in field.metadata), default=0)
    return "lines" if longest >= _LONG else "text"


def _plain_types(annotation: Any) -> Sequence[Any]:
    """The types that an annotation stands for."""
    if get_origin(annotation) is Annotated:
        return _plain_types(get_args(annotation)[0])
    if get_origin(annotation) in (typing.Union, type(int | str)):
        return [found for one in get_args(annotation) for found in _plain_types(one)]
    return [annotation]
