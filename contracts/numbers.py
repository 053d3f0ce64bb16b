"""Numbers that must not be rounded on the way."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema


def _exact(value: Any, info: ValidationInfo) -> Any:
    wanted = str if info.mode == "json" else Decimal
    if not isinstance(value, (wanted, Decimal)):  # JSON never gives a Decimal, a field's default does
        raise ValueError(  # noqa: TRY004 - pydantic reports values, not types
            f"an exact decimal is written as a {'text' if wanted is str else 'Decimal'}, never as a float"
        )
    return value


EXACT_PATTERN = r"^[-+]?[0-9]+(\.[0-9]+)?$"

ExactDecimal = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(strict=False),
    WithJsonSchema({"type": "string", "pattern": EXACT_PATTERN}),
]
"""A decimal that travels as text: JSON numbers become binary floats in most readers, and money must not."""


def is_exact(metadata: Iterable[Any]) -> bool:
    """Whether this stands beside a ``Decimal`` that is declared as :data:`ExactDecimal`."""
    return any(isinstance(part, BeforeValidator) and part.func is _exact for part in metadata)
