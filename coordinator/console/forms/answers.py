"""Answers: what a form of a contract is answered with when it is sent: it is done, or shown first as what it would change, or comes back
with what was typed and what is wrong in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from handoffs.contracts import strictjson
from handoffs.contracts.errors import CoordinationError, InvalidJson
from handoffs.contracts.fields import sensitive_of, shown
from handoffs.contracts.text import MASK
from handoffs.coordinator.console.action import led_on
from handoffs.coordinator.console.errors import status_of
from handoffs.coordinator.console.forms.diff import difference
from handoffs.coordinator.console.forms.fields import FormField
from handoffs.coordinator.console.forms.filling import LONGEST_WHY, Answer, Filling, form_shown, form_values
from handoffs.coordinator.console.forms.form import Filled, filled, form_of
from handoffs.coordinator.console.templating import here_of, rendered

PAYLOAD = "payload"
"""The field in which what was looked at comes back, as JSON."""

BACK = "back"
"""The field of what asks for the form once more, with what was looked at in it."""

_PREVIEW = "/preview"
_NOT_KEPT = {"cache-control": "no-store"}


def _do(
    request: Request, found: Filling, texts: Mapping[str, str], by: str, *, looks: bool = False
) -> Response:
    """Do what a form asks; or show it again, with what is wrong in it."""
    given, why = _given(found, texts), texts.get("why", "").strip()
    if given.data is None or not given.form.is_sound or _why_fault(found, why):
        return _again(request, found, given, texts, looks=looks)
    try:
        done = found.does(given.data, by, why, texts)
    except CoordinationError as error:
        if status_of(error) != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        return _again(request, found, given, texts, looks=looks, refused=str(error))
    return led_on(request, done)


def _do_looked_at(request: Request, found: Filling, texts: Mapping[str, str], by: str) -> Response:
    return _do(request, found, texts, by, looks=True)


def _preview(request: Request, found: Filling, texts: Mapping[str, str], _: str) -> Response:
    """The page that asks whether that is meant; or the form once more, with what is wrong in it."""
    given, why = _given(found, texts), texts.get("why", "").strip()
    if given.data is None or not given.form.is_sound or _why_fault(found, why, is_looked_at=False):
        return _again(request, found, given, texts, looks=True)
    if BACK in texts:
        return _again(request, found, given, texts, looks=True, code=HTTPStatus.OK)
    masked = shown(given.data, sensitive_of(found.contract))
    changes = found.shows == "change" and found.value is not None
    secrets = [
        one.path
        for one in given.form.fields
        if one.kind == "secret" and texts.get(one.name, MASK) not in ("", MASK)
    ]
    page = rendered(
        request, "filling_preview.html.j2", title=found.title, twin=found.twin, filling=found, why=why, at=_at(request), changes=changes,
        lines=difference(found.value, masked) if changes else (), masked=masked, secrets=secrets, payload=json.dumps(given.data),
    )  # fmt: skip
    if (
        masked != given.data
    ):  # a browser is to keep the page, so that one can go back to it; but no secret that was typed
        page.headers.update(_NOT_KEPT)
    return page


def _check(request: Request, found: Filling, texts: Mapping[str, str], _: str) -> Response:
    """What is wrong with what is typed so far, as lines."""
    form = filled(found.contract, texts, found.value, locked=found.locked).form
    return rendered(request, "faults.html.j2", title="", twin="", form=form)


AT_ONCE: Mapping[str, Answer] = {"": _do}
"""What is sent is done."""

LOOKED_AT: Mapping[str, Answer] = {"": _do_looked_at, _PREVIEW: _preview, "/check": _check}
"""What is sent is looked at, and done when it comes back from there."""


def _given(found: Filling, texts: Mapping[str, str]) -> Filled:
    """What was filled in: field by field, or as a whole where it was looked at before."""
    if PAYLOAD not in texts:
        return filled(found.contract, texts, found.value, locked=found.locked)
    form = form_of(found.contract, found.value, locked=found.locked)
    try:
        data = strictjson.loads(texts[PAYLOAD])
    except InvalidJson as error:
        return Filled(replace(form, faults=(f"what was looked at is no JSON: {error.cause}",)), None)
    if not isinstance(data, dict):
        return Filled(replace(form, faults=("what was looked at is no JSON object",)), None)
    form = form_of(found.contract, shown(data, sensitive_of(found.contract)), locked=found.locked)
    return Filled(replace(form, fields=tuple(_without_secret(one, data) for one in form.fields)), data)


def _without_secret(one: FormField, data: Any) -> FormField:
    """A field without the secret that was typed: what is masked in a form stays what it was before."""
    if one.kind != "secret":
        return one
    for name in one.path.split("."):
        data = data.get(name) if isinstance(data, Mapping) else None
    return one if data == MASK else replace(one, value="")


def _why_fault(found: Filling, why: str, *, is_looked_at: bool = True) -> str:
    """What is wrong with a reason; it may still be missing where what is sent ``is_looked_at`` only then."""
    if len(why) > LONGEST_WHY:
        return f"it is longer than {LONGEST_WHY:,} characters"
    return "it is needed" if found.reason == "must" and is_looked_at and not why else ""


def _again(
    request: Request,
    found: Filling,
    given: Filled,
    texts: Mapping[str, str],
    *,
    looks: bool,
    refused: str = "",
    code: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY,
) -> HTMLResponse:
    """The form with what was typed, and what is wrong.

    Many parameters because each is a part of the page.
    """
    values: dict[str, Any] = form_values(found, given.form, texts, looks=looks)
    fault = _why_fault(found, texts.get("why", "").strip(), is_looked_at=not looks or PAYLOAD in texts)
    values |= {"at": _at(request), "refused": refused, "why_fault": "" if BACK in texts else fault}
    page = rendered(
        request, "filling.html.j2", title=found.title, twin=found.twin, code=code,
        data=form_shown(given.form, found.value), **values,
    )  # fmt: skip
    if sensitive_of(found.contract):
        page.headers.update(_NOT_KEPT)
    return page


def _at(request: Request) -> str:
    """The address of the form."""
    return here_of(request).partition("?")[0].removesuffix(_PREVIEW)
