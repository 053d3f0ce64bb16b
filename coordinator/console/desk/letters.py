"""Dead letters: what waits, by cause and by group, or one by one."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.letter_desk import LetterKind
from handoffs.coordinator.console.asked import Asked
from handoffs.coordinator.console.desk.drawing import bars
from handoffs.coordinator.console.desk.selection import Filter, Plain, filtered
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.handoff.failure import FailureKind, remedy_of
from handoffs.coordinator.journal.groups import LetterGroup
from handoffs.coordinator.journal.letter_row import LetterSummary
from handoffs.coordinator.letters.causes import SAID, Cause, advice, cause_of

router = APIRouter(tags=["dead letters"])

State = Literal["waiting", "replayed", "settled", "cancelled", "archived", "unheard", "all"]
STATES: tuple[State, ...] = ("waiting", "replayed", "settled", "cancelled", "archived", "unheard", "all")
COUNTED = 10_000
"""Up to how many letters are counted, where they are listed one by one."""
KINDS = tuple(sorted(FailureKind))


class LettersQuery(Filter):
    """Which dead letters, and how they are shown."""

    state: State = "waiting"
    by: Annotated[
        Literal["", "group", "letter"],
        Field(
            description="Groups or letters. Not given: groups, but letters where groups cannot be chosen so."
        ),
    ] = ""
    after: Annotated[Plain, Field(max_length=300, description="Go on where another page ended.")] = ""
    limit: Annotated[int, Field(ge=1, le=200)] = 50

    @property
    def shows_groups(self) -> bool:
        """Whether groups are shown: those of letters that wait, which are not chosen by their runs."""
        cannot = bool(self.run or self.group or self.contract or self.after) or self.state != "waiting"
        return self.by != "letter" and not cannot


class Kind(BaseModel):
    """How many letters are of one kind, and since when the oldest of them is there; `means` says it in words."""

    kind: str
    count: int
    oldest: datetime | str
    means: str


class CauseOfMany(BaseModel):
    """How many letters have one cause, and which kinds these are."""

    cause: Cause
    said: str
    count: int
    kinds: list[Kind]


class LetterLine(BaseModel):
    """A dead letter in a list. Times are ISO 8601 in UTC."""

    id: str
    state: str
    cause: Cause
    kind: str
    run: str
    flow: str
    step: str
    agent: str
    contract: str
    error: str
    text: str
    group: str
    first_failed_at: str
    last_failed_at: str
    times: int
    replays: int


class Group(BaseModel):
    """Letters that wait at one step for one cause. `counts` are how many failed in each equal part of the time from `first` to `last`;
    `new_since` is the newest recorded build of the agent, where no letter of the group is known from before it."""

    id: str
    count: int
    cause: Cause
    kind: str
    flow: str
    step: str
    agent: str
    contract: str
    error: str
    text: str
    first: str
    last: str
    counts: list[int]
    example: str
    workers: list[str]
    builds: list[str]
    new_since: str
    owner: str
    note: str
    noted_by: str
    noted_at: str
    remedy: str


class DeadLetters(BaseModel):
    """Dead letters: how many there are by cause (those that wait or are put away), and some of them, as groups or one by one. `total` is
    how many groups, or letters, there are in all, where letters are counted up to 10,001; `next` is what to give as `after` for the next page of letters, empty where this is the last."""

    causes: list[CauseOfMany]
    by: Literal["group", "letter"]
    total: int
    groups: list[Group] = []
    letters: list[LetterLine] = []
    next: str = ""


def letters(coordinator: Asked, asked: Annotated[LettersQuery, Query()]) -> View[DeadLetters]:
    """Dead letters: groups of those that wait for one cause, the largest first, or the letters themselves, the oldest first."""
    chosen = filtered(coordinator, asked)
    chosen["state"] = None if asked.state == "all" else asked.state
    of_any_kind = chosen.copy()
    of_any_kind["kind"] = ""
    small = asked.state in ("waiting", "archived")  # of the others there may be as many as there ever were
    causes = _by_cause(coordinator.letter_kinds(**of_any_kind)) if small else []
    options: dict[str, Any] = {**asked.words(), "limit": asked.limit}
    if asked.shows_groups:
        data = _groups(coordinator, asked, causes)
        command = twin("dead-letters groups", limit=asked.limit)
    else:
        page = coordinator.letters_page(after=asked.after, limit=asked.limit, **chosen)
        total = coordinator.journal.letters.total(most=COUNTED + 1, **chosen)
        data = DeadLetters(
            causes=causes,
            by="letter",
            total=total,
            letters=[line_of(one) for one in page.letters],
            next=page.next,
        )
        command = twin("dead-letters list", all=asked.state != "waiting", **options)
    more = {
        "asked": asked, "states": STATES, "kinds": KINDS, "bars": bars, "counted": COUNTED,
        "words": {**asked.words(), **({"state": asked.state} if asked.state != "waiting" else {})},
        "selection": asked.words(),
        "of_groups": {"by": "group", **{name: value for name, value in asked.words().items() if name in ("flow", "agent", "kind")}},
    }  # fmt: skip
    return View(data, "Dead letters", command, more)


def line_of(letter: LetterSummary) -> LetterLine:
    """A letter as a line of a list."""
    values = {
        name: getattr(letter, name) for name in LetterLine.model_fields if name not in ("cause", "group")
    }
    return LetterLine(**values, cause=cause_of(letter.kind), group=letter.fingerprint)


def group_of(group: LetterGroup) -> Group:
    """A group as pages and programs see it."""
    remedy = remedy_of(group.kind, group.example)
    return Group.model_validate({**asdict(group), "cause": cause_of(group.kind), "remedy": remedy})


def _groups(coordinator: Coordinator, asked: LettersQuery, causes: list[CauseOfMany]) -> DeadLetters:
    where = {"flow": asked.flow, "agent": asked.agent, "kind": asked.kind}
    found = coordinator.letter_groups(**where, limit=asked.limit)
    total = coordinator.journal.groups.total(**where) if len(found) == asked.limit else len(found)
    return DeadLetters(causes=causes, by="group", total=total, groups=[group_of(one) for one in found])


def _by_cause(kinds: list[LetterKind]) -> list[CauseOfMany]:
    found = []
    for cause in Cause:
        own = [one for one in kinds if one.cause == cause]
        if own:
            shown = [
                Kind(kind=one.kind, count=one.count, oldest=one.oldest, means=advice(one.kind, "").means)
                for one in own
            ]
            found.append(
                CauseOfMany(cause=cause, said=SAID[cause], count=sum(one.count for one in own), kinds=shown)
            )
    return sorted(found, key=lambda one: -one.count)


add_page(router, "/dead-letters", letters, template="letters.html.j2", model=DeadLetters)
