"""Addresses to listen on, as settings have them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_settings import NoDecode


@dataclass(frozen=True, slots=True)
class Address:
    """A host name or an IP address without brackets, and a port; 0 is any port that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(value: Any) -> Any:
    """Read ``127.0.0.1:9464``, ``[::1]:9464``, or ``9464``, which is on loopback; empty is none."""
    if value == "":
        return None
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]:|([A-Za-z0-9._-]+):)?([0-9]{1,5})", value)
    if found is None or int(found[3]) > 65_535:
        raise ValueError("write it as HOST:PORT, 127.0.0.1:9464, with a port up to 65535")
    return Address(found[1] or found[2] or "127.0.0.1", int(found[3]))


ListenAddress = Annotated[Address, NoDecode, BeforeValidator(_address)]
