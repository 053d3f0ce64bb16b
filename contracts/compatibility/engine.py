"""Engine: Pydantic's own regular expressions (Rust's regex), asked whether a pattern is found in a text.

Writers of contracts are Pydantic's, so what they wrote is judged by the same engine, with the same tables of Unicode. It never
backtracks: its time grows as the text does. What it cannot compile (looking around, referring back, patterns of a size) is never
given to an engine that could.
"""

from __future__ import annotations

from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

from handoffs.contracts.text import printable


def matches(pattern: str, text: str) -> bool | None:
    """Whether ``pattern`` is found in ``text``; None where the engine cannot judge that."""
    compiled = _compiled(pattern)
    return None if compiled is None else bool(compiled.isinstance_python(text))


def judges(pattern: str) -> bool:
    """Whether the engine takes a pattern."""
    return _compiled(pattern) is not None


def refusal(pattern: str) -> str:
    """Why the engine does not take a pattern, in a line; empty where it does."""
    if judges(pattern):
        return ""
    try:
        _made(pattern)
    except (
        SchemaError,
        UnicodeError,
    ) as error:  # it draws pictures of patterns, in lines of their own; the reason is the last
        return printable(
            str(error)
            .rstrip()
            .splitlines()[-1]
            .strip()
            .removeprefix("SchemaError: ")
            .removeprefix("error: "),
            200,
        )
    return ""


def _made(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern, strict=True))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> SchemaValidator | None:
    try:
        return _made(pattern)
    except (SchemaError, UnicodeError):  # what is no UTF-8 is no pattern
        return None
