"""Sides take turns."""

from __future__ import annotations

from functools import partial

from bench.interleave import in_turns


def test_turns() -> None:
    """Each side does its round before any does its next, and is not asked before its turn."""
    played: list[str] = []

    def turn(name: str) -> int:
        played.append(name)
        return len(played)

    sides = {name: partial(turn, name) for name in ("a", "b")}
    turns = in_turns(sides, 2)
    assert next(turns) == (1, "a", 1)
    assert played == ["a"]
    assert list(turns) == [(1, "b", 2), (2, "a", 3), (2, "b", 4)]


def test_no_rounds() -> None:
    """No round plays nothing."""
    assert list(in_turns({"a": lambda: 1}, 0)) == []
