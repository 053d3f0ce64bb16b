"""The chains of the journal, on SQLite."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from handoffs.coordinator.journal.chain import RUNS, Head, digest, linked
from tests.chain_suite import ChainSuite
from tests.retention_suite import RetentionSuite, WitnessSuite


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path}/journal.sqlite3"


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], str]:
    """Another empty database each time."""
    numbers = count()
    return lambda: f"sqlite:///{tmp_path}/fresh-{next(numbers)}.sqlite3"


class TestChain(ChainSuite):
    """On SQLite."""


def test_a_digest_is_what_anybody_can_compute() -> None:
    """SHA-256 of canonical JSON: sorted names, no blanks, UTF-8."""
    row = {
        "source": "0/1",
        "run": "r\n\t\x7f{0}",
        "flow": "f",
        "kind": "k",
        "at": "t",
        "entry": '{"é": 1, "{}": "\\\\ \\u0001 \u2028 \U0001f600"}',
        "namespace": "",
    }
    made, head = linked(RUNS, row, Head(4, "ab"))
    text = json.dumps(
        {**row, "sequence": 5, "previous": "ab"}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert made == {
        **row,
        "sequence": 5,
        "previous": "ab",
        "digest": hashlib.sha256(text.encode()).hexdigest(),
    }
    assert head == (5, made["digest"])
    assert digest(RUNS, {**made, "id": 1}) == made["digest"]


@pytest.mark.parametrize("value", [None, 1, b"x", "\ud800"])
def test_what_is_no_text_has_no_digest_that_was_written(value: object) -> None:
    """A column that holds something else is found, and stops nothing."""
    row = dict.fromkeys(("source", "run", "flow", "kind", "at", "entry", "namespace", "previous"), "")
    made = digest(RUNS, {**row, "sequence": 1})
    assert digest(RUNS, {**row, "sequence": 1, "entry": value}) != made


class TestRetention(RetentionSuite):
    """On SQLite."""


class TestWitness(WitnessSuite):
    """On SQLite."""
