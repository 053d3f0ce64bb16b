"""Carried state: a trace state in OpenTelemetry's hands that it does not drop.

Its API knows the keys of Level 1 alone: for one of Level 2, or one that is there twice, it drops the state of everybody else, which
is not ours to delete. To be imported where OpenTelemetry is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from opentelemetry.trace import TraceState

from handoffs.coordinator.messaging.trace_state import MOST_MEMBERS, is_member, members_of, written


class CarriedState(TraceState):
    """A state with all members that W3C Trace Context allows. It is not changed: what changes it makes another one."""

    def __init__(self, members: Mapping[str, str]) -> None:
        super().__init__()
        self._members = dict(members)

    @classmethod
    def read(cls, text: str) -> CarriedState:
        """That of a header; empty where it is not valid."""
        return cls(members_of([text]))

    def __contains__(self, key: object) -> bool:
        return key in self._members

    def __getitem__(self, key: str) -> str:
        return self._members[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"CarriedState({self._members})"

    keys, items, values = Mapping.keys, Mapping.items, Mapping.values

    def to_header(self) -> str:
        """As a header of one line."""
        return written(self._members)

    def add(self, key: str, value: str) -> CarriedState:
        """With another member before the others; the same where its key is there, or it is not valid, or there is no room."""
        return self if key in self else self.update(key, value)

    def update(self, key: str, value: str) -> CarriedState:
        """With a member before the others, in the place of the one with its key; the same where it is not valid, or there is no room."""
        if not is_member(key, value) or (key not in self and len(self) >= MOST_MEMBERS):
            return self
        return CarriedState({key: value, **self.delete(key)})

    def delete(self, key: str) -> CarriedState:
        """Without a member; the same where it is not there."""
        return CarriedState({one: value for one, value in self.items() if one != key})
