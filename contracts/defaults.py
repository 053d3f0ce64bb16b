"""Defaults: those that are taken as they are, where data leaves their field out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PurePath
from typing import Any

from pydantic.fields import FieldInfo

from handoffs.contracts.annotations import SECRETS

_NO_JSON = (
    *SECRETS,
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    PurePath,
)
"""Types of which JSON has a text: Pydantic, which validates defaults as if they had come with the data, would refuse a value of
them for not being one."""


def taken_as_they_are(fields: Iterable[FieldInfo]) -> bool:
    """Let Pydantic take the defaults of ``fields`` as they are where it would refuse them. Gives whether there are such, which it has
    yet to be told."""
    found = [info for info in fields if info.validate_default is None and _has_no_json(info.default)]
    for info in found:
        info.validate_default = False
    return bool(found)


def _has_no_json(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_has_no_json, value))
    return isinstance(value, _NO_JSON)
