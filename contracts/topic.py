"""Topics: which names of contracts a pattern fits, by the rules of AMQP's topic exchanges."""

from __future__ import annotations


def matches(pattern: str, name: str) -> bool:
    """Whether a contract's name fits a pattern: ``*`` is any one word, ``#`` any number of them."""
    return _fits(pattern.split("."), name.split("."))


def _fits(pattern: list[str], words: list[str]) -> bool:
    """Word by word, with the ways that ``#`` leaves open side by side: whatever the pattern, no way is taken twice."""
    reached = {0}
    for part in pattern:
        if part == "#":
            reached = set(range(min(reached, default=len(words) + 1), len(words) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(words) and part in ("*", words[at])}
    return len(words) in reached
