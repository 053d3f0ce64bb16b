"""Replay: what a replay of many letters would meet, and its beginning; and putting letters away, and bringing them back."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, Field

from handoffs.coordinator.client.chosen_letters import Selection as Chosen
from handoffs.coordinator.client.chosen_letters import put_away
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.operation import Pace
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.action import Done, Why, add_action
from handoffs.coordinator.console.asked import Asked, By, InBackground
from handoffs.coordinator.console.desk.letters import LetterLine, line_of
from handoffs.coordinator.console.desk.selection import Selected, Selection
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.letters.foresight import Foreseen
from handoffs.coordinator.letters.operations import ARCHIVE, REPLAY, RESTORE

router = APIRouter(tags=["dead letters"])

MOST_LOOKED_AT = 200
"""How many letters a page looks ahead for."""

MOST_LETTERS = 1_000_000


class ForesightQuery(Selection):
    """Which letters, and for how many of them it is looked ahead."""

    limit: Annotated[int, Field(ge=1, le=MOST_LOOKED_AT)] = 50


class Ahead(LetterLine):
    """What a replay of a letter would meet: `refused` is why it would be refused, empty where nothing speaks against it, `meets` what
    speaks against its coming through, `follows` whose turn it is after its step."""

    refused: str
    meets: list[str]
    follows: list[str]


class LookedAhead(BaseModel):
    """What a replay would meet. Nothing was done. `total` is how many letters are chosen; it was looked ahead for the first
    `looked_at`, of which so many would be `refused`, and so many would meet something (`warned`)."""

    total: int
    looked_at: int
    refused: int
    warned: int
    letters: list[Ahead]


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


class Replay(Why):
    """Which letters are replayed, and how: `canary` letters first, which are waited for, up to `canary_wait` seconds; at most `rate` letters
    a second; until one parks again for the same cause (`stop_on_recurrence`). With `dry_run` nothing is done."""

    selection: Selected
    canary: Annotated[int, Field(ge=0, le=MOST_LETTERS)] = 0
    canary_wait: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 600.0
    rate: Annotated[
        Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] | None, BeforeValidator(_empty_is_none)
    ] = None
    stop_on_recurrence: bool = False
    dry_run: bool = False


class Many(Why):
    """Which letters are put away, or brought back."""

    selection: Selected


def foresee(coordinator: Asked, asked: Annotated[ForesightQuery, Query()]) -> View[LookedAhead]:
    """What a replay of letters would meet: which would be refused, which contract versions nobody reads, which keys have outcomes already,
    what follows. Nothing is done."""
    chosen = asked.resolved(coordinator)
    data = _looked_ahead(coordinator, chosen, asked.limit)
    options: dict[str, Any] = {**asked.words(), "all": asked.all, "dry_run": True}
    more = {"asked": asked, "selection": Selection(**asked.model_dump(exclude={"limit"})).to_json()}
    return View(data, "Replay", twin("dead-letters replay", *asked.letters, **options), more)


def replay(coordinator: Asked, operators: InBackground, body: Replay, caller: By) -> Done:
    """Replay letters: each run goes on at the step that failed. It is an operation on the letters that are there now, which goes on in the
    background; `GET /api/operations/{operation}` says how far it is."""
    chosen = body.selection.resolved(coordinator)
    if body.dry_run:
        ahead = _looked_ahead(coordinator, chosen, MOST_LOOKED_AT)
        said = f"{ahead.total - ahead.refused} would be replayed, {ahead.refused} refused; nothing was done"
        return Done(said, "/dead-letters", {"foreseen": ahead.model_dump(mode="json")})
    pace = Pace(body.canary, body.canary_wait, body.rate, body.stop_on_recurrence)
    begun = operators.begin(REPLAY, chosen, pace, by=caller.name, why=body.why)
    return Done("The replay has begun.", f"/operations/{begun}", {"operation": begun})


def archive(coordinator: Asked, operators: InBackground, body: Many, caller: By) -> Done:
    """Put letters away: they wait no more, and are kept. Their runs stay as they are."""
    chosen = body.selection.resolved(coordinator)
    begun = operators.begin(ARCHIVE, chosen, Pace(), by=caller.name, why=body.why)
    return Done("The letters are put away.", f"/operations/{begun}", {"operation": begun})


def restore(coordinator: Asked, operators: InBackground, body: Many, caller: By) -> Done:
    """Bring back letters that were put away: they wait again."""
    chosen = put_away(body.selection.resolved(coordinator))
    begun = operators.begin(RESTORE, chosen, Pace(), by=caller.name, why=body.why)
    return Done("The letters are brought back.", f"/operations/{begun}", {"operation": begun})


class ManyQuery(Selection):
    """Which letters something is done with, and what."""

    what: Literal["archive", "restore"] = "archive"
    limit: Annotated[int, Field(ge=1, le=MOST_LOOKED_AT)] = 50


class ManyLetters(BaseModel):
    """The letters that are meant: how many, and the first of them."""

    what: Literal["archive", "restore"]
    total: int
    letters: list[LetterLine]


def many(coordinator: Asked, asked: Annotated[ManyQuery, Query()]) -> View[ManyLetters]:
    """Which letters would be put away, or brought back. Nothing is done."""
    chosen = asked.resolved(coordinator)
    chosen = put_away(chosen) if asked.what == "restore" else chosen
    total, found = _first(coordinator, chosen, asked.limit)
    data = ManyLetters(what=asked.what, total=total, letters=[line_of(one) for one in found])
    plain = Selection(**asked.model_dump(exclude={"limit", "what"}))
    options: dict[str, Any] = {**asked.words(), "all": asked.all}
    title = "Put away" if asked.what == "archive" else "Bring back"
    return View(
        data,
        title,
        twin(f"dead-letters {asked.what}", *asked.letters, **options),
        {"asked": asked, "selection": plain.to_json()},
    )


def _looked_ahead(coordinator: Coordinator, chosen: Chosen, most: int) -> LookedAhead:
    total, _ = _first(coordinator, chosen, 1)
    some = chosen[:most] if isinstance(chosen, list) else chosen
    found = [_ahead(one) for one in islice(coordinator.foresee_letters(some), most)]
    return LookedAhead(
        total=total,
        looked_at=len(found),
        refused=sum(bool(one.refused) for one in found),
        warned=sum(bool(one.meets) for one in found),
        letters=found,
    )


def _ahead(one: Foreseen) -> Ahead:
    line = line_of(one.letter).model_dump()
    return Ahead(**line, refused=one.refused, meets=list(one.meets), follows=list(one.follows))


def _first(coordinator: Coordinator, chosen: Any, most: int) -> tuple[int, list[Any]]:
    """How many letters are chosen, and the first of them."""
    table = coordinator.journal.letters
    if isinstance(chosen, list):
        known = table.summaries(chosen[:most])
        return len(chosen), [known[one] for one in chosen[:most] if one in known]
    return table.total(**chosen), list(coordinator.letters_page(limit=most, **chosen).letters)


add_page(router, "/dead-letters/replay", foresee, template="replay.html.j2", model=LookedAhead)
add_page(router, "/dead-letters/many", many, template="many.html.j2", model=ManyLetters)
add_action(router, "/dead-letters/replay", replay)
add_action(router, "/dead-letters/archive", archive, permission=Permission.ADMINISTER)
add_action(router, "/dead-letters/restore", restore, permission=Permission.ADMINISTER)
