"""Secrets: the sensitive values of contracts, so that they can be masked in texts that others have made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from handoffs.contracts.contract import Contract
from handoffs.contracts.text import MASK, printable

_SHORT = 4
"""Shorter values are masked where they stand alone: a PIN is not to be found in every number."""


def secrets_of(*contracts: object) -> tuple[str, ...]:
    """The sensitive values in contracts, as texts: what :meth:`~handoffs.contracts.contract.Contract.redacted` does not show."""
    found: set[str] = set()
    for one in contracts:
        if isinstance(one, Contract):
            try:
                found.update(_hidden(one.to_data(), one.redacted()))
            except Exception:  # noqa: BLE001, S112 - an output that is no valid contract shows what it has, or nothing
                continue
    return tuple(sorted(found, key=len, reverse=True))


def hidden_in(data: Any, shown: Any) -> tuple[str, ...]:
    """The sensitive values in the ``data`` of a contract, as texts: what ``shown``, the same for people, does not have."""
    return tuple(sorted(set(_hidden(data, shown)), key=len, reverse=True)) if data != shown else ()


def masked(text: str, secrets: Iterable[str]) -> str:
    """``text`` without these values, in whichever way they are written into it: as they are, as ``repr()``, as JSON."""
    for secret in secrets:
        for written in dict.fromkeys(
            (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], printable(secret))
        ):
            if len(written) >= _SHORT:
                text = text.replace(written, MASK)
            else:
                text = re.sub(rf"(?<!\w){re.escape(written)}(?!\w)", MASK, text)
    return text


def _hidden(data: Any, shown: Any) -> Iterator[str]:
    """The texts in ``data`` that ``shown``, the same for people, does not have."""
    if isinstance(data, dict) and isinstance(shown, dict):
        for name, value in data.items():
            yield from _hidden(value, shown.get(name))
    elif isinstance(data, list) and isinstance(shown, list) and len(data) == len(shown):
        for value, seen in zip(data, shown, strict=True):
            yield from _hidden(value, seen)
    elif data != shown:
        yield from _texts(data)


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)
    elif data is not None and not isinstance(data, bool) and str(data):
        yield str(data)
