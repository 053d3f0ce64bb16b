"""Atoms: what a schema says of an instance itself, one bound or demand at a time."""

from __future__ import annotations

from collections.abc import Iterator

from handoffs.contracts.compatibility.branch import Step
from handoffs.contracts.compatibility.failing import ONE
from handoffs.contracts.compatibility.formats import speaks_of
from handoffs.contracts.compatibility.node import Node


def atoms(node: Node, kind: str) -> Iterator[Step]:
    """What a schema that holds says of an instance itself, apart from its items, properties and combinations."""
    if node.format is not None and speaks_of(node.format, kind):
        yield ("format", node.format)
    for what in node.opaque:
        yield ("opaque", what)
    yield from _ATOMS[kind](node)


def _number_atoms(node: Node) -> Iterator[Step]:
    if node.integral:
        yield ("multiple", ONE)
    if node.multiple is not None:
        yield ("multiple", node.multiple)
    if node.lower is not None:
        yield ("lower", *node.lower)
    if node.upper is not None:
        yield ("upper", *node.upper)


def _string_atoms(node: Node) -> Iterator[Step]:
    yield ("shortest", node.shortest)
    if node.longest is not None:
        yield ("longest", node.longest)
    if node.pattern is not None:
        yield ("pattern", node.pattern)


def _object_atoms(node: Node) -> Iterator[Step]:
    yield ("fewest", node.fewest)
    if node.most is not None:
        yield ("most", node.most)
    for name in node.required:
        yield ("required", name)


def _array_atoms(node: Node) -> Iterator[Step]:
    yield ("min_items", node.min_items)
    if node.max_items is not None:
        yield ("max_items", node.max_items)
    if node.unique:
        yield ("unique",)
    if node.contains is not None:
        if node.min_contains:
            yield ("at_least", node.min_contains, node.contains)
        if node.max_contains is not None:
            yield ("at_most", node.max_contains, node.contains)


_ATOMS = {"number": _number_atoms, "string": _string_atoms, "array": _array_atoms, "object": _object_atoms}
