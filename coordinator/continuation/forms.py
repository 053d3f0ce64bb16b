"""Forms: the values in what travels: paths, names, versions of contracts, and data that a contract describes. Each is a check, which
raises :class:`~handoffs.coordinator.continuation.checks.Fault`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from handoffs.config.delays import LONGEST_WAIT
from handoffs.contracts.contract import ContractRef, valid_name
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import is_plain
from handoffs.coordinator.continuation.checks import Fault, a_list, a_number, a_text
from handoffs.coordinator.continuation.path import is_path, is_story, story_of
from handoffs.coordinator.flow.condition import condition_from
from handoffs.coordinator.flow.names import is_name
from handoffs.coordinator.flow.names import is_path as is_field
from handoffs.coordinator.flow.retry import Retry

MOST_MS = LONGEST_WAIT // timedelta(milliseconds=1)
"""The longest wait, and the longest that an outcome is kept for others."""
_RESERVED = ("celery.", "coordinator.", "handoff.")
_DIGEST = re.compile(r"[0-9a-f]{16,64}")
_SET = re.compile(r"[a-z0-9.-]{1,120}/[0-9a-f]{40}")
_MOST_PLACED = 100


def _is_uri(text: str) -> bool:
    try:
        ContractRef.from_uri(text)
    except InvalidData:
        return False
    return True


def _is_flow(text: str) -> bool:
    return valid_name(text) or (is_story(text) and valid_name(text.removeprefix(story_of(""))))


def anything(value: Any) -> None:
    """JSON data, which a contract describes: it is read by that."""
    if _has_types(value):
        raise Fault("holds objects that Celery would make into something else")


def _has_types(value: Any) -> bool:
    """Whether there is a mark in it by which Kombu's decoder turns objects into dates, bytes or numbers."""
    if isinstance(value, dict):
        return "__type__" in value or any(map(_has_types, value.values()))
    return isinstance(value, list) and any(map(_has_types, value))


def data(value: Any) -> None:
    if not isinstance(value, dict):
        raise Fault("is no object")
    anything(value)


def condition(value: Any) -> None:
    try:
        condition_from(value)
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError):
        raise Fault("is no condition") from None


def retry(value: Any) -> None:
    anything(value)  # what a newer release has added is left aside
    try:
        Retry.from_json(value)
    except InvalidData:
        raise Fault("is no retry policy") from None


path = a_text(is_path, "is no path of a step", 1_000)
agent = a_text(lambda text: valid_name(text) and not text.startswith(_RESERVED), "is no name of an agent")
flow = a_text(_is_flow, "is no name of a flow")
contract = a_text(valid_name, "is no name of a contract")
uri = a_text(_is_uri, "is no version of a contract")
uri_or_empty = a_text(lambda text: not text or _is_uri(text), "is no version of a contract")
name = a_text(is_name, "is no name")
field = a_text(is_field, "is no name of a field", 1_000)
digest = a_text(lambda text: _DIGEST.fullmatch(text) is not None, "is no digest")
set_of_events = a_text(lambda text: _SET.fullmatch(text) is not None, "is no name of a set")
plain = a_text(lambda text: bool(text) and is_plain(text), "is no plain text", 2_000)
ms = a_number(0, MOST_MS)
placed = a_list(a_list(path, 2, 2), _MOST_PLACED)
