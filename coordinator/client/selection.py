"""Selection: what was found of one kind, in order, to be looked at in tests: narrowed down, or taken as the one that there is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import printable
from handoffs.coordinator.client import given
from handoffs.coordinator.errors import NotOne

T = TypeVar("T")

_MOST_TOLD = 20
"""How many members an error lists."""


class Selection(Sequence[T], Generic[T]):
    """Members of one kind, in order. It never changes; it equals a list of the same members."""

    __slots__ = ("_members",)

    noun: ClassVar[str]
    noun_of_many: ClassVar[str]
    """What a member is called, and what several are."""
    kinds_known: ClassVar[type[StrEnum]]
    """The kinds that a member can be of."""

    def __init__(self, members: Iterable[T] = ()) -> None:
        self._members = tuple(members)

    @staticmethod
    @abstractmethod
    def _kind_of(member: T) -> str:
        """The kind of a member."""

    @staticmethod
    @abstractmethod
    def _place_of(member: T) -> tuple[str, str]:
        """The agent of a member, and the path of its step."""

    @staticmethod
    @abstractmethod
    def _told(member: T) -> str:
        """A member in a few words."""

    def of(self, agent: Any) -> Self:
        """Those of an agent (itself or its name), or of a step, by its path (``"3.stock.1"``); none where there are none.

        Raises :class:`~handoffs.contracts.errors.InvalidData` for what is neither.
        """
        name = given.agent_or_step(agent)
        return type(self)(one for one in self._members if name in self._place_of(one))

    def kind(self, kind: str) -> Self:
        """Those of a kind; none where there are none.

        Raises :class:`~handoffs.contracts.errors.InvalidData` for a word that is no kind.
        """
        wanted = self._known_kind(kind)
        return type(self)(one for one in self._members if self._kind_of(one) == wanted)

    def only(self, kind: str = "") -> T:
        """The one that there is, or the one of that kind.

        Raises :class:`~handoffs.coordinator.errors.NotOne`, which lists what there is, where there is none or more than one, and
        :class:`~handoffs.contracts.errors.InvalidData` for a word that is no kind.
        """
        found = self.kind(kind) if kind != "" else self
        if len(found) == 1:
            return found[0]
        noun = self.noun if not found else self.noun_of_many
        what = f"{noun} of the kind {kind}" if kind != "" else noun
        consequence = f"these are there: {self._list()}" if self._members else "there is nothing at all"
        remedy = (
            'narrow it down first, as in .of("shop.price").only(), or look at each'
            if found
            else "see what has become of the run: run.status()"
        )
        count = f"there are {len(found)}" if found else "there is no"
        raise NotOne(f"{count} {what}, where one is expected", consequence, remedy)

    def _known_kind(self, kind: Any) -> str:
        known = [str(one) for one in self.kinds_known]
        if not isinstance(kind, str) or kind not in known:
            word = repr(printable(kind, 60)) if isinstance(kind, str) else f"a {type(kind).__name__}"
            raise InvalidData(
                f"no {self.noun} is of the kind {word}",
                "nothing was looked for",
                f"give one of {', '.join(known)}",
            )
        return str(kind)

    def _list(self) -> str:
        told = [self._told(one) for one in self._members[:_MOST_TOLD]]
        more = len(self._members) - len(told)
        return "; ".join([*told, *([f"and {more} more"] if more else [])])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._members)}{': ' if self._members else ''}{self._list()}>"

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[T]:
        return iter(self._members)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> T | Self:
        return type(self)(self._members[index]) if isinstance(index, slice) else self._members[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Selection):
            return type(self) is type(other) and self._members == other._members
        return list(self._members) == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]
