"""Links: within the page, from one part to another."""

from __future__ import annotations

from handoffs.contracts.contract import ContractRef
from handoffs.coordinator.docs.elements import Markup, tag


def link(kind: str, name: str, text: str = "") -> Markup:
    """A link to the part about a ``flow``, a ``contract`` or an ``agent``."""
    return tag("a", text or name, href=f"#{kind}-{name}")


def chip(ref: ContractRef) -> Markup:
    """A link to a version of a contract."""
    return tag("a", str(ref), href=f"#contract-{ref.name}-{ref.version}", class_="chip")
