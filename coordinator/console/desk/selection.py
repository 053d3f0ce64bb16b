"""Selection: which dead letters are meant, as pages and programs say it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import is_plain
from handoffs.coordinator.client.chosen_letters import Selection as Chosen
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.errors import UnknownRun
from handoffs.coordinator.journal.letters import LetterFilter

MOST = 1_000
"""How many letters can be named one by one."""


def _plain(value: str) -> str:
    if not is_plain(value):
        raise ValueError("it has characters that no name has")
    return value


Plain = Annotated[str, AfterValidator(_plain)]
"""A text without what a reader would not see."""

Id = Annotated[Plain, Field(min_length=1, max_length=200)]
Name = Annotated[Plain, Field(max_length=200)]


class Filter(BaseModel):
    """Which dead letters: an empty filter lets everything pass."""

    model_config = ConfigDict(extra="forbid")

    flow: Name = ""
    agent: Name = ""
    run: Name = ""
    kind: Annotated[Plain, Field(max_length=60)] = ""
    contract: Name = ""
    group: Annotated[Plain, Field(max_length=60)] = ""

    def chosen(self) -> LetterFilter:
        """As the coordinator takes it."""
        return {
            "flow": self.flow, "agent": self.agent, "run": self.run, "kind": self.kind, "contract": self.contract, "group": self.group,
        }  # fmt: skip

    def words(self) -> dict[str, str]:
        """What is asked for, by name, without what is not."""
        return {name: value for name, value in self.chosen().items() if isinstance(value, str) and value}


class Selection(Filter):
    """Which dead letters something is done with: `letters` by their ids, those of a filter or a group, or `all` that wait."""

    letters: Annotated[list[Id], Field(max_length=MOST)] = []
    all: bool = False

    def resolved(self, coordinator: Coordinator) -> Chosen:
        """What is chosen, whole ids in place of beginnings. Raises :class:`InvalidData` where nothing says which letters are meant, and
        what :meth:`Coordinator.find_letter` and :meth:`Coordinator.letter_group` raise."""
        named = self.words()
        if bool(self.letters) + bool(named) + self.all != 1:
            raise InvalidData(
                "it is not said which dead letters are meant"
                if not (self.letters or named)
                else "dead letters are chosen in two ways",
                "nothing was done",
                "name letters, or give a filter such as a flow, or say all: one of these",
            )
        if self.letters:
            known = coordinator.journal.letters.failures(self.letters)
            return [
                one if one in known else coordinator.find_letter(one).id
                for one in dict.fromkeys(self.letters)
            ]
        return filtered(coordinator, self)

    def told(self) -> str:
        """In words, for people."""
        if self.letters:
            return "1 letter" if len(self.letters) == 1 else f"{len(self.letters)} letters"
        return ", ".join(f"{name} {value}" for name, value in self.words().items()) or "all that wait"

    def to_json(self) -> str:
        """As a form carries it."""
        return self.model_dump_json(exclude_defaults=True)


def filtered(coordinator: Coordinator, asked: Filter) -> LetterFilter:
    """A filter with whole ids in place of beginnings. Raises what :meth:`Coordinator.letter_group` raises, and
    :class:`~handoffs.coordinator.errors.AmbiguousId`."""
    chosen = asked.chosen()
    if asked.group:
        chosen["group"] = coordinator.letter_group(asked.group).id
    if asked.run:
        with suppress(UnknownRun):  # nothing is left of it but its letters, or nothing at all
            chosen["run"] = coordinator.find_run(asked.run).id
    return chosen


def _of_form(value: Any) -> Any:
    """What a form carries as text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None


Selected = Annotated[Selection, BeforeValidator(_of_form)]
"""A selection in the body of an action: as JSON, and in a form as its text."""
