"""Amend: a letter's step gets another input, or its outcome, by a form of its contract, which is looked at before it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidJson
from handoffs.contracts.fields import sensitive_of, shown
from handoffs.contracts.text import MASK
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.action import Done, add_action, own_form
from handoffs.coordinator.console.asked import Asked, By, requires
from handoffs.coordinator.console.desk.diff import difference
from handoffs.coordinator.console.desk.letter import LetterId
from handoffs.coordinator.console.forms.form import Filled, Form, filled, form_of, judged
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.templating import rendered, segment
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.letters.letter import Letter

router = APIRouter(tags=["dead letters"])

What = Literal["edit", "skip"]


def _of_form(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return strictjson.loads(value)
    except InvalidJson as error:
        raise ValueError(f"it is no JSON: {error.cause}") from None


Object = Annotated[dict[str, Any], BeforeValidator(_of_form)]


class _Because(BaseModel):
    model_config = ConfigDict(extra="forbid")

    why: Annotated[str, Field(min_length=1, max_length=500)]
    """The reason, for those who read the operator actions later: what is put in the place of another has one."""


class EditBody(_Because):
    """The input that a step is to have. What is left masked stays what it is."""

    payload: Object


class SkipBody(_Because):
    """The outcome that a step is to have."""

    output: Object


class AmendField(BaseModel):
    """A field that can be filled in."""

    path: str
    kind: str
    value: str
    required: bool
    locked: bool
    said: str


class Amendment(BaseModel):
    """What a step can be given: its `contract` (`name/version`), what is there (`value`, sensitive values masked), and the fields."""

    letter: str
    what: What
    contract: str
    value: Any
    fields: list[AmendField]


@dataclass(frozen=True, slots=True)
class _Begins:
    """What a form begins with."""

    letter: Letter
    what: What
    contract: type[Contract]
    value: Any
    locked: frozenset[str]

    @property
    def form(self) -> Form:
        return form_of(self.contract, self.value, locked=self.locked)

    def filled(self, sent: Mapping[str, Any]) -> Filled:
        return filled(self.contract, sent, self.value, locked=self.locked)

    def masked(self, data: Any) -> Any:
        """What people may see of it."""
        return shown(data, sensitive_of(self.contract))


def edit(coordinator: Asked, letter: LetterId, caller: By) -> View[Amendment]:
    """What the input of a letter's step is, as a form: its key stays, and what is masked stays what it is."""
    caller.must(Permission.PAYLOADS)
    return _view(_edited(coordinator, letter))


def skip(coordinator: Asked, letter: LetterId, caller: By) -> View[Amendment]:
    """What the outcome of a letter's step would be made of, as a form."""
    caller.must(Permission.PAYLOADS)
    return _view(_skipped(coordinator, letter))


def _edited(coordinator: Coordinator, letter_id: str) -> _Begins:
    letter = coordinator.find_letter(letter_id)
    begins = coordinator.input_of(letter)
    keys = frozenset() if letter.kind == FailureKind.CONFLICT else begins.keys
    if keys and begins.value is not None:  # what is wrong with a key can be mended
        found = judged(begins.contract, form_of(begins.contract, begins.value), begins.value).form
        keys -= {one.path.partition(".")[0] for one in found.fields if one.fault or not one.was_given}
    return _Begins(
        letter, "edit", begins.contract, begins.value, keys if begins.value is not None else frozenset()
    )


def _skipped(coordinator: Coordinator, letter_id: str) -> _Begins:
    letter = coordinator.find_letter(letter_id)
    return _Begins(letter, "skip", coordinator.outcome_of(letter), None, frozenset())


_BEGINS = {"edit": _edited, "skip": _skipped}


def _view(begins: _Begins) -> View[Amendment]:
    form, letter = begins.form, begins.letter
    fields = [
        AmendField(path=one.path, kind=one.kind, value=one.value, required=one.required, locked=one.locked, said=one.said)
        for one in form.fields
    ]  # fmt: skip
    data = Amendment(
        letter=letter.id, what=begins.what, contract=form.contract, value=begins.value, fields=fields
    )
    return View(data, _title(begins), _twin(begins), {"form": form, "letter": letter, "why": ""})


def _title(begins: _Begins) -> str:
    doing = "Edit the input of" if begins.what == "edit" else "Give the outcome of"
    return f"{doing} step {begins.letter.step} ({begins.letter.agent})"


def _twin(begins: _Begins) -> str:
    given = "--payload" if begins.what == "edit" else "--output"
    return f"{twin(f'dead-letters {begins.what}', begins.letter.id)} {given} @file.json --why ..."


def edit_letter(coordinator: Asked, letter: LetterId, body: EditBody, caller: By) -> Done:
    """Give the step of a letter another input, and replay it with that. The old one does not run any more, and is kept."""
    found = coordinator.find_letter(letter)
    coordinator.edit(found, body.payload, by=caller.name, why=body.why)
    return Done(
        "It is edited, and on its way again.",
        f"/dead-letters/{segment(found.id)}",
        {"letter": found.id, "run": found.run},
    )


def skip_letter(coordinator: Asked, letter: LetterId, body: SkipBody, caller: By) -> Done:
    """Give the step of a letter its outcome: its agent does not run, and the run goes on after it."""
    found = coordinator.find_letter(letter)
    coordinator.skip(found, body.output, by=caller.name, why=body.why)
    return Done(
        "Its step has that outcome, and the run goes on.",
        f"/dead-letters/{segment(found.id)}",
        {"letter": found.id, "run": found.run},
    )


def _preview(request: Request, begins: _Begins, sent: Mapping[str, str]) -> HTMLResponse:
    """The page that asks whether that is meant; or the form once more, with what is wrong in it."""
    found, why = begins.filled(sent), sent.get("why", "").strip()[:500]
    said: dict[str, Any] = {
        "title": _title(begins),
        "twin": _twin(begins),
        "letter": begins.letter,
        "why": why,
    }
    if found.data is None or not found.form.is_sound:
        data = {"letter": begins.letter.id, "what": begins.what}
        return rendered(request, "amend.html.j2", code=422, data=data, form=found.form, **said)
    masked = begins.masked(found.data)
    secrets = [
        one.path
        for one in found.form.fields
        if one.kind == "secret" and sent.get(one.name, MASK) not in ("", MASK)
    ]
    return rendered(
        request, "amend_preview.html.j2", what=begins.what, lines=difference(begins.value, masked) if begins.what == "edit" else (),
        masked=masked, secrets=secrets, payload=json.dumps(found.data), **said,
    )  # fmt: skip


def _checked(request: Request, begins: _Begins, sent: Mapping[str, str]) -> HTMLResponse:
    """What is wrong with what is typed so far, as lines."""
    return rendered(request, "faults.html.j2", title="", twin="", form=begins.filled(sent).form)


def _add(what: What, answer: str) -> None:
    """Have a form that was sent looked at: as a page (``preview``), or as lines (``check``)."""
    told = _preview if answer == "preview" else _checked

    async def looked_at(request: Request, coordinator: Asked, letter: LetterId, caller: By) -> HTMLResponse:
        caller.must(Permission.PAYLOADS)
        sent = await own_form(request)
        return await run_in_threadpool(lambda: told(request, _BEGINS[what](coordinator, letter), sent))

    router.add_api_route(
        f"/dead-letters/{{letter:path}}/{what}/{answer}", looked_at, methods=["POST"], include_in_schema=False, response_model=None,
        name=f"{what}.{answer}", dependencies=[Depends(requires(Permission.OPERATE))],
    )  # fmt: skip


for _what, _action, _page in (("edit", edit_letter, edit), ("skip", skip_letter, skip)):
    _path = f"/dead-letters/{{letter:path}}/{_what}"
    _add(_what, "preview")  # type: ignore[arg-type]
    _add(_what, "check")  # type: ignore[arg-type]
    add_action(router, _path, _action)
    add_page(router, _path, _page, template="amend.html.j2", model=Amendment, permission=Permission.OPERATE)
