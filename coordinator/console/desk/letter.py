"""Letter: one dead letter: what failed, what it says, and what can be done about it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, BeforeValidator, Field

from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.schema import generated
from handoffs.coordinator.cases.letter_case import SHOWN_BY_INPUT
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.interventions import LetterInput
from handoffs.coordinator.client.letter_view import letters_json
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.action import Done, Why, add_action
from handoffs.coordinator.console.asked import Asked, By, requires
from handoffs.coordinator.console.desk.letters import LetterLine, line_of
from handoffs.coordinator.console.desk.selection import Plain
from handoffs.coordinator.console.forms.fields import FormField, fields_of
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.run_status import status_for_people
from handoffs.coordinator.console.templating import segment
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.continuation.path import follows_event
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.letters.causes import SAID, Act, Advice, advice, where
from handoffs.coordinator.letters.letter import Letter

router = APIRouter(tags=["dead letters"])

LetterId = Annotated[Plain, Path(max_length=200, description="The id of a dead letter, or how it begins.")]

_MOST_ACTIONS = 20
_LONGEST_TRACE = 20_000


class Edit(BaseModel):
    """That the input was edited."""

    number: int
    at: str
    who: str
    why: str


class Deed(BaseModel):
    """What somebody did with it."""

    at: str
    who: str
    action: str
    note: str


class OneLetter(LetterLine):
    """A dead letter. `remedy` says what to do about it, `first` what of that can be done here; `refused` is why a replay would be refused,
    empty where nothing speaks against it. `payload` is its input with sensitive values masked, null where it cannot be read, or where the
    caller does not see what messages say (`shows_payload`). `run_status` is how its run is now, empty where that is not known."""

    attempt: int
    worker: str
    means: str
    remedy: str
    first: Act
    refused: str
    frames: list[str]
    trace: str
    shows_payload: bool
    payload: Any
    edits: list[Edit]
    actions: list[Deed]
    run_status: str


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


class More(Why):
    """What the run of a letter may use up in all."""

    tokens: Annotated[Annotated[int, Field(ge=0, lt=2**53)] | None, BeforeValidator(_empty_is_none)] = None
    cost: Annotated[
        Annotated[Decimal, Field(ge=0, lt=10**12, max_digits=18)] | None, BeforeValidator(_empty_is_none)
    ] = None


def letter(coordinator: Asked, letter: LetterId, caller: By) -> View[OneLetter]:
    """One dead letter: why it is here and where in the code, its input with sensitive values masked, who edited it, and what to do."""
    found = coordinator.find_letter(letter)
    told = advice(found.kind, found.id)
    sees = caller.may(Permission.PAYLOADS)
    begins, away = _input(coordinator, found) if sees else (None, "")
    data = _data(coordinator, found, told, begins, sees=sees)
    more = {
        "cause_said": SAID[told.cause], "where": where(found.kind), "contract_fields": _contract_fields(begins), "away": away,
        "can_export": sees and found.kind in SHOWN_BY_INPUT, "may_administer": caller.may(Permission.ADMINISTER),
        "may_operate": caller.may(Permission.OPERATE), "may_edit": bool(found.run) and not follows_event(found.step), "order": _order(told.first),
    }  # fmt: skip
    return View(data, f"Dead letter {found.id[:12]}", twin("dead-letters show", found.id), more)


def _data(
    coordinator: Coordinator, found: Letter, told: Advice, begins: LetterInput | None, *, sees: bool
) -> OneLetter:
    [shown] = letters_json(coordinator.desk, [found])
    done = coordinator.actions_page(run=found.run, limit=200).actions if found.run else ()
    deeds = [
        Deed(at=one.at, who=one.who, action=one.action, note=one.note)
        for one in done
        if one.letter == found.id
    ]
    return OneLetter(
        **line_of(found).model_dump(), attempt=found.attempt, worker=found.worker, means=told.means, remedy=told.remedy, first=told.first,
        refused=_refused(found), frames=shown["frames"], trace=shown["trace"][:_LONGEST_TRACE], shows_payload=sees,
        payload=_payload(shown["payload"], begins) if sees else None, edits=shown["edits"], actions=deeds[:_MOST_ACTIONS],
        run_status=_status(coordinator, found),
    )  # fmt: skip


def _refused(found: Letter) -> str:
    try:
        return found.refusal()
    except ServerError:
        raise
    except CoordinationError as error:
        return str(error)


def _input(coordinator: Coordinator, found: Letter) -> tuple[LetterInput | None, str]:
    """What an edit of it begins with, as far as its agent is loaded here; and why it cannot be had now, where it is kept elsewhere: what
    else there is to know of a letter does not wait for that."""
    try:
        return coordinator.input_of(found), ""
    except ServerError as error:
        return None, error.cause
    except CoordinationError:
        return None, ""


def _payload(known: Any, begins: LetterInput | None) -> Any:
    """Its input; of one that no agent may get, as it came."""
    return known if known is not None or begins is None else begins.value


def _contract_fields(begins: LetterInput | None) -> list[FormField]:
    """The fields of what its agent accepts, as far as that is loaded here."""
    return list(fields_of(generated(begins.contract), None, frozenset())) if begins is not None else []


def _status(coordinator: Coordinator, found: Letter) -> str:
    if not found.run:
        return ""
    try:
        return status_for_people(coordinator.run(found.run))
    except ServerError:
        raise
    except CoordinationError:
        return ""


def _order(first: Act) -> list[Act]:
    """In which order the actions are offered: the one that helps first."""
    others = (Act.REPLAY, Act.EDIT, Act.SKIP)
    return [first, *(one for one in others if one != first)]


def replay_letter(coordinator: Asked, letter: LetterId, body: Why, caller: By) -> Done:
    """Send the step of a letter on its way again: its run goes on from there. Doing it twice has one effect."""
    found = coordinator.find_letter(letter)
    coordinator.desk.replay(found.id, by=caller.name, why=body.why)
    return _done("It is on its way again.", found)


def allow_letter(coordinator: Asked, letter: LetterId, body: More, caller: By) -> Done:
    """Allow the run of a letter to use up so much in all, and replay the letter."""
    found = coordinator.find_letter(letter)
    coordinator.run(found.run).allow(body.tokens, body.cost, by=caller.name, why=body.why)
    coordinator.desk.replay(found.id, by=caller.name, why=body.why)
    return _done("Its run may use up more, and it is on its way again.", found)


def archive_letter(coordinator: Asked, letter: LetterId, body: Why, caller: By) -> Done:
    """Put a letter away: it waits no more, and is kept."""
    found = coordinator.find_letter(letter)
    operation = coordinator.archive_letters(found.id, by=caller.name, why=body.why)
    return _done("It is put away." if operation.done else "It does not wait any more.", found)


def restore_letter(coordinator: Asked, letter: LetterId, body: Why, caller: By) -> Done:
    """Bring back a letter that was put away: it waits again."""
    found = coordinator.find_letter(letter)
    operation = coordinator.restore_letters(found.id, by=caller.name, why=body.why)
    return _done("It waits again." if operation.done else "It is not put away.", found)


def exported(coordinator: Asked, letter: LetterId) -> Response:
    """A letter as a test for pytest: its agent alone, given the same input, is parked for the same reason. Sensitive values are masked."""
    found = coordinator.find_letter(letter)
    name = re.sub(r"[^a-z0-9]", "_", found.id[:12].lower())
    disposition = f'attachment; filename="test_letter_{name}.py"'
    return Response(
        found.as_test().text, media_type="text/x-python", headers={"content-disposition": disposition}
    )


def _done(message: str, found: Letter) -> Done:
    return Done(message, f"/dead-letters/{segment(found.id)}", {"letter": found.id, "run": found.run})


_PATH = "/dead-letters/{letter:path}"
_OF_PAYLOADS = [Depends(requires(Permission.PAYLOADS))]

add_action(router, f"{_PATH}/replay", replay_letter)
add_action(router, f"{_PATH}/allow", allow_letter, permission=Permission.ADMINISTER)
add_action(router, f"{_PATH}/archive", archive_letter, permission=Permission.ADMINISTER)
add_action(router, f"{_PATH}/restore", restore_letter, permission=Permission.ADMINISTER)
router.add_api_route(
    f"{_PATH}/test.py", exported, dependencies=_OF_PAYLOADS, include_in_schema=False, name="exported.page"
)
router.add_api_route(
    f"/api{_PATH}/test", exported, dependencies=_OF_PAYLOADS, response_class=PlainTextResponse
)
add_page(router, _PATH, letter, template="letter.html.j2", model=OneLetter)
