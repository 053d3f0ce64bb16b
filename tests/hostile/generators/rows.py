"""Rows: what somebody has written into the journal by hand, read by whoever looks at letters, runs and stories."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import psycopg

from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.history import now
from tests.hostile.case import Case, Fate, token

_TEXTS = ("", "nonsense", "{", "[1]", "null", '"\\ud800\\u0000"', '{"kind": 7}', '{"emitted": {}}', '{"kind": "\\u001b[2J", "at": "never"}', "[" * 5_000)  # fmt: skip
_LETTER = (
    "insert into handoff_dead_letters (id, state, run, flow, step, agent, kind, error, text, contract, attempt, worker, payload,"
    " first_failed_at, last_failed_at, times, replays, message, namespace)"
    " values (%s, 'waiting', %s, '', %s, '', %s, '', '', %s, -1, '', %s, %s, %s, -5, 0, %s, %s)"
)
_ENTRY = "insert into handoff_history (source, run, flow, kind, at, entry, namespace) values (%s, %s, '', %s, %s, %s, %s)"


@dataclass(frozen=True, slots=True)
class Written:
    """Writes a row, and reads it as people do."""

    run: str
    statement: str
    values: tuple[Any, ...]
    letter: str

    def __call__(self, site: Any) -> None:
        namespace = site.installation.namespace
        values = list(self.values)
        if self.letter:
            values[0], values[7] = f"{namespace}|{self.letter}", now()
        with psycopg.connect(site.installation.journal_url) as connection:
            connection.execute(self.statement.encode(), (*values, namespace))
        client = site.client
        asks: list[Callable[[], object]] = [
            lambda: client.history(self.run),
            lambda: client.trace(self.run),
            client.journal.history.recent_runs,
        ]
        if self.letter:
            asks += [
                lambda: client.desk.letter(self.letter).payload,
                lambda: client.desk.letter(self.letter).message,
            ]
        for ask in asks:
            try:
                ask()
            except CoordinationError:  # which says what is wrong
                continue


def generate(random: Random) -> Case:
    """A row of a letter, or of the history, that is none."""
    mark = token(random)
    run = str(UUID(int=random.getrandbits(128), version=4))
    text, kind = random.choice(_TEXTS), random.choice(("settled", "started", "x", "", "parked"))
    if random.random() < 0.5:
        told = (mark, run, kind, random.choice(("", "never")), text)
        return Case("rows/entry", mark, Written(run, _ENTRY, told, ""), Fate.NOTHING)
    strange = random.choice(("", "1", "²", "a@b", "x.undo", "9" * 900))
    message = json.dumps({"token": mark, "headers": random.choice(({}, [], None))})
    values = (
        mark,
        run,
        strange,
        kind,
        random.choice(("", "x/9999999999", "no contract")),
        text,
        random.choice(("", "never")),
        "",
        message,
    )
    return Case("rows/letter", mark, Written(run, _LETTER, values, mark))
