"""Group: letters that wait at one step for one cause, what people noted of them, and what is done with all of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.console.action import Done, add_action
from handoffs.coordinator.console.asked import Asked, By
from handoffs.coordinator.console.desk.drawing import bars
from handoffs.coordinator.console.desk.letters import Group, LetterLine, group_of, line_of
from handoffs.coordinator.console.desk.selection import Plain
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.letters.causes import SAID, advice, cause_of

router = APIRouter(tags=["dead letters"])

GroupId = Annotated[Plain, Path(max_length=60, description="The id of a group, or how it begins.")]


class GroupOfLetters(BaseModel):
    """A group, and some of its letters, the oldest first; `next` is what to give as `after` for more of them."""

    group: Group
    letters: list[LetterLine]
    next: str


class Note(BaseModel):
    """What is written down about a group, in place of what is there; both may be empty."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=2_000)] = ""
    owner: Annotated[str, Field(max_length=200)] = ""


def group(
    coordinator: Asked,
    group: GroupId,
    *,
    after: Annotated[Plain, Query(max_length=300)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> View[GroupOfLetters]:
    """Letters that wait at one step for one cause: since when, how many over time, of which builds, and the letters."""
    found = coordinator.letter_group(group)
    return _view(coordinator, found.id, after, limit)


def _view(coordinator: Coordinator, group_id: str, after: str, limit: int) -> View[GroupOfLetters]:
    found = coordinator.letter_group(group_id)
    page = coordinator.letters_page(after=after, limit=limit, group=found.id)
    data = GroupOfLetters(
        group=group_of(found), letters=[line_of(one) for one in page.letters], next=page.next
    )
    more = {
        "bars": bars(found.counts, 360, 48), "advice": advice(found.kind, found.example), "said": SAID[cause_of(found.kind)],
        "selection": {"group": found.id},
    }  # fmt: skip
    title = f"Group {found.id}"
    return View(data, title, twin("dead-letters groups show", found.id), more)


def note_group(coordinator: Asked, group: GroupId, body: Note, caller: By) -> Done:
    """Write down what a group is about, and who cares for it, in place of what is there. It stays for when the group comes back."""
    found = coordinator.note_group(group, body.note, owner=body.owner, by=caller.name)
    return Done("It is written down.", f"/dead-letters/groups/{found.id}", {"group": found.id})


add_page(router, "/dead-letters/groups/{group}", group, template="group.html.j2", model=GroupOfLetters)
add_action(router, "/dead-letters/groups/{group}/note", note_group)
