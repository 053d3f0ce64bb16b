"""Numbers, as settings have them: in the digits 0 to 9, without exponent and without separators."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator


def _whole(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch("-?[0-9]{1,18}", value.strip()):
        raise ValueError("it is no whole number, such as 20")
    return value


def _decimal(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch("-?[0-9]{1,18}([.][0-9]{1,18})?", value.strip()):
        raise ValueError("it is no number, such as 0.5")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Decimal = Annotated[float, BeforeValidator(_decimal)]
