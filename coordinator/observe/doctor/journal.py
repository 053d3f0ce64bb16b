"""Journal: what the doctor says of the database, its tables, its chain, and how far it is behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from handoffs.coordinator.journal.verification import Verified
from handoffs.coordinator.observe.doctor.check import Check, failed, ok, warning
from handoffs.coordinator.observe.doctor.clocks import clock_check
from handoffs.coordinator.observe.doctor.versions import version_check

_BEHIND, _FAR_BEHIND = 30.0, 300.0
"""Seconds from which on it is worth a word, and from which on nobody can be draining it."""
IN_A_FILE = "it is a file in this folder: others do not see it; set COORDINATOR_JOURNAL_URL"


@dataclass(frozen=True, slots=True)
class JournalFacts:
    """What the journal says.

    server, revision
        Name and version of the database, and the revision of its tables, which is this release's.
    ahead, took
        By how many seconds its clock is ahead of this host's, None where it has none of its own; how long a question took.
    sealed_with, in_a_file
        The name of the key with which it seals messages; whether it is a file that is nobody else's.
    embedded
        Whether all is in one process, for a try.
    newest
        What following the chains of the newest runs has found.
    """

    server: str
    revision: str
    ahead: float | None = None
    took: float = 0.0
    sealed_with: str = ""
    in_a_file: bool = False
    embedded: bool = False
    newest: Verified = field(default_factory=Verified)


def journal_checks(facts: JournalFacts) -> Iterator[Check]:
    """All that there is to say of the database."""
    yield version_check("journal", facts.server, "COORDINATOR_JOURNAL_URL")
    yield ok("journal", "tables", f"revision {facts.revision}, that of this release")
    yield ok("journal", "latency", f"a question took {facts.took * 1000:.1f} ms")
    if facts.ahead is not None:
        yield clock_check("journal", "clock", facts.ahead, facts.took)
    yield _sealed(facts.sealed_with, embedded=facts.embedded)
    if facts.in_a_file:
        yield warning("journal", "place", IN_A_FILE.partition("; ")[0], IN_A_FILE.partition("; ")[2])
    yield _chain(facts.newest)


def _sealed(key: str, *, embedded: bool) -> Check:
    if key:
        return ok("journal", "sealed", f"messages of dead letters are sealed with the key {key}")
    if embedded:
        return ok(
            "journal", "sealed", "messages of dead letters are kept in clear: all of it is in one process"
        )
    return warning(
        "journal", "sealed", "messages of dead letters are kept in clear, sensitive values too",
        "set COORDINATOR_JOURNAL_KEYS in every process: openssl rand -base64 32",
    )  # fmt: skip


def _chain(newest: Verified) -> Check:
    if newest.count:
        first = newest.faults[0]
        return failed(
            "journal",
            "chain",
            f"it is not as it was written: run {first.run}, entry {first.sequence}: {first.text}",
            "coordinator journal verify",
        )
    if not newest.entries:
        return ok(
            "journal",
            "chain",
            "nothing is written yet" if not newest.before else "an older release has written it",
        )
    return ok(
        "journal",
        "chain",
        f"{newest.entries} entries of the {newest.runs} newest runs are as they were written",
    )


def drain_check(entries: int, seconds: float) -> Check:
    """How far the journal is behind: so many entries are still in Redis, the oldest for so many seconds."""
    told = f"{entries:,} entries of the history are in Redis, the oldest for {seconds:.0f} s"
    remedy = "coordinator serve drains them: start one, or look at its log"
    if seconds >= _FAR_BEHIND:
        return failed("journal", "drain", told, remedy)
    if seconds >= _BEHIND:
        return warning("journal", "drain", told, remedy)
    return ok("journal", "drain", told if entries else "nothing waits for it")
