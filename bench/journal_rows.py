"""Pages of a journal with millions of rows: how long each list takes that the command line and the console show.

A PostgreSQL is started for it, and a Redis in which there is nothing; the rows are made up, as they would be after a month
(:mod:`bench.journal_made`). Each list is asked for through a coordinator, as people have it, a few times; the first time counts as well.

    python -m bench.journal_rows [--rows 10000000] [--rounds 7] [--most-ms 300] [--json]

The status is 1 where a list took longer than ``--most-ms``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import timedelta
from multiprocessing import get_context
from statistics import median
from typing import Any, NamedTuple

import psutil
import psycopg

from bench.cpu import load, seconds_at
from bench.journal_made import END, FLOWS, ROWS_OF_A_RUN, Made, copy
from bench.machine import processor
from bench.servers import say
from handoffs import Coordinator
from handoffs.config.settings import Settings
from handoffs.coordinator.journal.journal import Journal
from tests.servers import open_servers

_SPACE = "bench-rows"
_AT_ONCE = 5_000  # runs
_RARE = FLOWS[-3]


class Asked(NamedTuple):
    """A list that was asked for: how often, and how long that took, in milliseconds; and the processor time that this process and the
    database took for it, on average."""

    name: str
    times: int
    p50: float
    most: float
    cpu: float


def main() -> None:
    """Fill a journal, ask, and print the table. Raises :class:`SystemExit`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000, help="how many rows, of all tables")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is asked for")
    parser.add_argument("--most-ms", type=float, default=300.0, help="how long a list may take")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with open_servers(say) as servers:
        settings = Settings(
            broker_url=servers.broker_url,
            redis_url=servers.redis_url,
            journal_url=servers.postgres_url,
            namespace=_SPACE,
        )
        made = Made(max(int(options.rows / ROWS_OF_A_RUN), 500), _SPACE)
        began = time.perf_counter()
        rows = fill(servers.postgres_url, made)
        say(f"{rows:,} rows in {time.perf_counter() - began:.0f} s")
        with Coordinator(settings) as coordinator:
            busy = f"load before {load():.1f}"
            url = servers.postgres_url
            asked = [measured(name, ask, options.rounds, url) for name, ask in lists(coordinator, made)]
        where = f"{rows:,} rows, {made.runs:,} runs; {servers.versions}; {psutil.cpu_count()} cores ({processor()}), {busy}"
    print(json.dumps([one._asdict() for one in asked]) if options.json else table(asked, where))
    sys.exit(any(one.most > options.most_ms for one in asked))


def fill(url: str, made: Made) -> int:
    """Make the journal's tables, and put the rows into them; the next ones are made while those before are written."""
    with closing(Journal(url, namespace=_SPACE)) as journal:
        journal.ping()
    total = 0
    with (
        psycopg.connect(url) as connection,
        ProcessPoolExecutor(
            1, mp_context=get_context("spawn"), initializer=_begin, initargs=(made,)
        ) as maker,
    ):
        connection.execute("set synchronous_commit = off")
        firsts = range(0, made.runs, _AT_ONCE)
        waiting = [maker.submit(_rows, first, min(first + _AT_ONCE, made.runs)) for first in firsts[:2]]
        for number, first in enumerate(firsts):
            rows, made.some = waiting.pop(0).result()
            if number + 2 < len(firsts):
                waiting.append(
                    maker.submit(_rows, firsts[number + 2], min(firsts[number + 2] + _AT_ONCE, made.runs))
                )
            total += copy(connection, rows)
            if number % 20 == 0:
                say(f"  {first:,} of {made.runs:,} runs")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("vacuum analyze")
    return total


_MADE: list[Made] = []


def _begin(made: Made) -> None:
    _MADE[:] = [made]


def _rows(first: int, last: int) -> tuple[dict[str, list[Any]], list[str]]:
    return _MADE[0].rows(first, last), _MADE[0].some


def lists(coordinator: Coordinator, made: Made) -> Iterable[tuple[str, Callable[[int], object]]]:
    """Each list and page by its name: a function of the round."""
    yield from runs_lists(coordinator, made)
    yield from run_pages(coordinator, made)
    yield from letter_lists(coordinator)
    yield from search_boxes(coordinator, made)


def runs_lists(coordinator: Coordinator, made: Made) -> Iterable[tuple[str, Callable[[int], object]]]:
    """What `runs list` and the page of runs ask for."""
    runs, middle, facets = coordinator.runs, END - timedelta(days=15), coordinator.run_facets
    yield "runs", lambda _: runs()
    yield "runs, how many there are", lambda _: coordinator.journal.runs.count(10_000)
    yield (
        "runs, a page from the middle",
        lambda n: runs(before=f"{(middle + n * timedelta(hours=1)).isoformat(timespec='milliseconds')} x"),
    )
    yield "runs of a frequent flow", lambda _: runs(flow=FLOWS[0])
    yield "runs of a rare flow", lambda _: runs(flow=_RARE)
    yield "runs of no flow", lambda _: runs(flow="shop.none")
    yield "runs of a key", lambda n: runs(key=f"o-{n * 37 % made.runs:08d}")
    yield "runs that completed", lambda _: runs(status="completed")
    yield "runs that were cancelled", lambda _: runs(status="cancelled")
    yield "runs that were cancelled, of a rare flow", lambda _: runs(status="cancelled", flow=_RARE)
    yield "runs that are parked (none)", lambda _: runs(status="parked")
    yield "runs of which nobody knows", lambda _: runs(status="unknown")
    yield "runs that wait for a signal (none)", lambda _: runs(waiting=True)
    yield "runs that failed at an agent (none)", lambda _: runs(failed_at="shop.price")
    yield "runs since an hour", lambda _: runs(since=END - timedelta(hours=1))
    yield (
        "runs of an hour a month ago",
        lambda n: runs(since=END - timedelta(days=29, hours=n + 1), until=END - timedelta(days=29, hours=n)),
    )
    yield "runs with a rare error", lambda _: runs(error="Rare")
    yield "runs with a frequent error", lambda _: runs(error="ValueError")
    yield "runs where order", lambda n: runs(where={"order": f"o-{n * 4_001 % made.runs:08d}"})
    yield "runs where country, of half of all", lambda _: runs(where={"country": "de"})
    yield "runs where country, of one in a thousand", lambda _: runs(where={"country": "li"})
    yield "runs where country, and of a rare flow", lambda _: runs(where={"country": "de"}, flow=_RARE)
    yield (
        "runs where both",
        lambda n: runs(where={"order": f"o-{n * 4_001 % made.runs:08d}", "country": "de"}),
    )
    yield "runs where nothing is", lambda _: runs(where={"order": "o-none"})
    yield "runs by text", lambda n: runs(text=f"o-{n:03d}")
    yield "approvals", lambda _: coordinator.approvals()
    yield "facets", lambda _: facets(until=END)
    yield (
        "facets of a frequent flow, a month",
        lambda _: facets(flow=FLOWS[0], since=END - timedelta(days=30), until=END),
    )
    yield (
        "facets of a rare flow, a month",
        lambda _: facets(flow=_RARE, since=END - timedelta(days=30), until=END),
    )
    yield (
        "facets of the cancelled, a month",
        lambda _: facets(status="cancelled", since=END - timedelta(days=30), until=END),
    )
    yield "facets where country", lambda _: facets(where={"country": "li"}, until=END)
    yield "facets of those that are parked", lambda _: facets(status="parked", until=END)


def run_pages(coordinator: Coordinator, made: Made) -> Iterable[tuple[str, Callable[[int], object]]]:
    """What the page of a run asks for, and of what people did."""
    journal, some = coordinator.journal, made.some

    def shown(number: int) -> object:
        run = coordinator.find_run(some[number % len(some)])
        return run.history(), run.status(), run.current(), run.usage(), journal.letters.waiting([run.id])

    yield "a run, whole", shown
    yield "a run by the beginning of its id", lambda n: coordinator.find_run(some[n % len(some)][:8])
    yield "what was done to a run", lambda n: list(coordinator.actions(run=some[n % len(some)]))
    yield "what was done", lambda _: coordinator.actions_page()
    yield "what a person did", lambda _: coordinator.actions_page(by="person-3")
    yield "the chain of a run", lambda n: journal.verification.of(some[n % len(some)])
    yield "the record of a run", lambda n: list(journal.records.entries(some[n % len(some)]))


def letter_lists(coordinator: Coordinator) -> Iterable[tuple[str, Callable[[int], object]]]:
    """What `dead-letters` and its pages ask for."""
    journal, letters = coordinator.journal, coordinator.dead_letters
    yield "letters", lambda _: letters(limit=100)
    yield "letters, how many wait", lambda _: journal.letters.total()
    yield "letters of a frequent flow", lambda _: letters(limit=100, flow=FLOWS[0])
    yield "letters of a rare flow", lambda _: letters(limit=100, flow=_RARE)
    yield "letters of an agent", lambda _: letters(limit=100, agent="shop.pay")
    yield "letters of a kind", lambda _: letters(limit=100, kind="worker-lost")
    yield "letters of an error", lambda _: letters(limit=100, error="Rare")
    yield "letters of a contract", lambda _: letters(limit=100, contract="shop.order")
    yield "letters of no contract", lambda _: letters(limit=100, contract="shop.none")
    yield "letters, how many of a kind", lambda _: journal.letters.total(kind="error")
    yield "letters by reason", lambda _: journal.letters.by_reason()
    yield "letters in whatever state", lambda _: letters(limit=100, state=None)
    pages = coordinator.letters_page
    yield "letters, a page", lambda _: pages()
    middle = f"{(END - timedelta(days=15)).isoformat(timespec='milliseconds')} x"
    yield "letters, a page from the middle", lambda _: pages(after=middle)
    yield "letters, a page of an error", lambda _: pages(error="ValueError")
    yield "letters by kind, of a flow", lambda _: coordinator.letter_kinds(flow=FLOWS[0])
    groups = [one.id for one in coordinator.letter_groups()]
    yield "groups of letters", lambda _: coordinator.letter_groups()
    yield "groups of letters of a flow", lambda _: coordinator.letter_groups(flow=_RARE)
    yield "groups, how many there are", lambda _: journal.groups.total()
    yield "a group", lambda n: coordinator.letter_group(groups[n % len(groups)])
    yield "letters of a group", lambda n: letters(limit=100, group=groups[n % len(groups)])


def search_boxes(coordinator: Coordinator, made: Made) -> Iterable[tuple[str, Callable[[int], object]]]:
    """What somebody types into the search box."""
    search, some = coordinator.search, made.some
    yield "search: an id", lambda n: search(some[n % len(some)])
    yield "search: the beginning of an id", lambda n: search(some[n % len(some)][:6])
    yield "search: one digit", lambda n: search("0123456789"[n % 10])
    yield "search: a key and a value", lambda n: search(f"o-{n * 991 % made.runs:08d}")
    yield "search: the beginning of many keys", lambda _: search("o-")
    yield "search: a value of half of all", lambda _: search("de")
    yield "search: a frequent flow", lambda _: search(FLOWS[0])
    yield "search: an agent", lambda _: search("shop.pay")
    yield "search: an error", lambda _: search("ValueError")
    yield "search: a kind", lambda _: search("error")
    yield "search: what is not there", lambda n: search(f"nothing {n}")


def measured(name: str, ask: Callable[[int], object], rounds: int, url: str) -> Asked:
    """How long it takes, with the database at ``url``."""
    took, before = [], seconds_at(url) + time.process_time()
    for number in range(rounds):
        began = time.perf_counter()
        ask(number)
        took.append((time.perf_counter() - began) * 1000)
    cpu = (seconds_at(url) + time.process_time() - before) / rounds * 1000
    say(f"  {name}: {median(took):.0f} ms, {max(took):.0f} at most, {cpu:.0f} of them at work")
    return Asked(name, rounds, median(took), max(took), cpu)


def table(asked: Iterable[Asked], where: str) -> str:
    """The figures, as Markdown."""
    rows = [f"| {one.name} | {one.p50:,.0f} | {one.most:,.0f} | {one.cpu:,.0f} |" for one in asked]
    head = ["| list | p50, ms | longest, ms | processor time, ms |", "| --- | ---: | ---: | ---: |"]
    return "\n".join([f"{where}", "", *head, *rows])


if __name__ == "__main__":
    main()
