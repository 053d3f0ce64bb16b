"""Rows of a journal as it is after a month, made up: runs with their history, chains, searchable values and letters."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from psycopg import Connection, sql

from handoffs.coordinator.journal.chain import RUNS, Head, linked
from handoffs.coordinator.journal.fingerprint import fingerprint

END = datetime(2026, 12, 1, tzinfo=UTC)
SPAN = timedelta(days=30)
STEPS = ("shop.price", "shop.stock", "shop.pay", "shop.ship")
FLOWS = tuple(f"shop.flow-{number}" for number in range(20))
ERRORS = ("ValueError", "TimeoutError", "KeyError", "PriceMissing", "CardRefused", "Rare")
KINDS = ("error", "time-limit", "invalid-output", "worker-lost")
COUNTRIES = ("de", "fr", "es", "li")
"""Values that many runs have: the first nearly half of them, the last one in a thousand."""

ROWS_OF_A_RUN = len(STEPS) + 1 + 1 + 1 + 3 + 0.1
"""History, chain, run, three searchable values, and a letter of every tenth."""

_COLUMNS = {
    "handoff_history": "source run flow kind at entry namespace sequence previous digest",
    "handoff_chains": "namespace kind name sequence digest",
    "handoff_runs": "run flow state at namespace started key",
    "handoff_search": "namespace run name value at",
    "handoff_dead_letters": "id state run flow step agent kind error text contract attempt worker payload first_failed_at last_failed_at "
    "times replays message namespace trace fingerprint",
    "handoff_operator_actions": "at who action run letter note namespace sequence previous digest",
}

Row = Mapping[str, Any]


@dataclass
class Made:
    """A journal of ``runs`` runs of an installation. ``seed`` makes it the same each time."""

    runs: int
    space: str
    seed: int = 17
    some: list[str] = field(default_factory=list)
    """Ids of some of its runs."""

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    def rows(self, first: int, last: int) -> dict[str, list[Row]]:
        """The rows of these runs, by table; ``first`` is counted from 0."""
        made: dict[str, list[Row]] = {table: [] for table in _COLUMNS}
        for number in range(first, last):
            self._run(number, made)
        return made

    def _run(self, number: int, made: dict[str, list[Row]]) -> None:
        random = self._random
        run = str(uuid.UUID(int=random.getrandbits(128), version=5))
        if number % max(self.runs // 50, 1) == 0:
            self.some.append(run)
        flow = FLOWS[min(int(random.expovariate(0.4)), len(FLOWS) - 1)]
        began = END - SPAN + SPAN * (number / self.runs)
        state = "live" if random.random() < 0.002 else "cancelled" if random.random() < 0.01 else "completed"
        chance = random.random()
        country = COUNTRIES[0 if chance < 0.45 else 1 if chance < 0.8 else 2 if chance < 0.999 else 3]
        key, started = f"o-{number:08d}", _text(began)
        marks = {"order": [key], "country": [country], "payment": [f"p-{number * 7919 % 10**9:09d}"]}
        made["handoff_runs"].append(
            {"run": run, "flow": flow, "state": state, "at": _text(began + timedelta(seconds=9)), "namespace": self.space,
             "started": started, "key": key}
        )  # fmt: skip
        made["handoff_search"] += [
            {"namespace": self.space, "run": run, "name": name, "value": value, "at": started}
            for name, [value] in marks.items()
        ]
        head = Head()
        for row in self._history(run, flow, began, marks):
            placed, head = linked(RUNS, row, head)
            made["handoff_history"].append(placed)
        made["handoff_chains"].append(
            {"namespace": self.space, "kind": RUNS, "name": run, "sequence": head.sequence, "digest": head.digest}
        )  # fmt: skip
        if number % 10 == 0:
            made["handoff_dead_letters"].append(self._letter(run, flow, began))
        if number % 500 == 0:
            made["handoff_operator_actions"].append(
                {"at": started, "who": f"person-{number % 7}", "action": "replay", "run": run, "letter": "", "note": "", "namespace": self.space,
                 "sequence": 0, "previous": "", "digest": ""}
            )  # fmt: skip

    def _history(
        self, run: str, flow: str, began: datetime, marks: Mapping[str, list[str]]
    ) -> Iterator[dict[str, Any]]:
        order = {"order": marks["order"][0], "country": marks["country"][0], "lines": [{"sku": f"s-{n}", "count": n} for n in range(6)]}  # fmt: skip
        started = {"kind": "started", "run": run, "flow": flow, "wrote": "shop.order/3", "input": order, "key": order["order"]}  # fmt: skip
        told: list[dict[str, Any]] = [{**started, "marks": marks}]
        for number, agent in enumerate(STEPS, 1):
            told.append(
                {"kind": "settled", "run": run, "flow": flow, "step": str(number), "agent": agent, "attempt": 1, "message": f"{run}.{number}",
                 "read": "shop.order/3", "wrote": "shop.order/3", "input": order, "output": order, "took_ms": 12.5,
                 "worker": "celery@host-17", "marks": {"order": marks["order"]}}
            )  # fmt: skip
        for number, entry in enumerate(told):
            at = _text(began + timedelta(seconds=2 * number))
            yield {
                "source": f"{self.space}.0/{run}-{number}", "run": run, "flow": flow, "kind": entry["kind"], "at": at,
                "entry": json.dumps({**entry, "at": at}), "namespace": self.space,
            }  # fmt: skip

    def _letter(self, run: str, flow: str, began: datetime) -> Row:
        random = self._random
        agent, kind = random.choice(STEPS), random.choices(KINDS, (90, 8, 1.9, 0.1))[0]
        error = random.choices(ERRORS, (40, 30, 20, 5, 4.99, 0.01))[0]
        step, text, at = str(STEPS.index(agent) + 1), f"no price for o-{random.randrange(9**9)}", _text(began)
        return {
            "id": f"{self.space}|{run}.{step}", "state": "waiting" if random.random() < 0.3 else "replayed", "run": run, "flow": flow,
            "step": step, "agent": agent, "kind": kind, "error": error, "text": text, "contract": "shop.order/3", "attempt": 3,
            "worker": "celery@host-17", "payload": "{}", "first_failed_at": at, "last_failed_at": at, "times": 1, "replays": 0,
            "message": json.dumps({"body": "x" * 1_500}), "namespace": self.space, "trace": "at shop/price.py:17",
            "fingerprint": fingerprint(kind, (flow, step, agent), "shop.order/3", error, text),
        }  # fmt: skip


def copy(connection: Connection[Any], made: Mapping[str, list[Row]]) -> int:
    """Put rows into their tables; gives how many."""
    for table, rows in made.items():
        names = _COLUMNS[table].split()
        statement = sql.SQL("copy {} ({}) from stdin").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names))
        )
        with connection.cursor().copy(statement) as into:
            for row in rows:
                into.write_row([row[name] for name in names])
    connection.commit()
    return sum(map(len, made.values()))


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
