"""Permissions: what can be allowed or refused in the console, and the least role that has each."""

from __future__ import annotations

from enum import StrEnum

from handoffs.config.console import Role


class Permission(StrEnum):
    """What somebody may do."""

    READ = "read"
    """See runs, letters, contracts, the map: everything but what messages say."""
    PAYLOADS = "payloads"
    """See what messages say. Which role may is a setting: ``COORDINATOR_CONSOLE__PAYLOADS``."""
    OPERATE = "operate"
    """Start runs, answer signals; replay, edit, skip, pause, resume and cancel."""
    ADMINISTER = "administer"
    """Put letters away, give runs up, allow runs more, end other people's operations."""


def least_role(permission: Permission, payloads: Role) -> Role:
    """The least role that has ``permission``, where ``payloads`` is the least one that sees what messages say."""
    match permission:
        case Permission.READ:
            return Role.READER
        case Permission.PAYLOADS:
            return payloads
        case Permission.OPERATE:
            return Role.OPERATOR
        case Permission.ADMINISTER:
            return Role.ADMIN
