"""Branch: what is known of one instance of one JSON type while a conjunction of schemas is taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.state import ANYTHING, Positive, State

Step = tuple[Any, ...]
"""One thing that is to hold: its kind and what it is about. See :meth:`Branch.learn`."""
Choice = tuple[Step, ...]
Clause = tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class SomeProperty:
    """There is a property whose value is in ``state``.

    With ``name`` it is that name. Otherwise a name that has each of ``matching``, none of ``unmatched`` and is none of
    ``outside``; and that is in ``naming``.
    """

    state: State
    name: str | None = None
    matching: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    outside: frozenset[str] = frozenset()
    naming: State = ANYTHING


@dataclass(frozen=True, slots=True)
class SomeItem:
    """There is an item from index ``first`` to index ``last`` (no limit where None) in ``state``."""

    state: State
    first: int = 0
    last: int | None = None


@dataclass(slots=True)
class Branch:
    """What holds so far, by keyword; ``clauses`` are disjunctions that are still open, ``waiting`` those set aside."""

    kind: str
    positive: set[Positive] = field(default_factory=set)
    negative: set[Node] = field(default_factory=set)
    clauses: list[Clause] = field(default_factory=list)
    waiting: list[Clause] = field(default_factory=list)
    either: list[tuple[Node, ...]] = field(default_factory=list)
    values: list[Any] | None = None
    doubtful: bool = False
    lower: tuple[Fraction, bool] | None = None
    upper: tuple[Fraction, bool] | None = None
    multiples: frozenset[Fraction] = frozenset()
    not_multiples: frozenset[Fraction] = frozenset()
    shortest: int = 0
    longest: int | None = None
    patterns: frozenset[str] = frozenset()
    not_patterns: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    not_formats: frozenset[str] = frozenset()
    opaque: frozenset[Any] = frozenset()
    not_opaque: frozenset[Any] = frozenset()
    excluded: frozenset[Any] = frozenset()
    min_items: int = 0
    max_items: int | None = None
    unique: bool = False
    repeated: bool = False
    items: list[SomeItem] = field(default_factory=list)
    at_least: list[tuple[int, Node]] = field(default_factory=list)
    at_most: list[tuple[int, Node]] = field(default_factory=list)
    fewest: int = 0
    most: int | None = None
    required: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    properties: list[SomeProperty] = field(default_factory=list)
    also_declared: frozenset[str] = frozenset()

    def copy(self) -> Branch:
        """A branch that can go its own way."""
        made = Branch(self.kind)
        for name in _COPIED:
            setattr(made, name, getattr(self, name))
        for name in _LISTS:
            setattr(made, name, getattr(self, name).copy())
        return made

    def learn(self, step: Step) -> bool:
        """Add one thing that holds; False where it cannot hold beside the others. Schemas are the solver's to take apart."""
        name, *rest = step
        return bool(getattr(self, f"_{name}")(*rest))

    def _lower(self, number: Fraction, strict: bool) -> bool:
        self.lower = (number, strict) if self.lower is None else max(self.lower, (number, strict))
        return self._between()

    def _upper(self, number: Fraction, strict: bool) -> bool:
        if self.upper is None or (number, not strict) < (self.upper[0], not self.upper[1]):
            self.upper = (number, strict)
        return self._between()

    def _between(self) -> bool:
        if self.lower is None or self.upper is None or self.lower[0] < self.upper[0]:
            return True
        return self.lower[0] == self.upper[0] and not self.lower[1] and not self.upper[1]

    def _multiple(self, number: Fraction) -> bool:
        self.multiples |= {number}
        return number not in self.not_multiples

    def _not_multiple(self, number: Fraction) -> bool:
        self.not_multiples |= {number}
        return not any((known / number).denominator == 1 for known in self.multiples)

    def _shortest(self, count: int) -> bool:
        self.shortest = max(self.shortest, count)
        return self.longest is None or self.shortest <= self.longest

    def _longest(self, count: int) -> bool:
        self.longest = count if self.longest is None else min(self.longest, count)
        return self.shortest <= self.longest

    def _pattern(self, pattern: str) -> bool:
        self.patterns |= {pattern}
        return pattern not in self.not_patterns

    def _not_pattern(self, pattern: str) -> bool:
        self.not_patterns |= {pattern}
        return pattern not in self.patterns

    def _format(self, name: str) -> bool:
        self.formats |= {name}
        return name not in self.not_formats

    def _not_format(self, name: str) -> bool:
        self.not_formats |= {name}
        return name not in self.formats

    def _opaque(self, what: Any) -> bool:
        self.opaque |= {what}
        return what not in self.not_opaque

    def _not_opaque(self, what: Any) -> bool:
        self.not_opaque |= {what}
        return what not in self.opaque

    def _excluded(self, values: frozenset[Any]) -> bool:
        self.excluded |= values
        return True

    def _min_items(self, count: int) -> bool:
        self.min_items = max(self.min_items, count)
        return self.max_items is None or self.min_items <= self.max_items

    def _max_items(self, count: int) -> bool:
        self.max_items = count if self.max_items is None else min(self.max_items, count)
        return self.min_items <= self.max_items

    def _unique(self) -> bool:
        self.unique = True
        return not self.repeated

    def _repeated(self) -> bool:
        self.repeated = True
        return not self.unique and self._min_items(2)

    def _item(self, demand: SomeItem) -> bool:
        self.items.append(demand)
        return self._min_items(demand.first + 1)

    def _at_least(self, count: int, node: Node) -> bool:
        self.at_least.append((count, node))
        return self._min_items(count)

    def _at_most(self, count: int, node: Node) -> bool:
        self.at_most.append((count, node))
        return True

    def _fewest(self, count: int) -> bool:
        self.fewest = max(self.fewest, count)
        return self.most is None or self.fewest <= self.most

    def _most(self, count: int) -> bool:
        self.most = count if self.most is None else min(self.most, count)
        return self.fewest <= self.most and len(self.required) <= self.most

    def _required(self, name: str) -> bool:
        self.required.add(name)
        return name not in self.absent and (self.most is None or len(self.required) <= self.most)

    def _absent(self, name: str) -> bool:
        self.absent.add(name)
        return name not in self.required

    def _property(self, demand: SomeProperty) -> bool:
        self.properties.append(demand)
        return self._required(demand.name) if demand.name is not None else self.most != 0

    def _declared(self, names: frozenset[str]) -> bool:
        self.also_declared |= names
        return True


_LISTS = (
    "waiting",
    "positive",
    "negative",
    "clauses",
    "either",
    "items",
    "at_least",
    "at_most",
    "required",
    "absent",
    "properties",
)
_COPIED = tuple(name for name in Branch.__slots__ if name not in _LISTS and name != "kind")
