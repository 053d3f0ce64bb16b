"""Node: one schema, read once, in the same form for every draft."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any


@dataclass(slots=True, eq=False)
class Node:
    """The keywords of one schema object that can refuse an instance; annotations are left out.

    ``always`` is set for boolean schemas. ``types`` has JSON type names, "integer" included. ``values`` are the members of
    ``enum`` that are also ``const``; ``frozen`` the same, hashable. Bounds are (number, strict). ``items`` holds for items behind ``prefix``.
    ``references`` are the targets of ``$ref``. ``opaque`` names what is known and not followed (a remote reference, a
    dynamic one): such a node may accept or refuse anything.
    """

    always: bool | None = None
    types: frozenset[str] | None = None
    values: tuple[Any, ...] | None = None
    frozen: frozenset[Any] = frozenset()
    lower: tuple[Fraction, bool] | None = None
    upper: tuple[Fraction, bool] | None = None
    multiple: Fraction | None = None
    shortest: int = 0
    longest: int | None = None
    pattern: str | None = None
    format: str | None = None
    properties: dict[str, Node] | None = None
    patterns: dict[str, Node] = field(default_factory=dict)
    additional: Node | None = None
    unevaluated_properties: Node | None = None
    names: Node | None = None
    required: tuple[str, ...] = ()
    fewest: int = 0
    most: int | None = None
    dependent: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dependent_schemas: dict[str, Node] = field(default_factory=dict)
    prefix: tuple[Node, ...] = ()
    items: Node | None = None
    unevaluated_items: Node | None = None
    min_items: int = 0
    max_items: int | None = None
    contains: Node | None = None
    min_contains: int = 1
    max_contains: int | None = None
    contains_evaluates: bool = True
    unique: bool = False
    all_of: tuple[Node, ...] = ()
    any_of: tuple[Node, ...] | None = None
    one_of: tuple[Node, ...] | None = None
    negated: Node | None = None
    condition: Node | None = None
    then: Node | None = None
    otherwise: Node | None = None
    reference: Node | None = None
    opaque: tuple[str, ...] = ()

    def allows(self, kind: str) -> bool:
        """Whether ``type`` lets instances of a JSON type pass; "number" also where only integers may."""
        return self.types is None or kind in self.types or (kind == "number" and "integer" in self.types)

    @property
    def integral(self) -> bool:
        """Whether ``type`` lets no number pass but integers."""
        return self.types is not None and "number" not in self.types and "integer" in self.types

    @property
    def opens(self) -> bool:
        """Whether the schema itself says which further properties there may be."""
        return bool(self.additional or self.patterns or self.unevaluated_properties)

    @property
    def declared(self) -> frozenset[str]:
        """The names that the schema speaks of as properties."""
        behind = (name for names in self.dependent.values() for name in names)
        return frozenset(
            (*(self.properties or ()), *self.required, *self.dependent, *behind, *self.dependent_schemas)
        )

    def applied(self) -> tuple[Node, ...]:
        """The schemas that speak of the same instance, whether they must hold or not."""
        optional = (self.negated, self.condition, self.then, self.otherwise, self.reference)
        return (
            *self.all_of,
            *(self.any_of or ()),
            *(self.one_of or ()),
            *self.dependent_schemas.values(),
            *(node for node in optional if node is not None),
        )

    def within(self) -> tuple[Node, ...]:
        """The schemas that speak of the items, properties and names of the instance."""
        optional = (
            self.additional, self.unevaluated_properties, self.names, self.items, self.unevaluated_items, self.contains,
        )  # fmt: skip
        return (
            *(self.properties or {}).values(),
            *self.patterns.values(),
            *self.prefix,
            *(node for node in optional if node is not None),
        )


TRUE = Node(always=True)
FALSE = Node(always=False)
