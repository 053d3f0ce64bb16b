"""Caller: who asks the console for something, how it is known, and what the caller may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from handoffs.config.console import Role
from handoffs.coordinator.console.access.permission import Permission, least_role
from handoffs.coordinator.console.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Caller:
    """A person or a program. ``name`` is what actions are written down with.

    ``how``: ``local`` where nobody is asked who they are, ``token`` of a program's ``Authorization`` header, ``session`` of a browser.
    """

    name: str
    role: Role
    payloads: Role
    how: Literal["local", "token", "session"]

    def may(self, permission: Permission) -> bool:
        """Whether the caller has ``permission``."""
        return self.role.covers(least_role(permission, self.payloads))

    def must(self, permission: Permission) -> None:
        """Raises :class:`~handoffs.coordinator.console.errors.Forbidden`, which names what is missing, where the caller lacks it."""
        if not self.may(permission):
            least = least_role(permission, self.payloads)
            raise Forbidden(
                f"{self.name} has the role {self.role}, and lacks the permission {permission.value}",
                "nothing was done",
                f"the role {least} has it: ask who gives out the tokens of this console",
            )
