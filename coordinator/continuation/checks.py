"""Checks: what a value in a message may be. The schema of what travels is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from handoffs.contracts.text import quoted

Checker: TypeAlias = Callable[[Any], object]
"""Raises :class:`Fault` where a value is not of the form."""


class Fault(Exception):
    """What is wrong, and where: the place is found on the way out."""

    def __init__(self, what: str, place: str = "") -> None:
        super().__init__(what, place)
        self.what = what
        self.place = place

    def within(self, name: object) -> Fault:
        return Fault(self.what, f"{name}.{self.place}" if self.place else str(name))


def at(name: object, checker: Checker, value: Any) -> None:
    try:
        checker(value)
    except Fault as fault:
        raise fault.within(name) from None


def members(
    value: Any, required: Mapping[str, Checker], optional: Mapping[str, Checker], what: str = "is no object"
) -> None:
    """An object with these members, and no others."""
    if not isinstance(value, dict):
        raise Fault(what)
    found = 0
    for name, inner in value.items():
        checker = required.get(name)
        if checker is not None:
            found += 1
        else:
            checker = optional.get(name)
            if checker is None:
                raise Fault(f"has a member {quoted(name, 80)}, which is none of ours")
        try:
            checker(inner)
        except Fault as fault:
            raise fault.within(name) from None
    if found != len(required):
        missing = next(name for name in required if name not in value)
        raise Fault(f"has no member {missing!r}")


def an_object(required: Mapping[str, Checker], optional: Mapping[str, Checker] | None = None) -> Checker:
    return lambda value: members(value, required, optional or {})


def a_list(checker: Checker, most: int | None = None, least: int = 0) -> Checker:
    """A list of so many; without ``most`` as many as a message has room for."""

    def check_list(value: Any) -> None:
        if not isinstance(value, list) or len(value) < least or (most is not None and len(value) > most):
            raise Fault("is no list of ours")
        for number, one in enumerate(value):
            try:
                checker(one)
            except Fault as fault:
                raise fault.within(number) from None

    return check_list


def or_none(checker: Checker) -> Checker:
    def check_value(value: Any) -> None:
        if value is not None:
            checker(value)

    return check_value


def a_number(least: int, most: int) -> Checker:
    def check_number(value: Any) -> None:
        if type(value) is not int or not least <= value <= most:
            raise Fault(f"is no number from {least} to {most}")

    return check_number


def a_text(is_one: Callable[[str], bool], what: str, longest: int = 200) -> Checker:
    """A text of some form. What was found is remembered: a flow says the same names and paths again and again."""
    known = lru_cache(maxsize=1024)(is_one)

    def check_text(value: Any) -> None:
        if type(value) is not str or len(value) > longest or not known(value):
            raise Fault(what)

    return check_text


def one_of(*values: object) -> Checker:
    def check_value(value: Any) -> None:
        if not any(type(value) is type(one) and value == one for one in values):
            raise Fault(f"is not {' or '.join(map(repr, values))}")

    return check_value
