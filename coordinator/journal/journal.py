"""Journal: writes and reads the tables, on SQLite or PostgreSQL."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from handoffs.contracts.manifest import Manifest
from handoffs.coordinator.continuation.path import STORY, SUBSCRIBER, UNDO
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.history import now
from handoffs.coordinator.journal import deployments, edits
from handoffs.coordinator.journal.deployments import DeploymentRow
from handoffs.coordinator.journal.edits import EditRow
from handoffs.coordinator.journal.tables import actions, dead_letters, history, metadata
from handoffs.coordinator.journal.tables import deployments as deployments_table
from handoffs.coordinator.journal.tables import edits as edits_table


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A dead letter as it is kept.

    ``state`` is ``waiting``, ``replayed``, ``settled`` (the step has its outcome by another way) or ``cancelled``.
    ``payload`` is the input with sensitive values masked; ``message`` is the message itself, for replaying.
    ``times`` counts how often it was parked.
    """

    id: str
    state: str
    run: str
    flow: str
    step: str
    agent: str
    kind: str
    error: str
    text: str
    contract: str
    attempt: int
    worker: str
    payload: Any
    first_failed_at: str
    last_failed_at: str
    times: int
    replays: int
    message: dict[str, Any]


class Journal:
    """The journal at ``url`` (SQLAlchemy). Safe for threads.

    Every method raises :class:`ServerError` where the database cannot be used.
    """

    def __init__(self, url: str) -> None:
        options: dict[str, Any] = {"pool_pre_ping": True} if not url.startswith("sqlite") else {}
        if url.startswith("postgresql://"):
            url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        try:
            self._engine: Engine = create_engine(url, **options)
        except (SQLAlchemyError, ValueError) as error:
            raise _unusable(error) from error
        if url.startswith("sqlite"):
            event.listen(self._engine, "connect", _configure_sqlite)
        self._ready = False
        self._creating = threading.Lock()

    def record(self, entries: Iterable[tuple[str, dict[str, Any]]]) -> int:
        """Write history entries, each given with a unique source; gives how many were new."""
        rows = [
            {
                "source": source,
                "run": entry.get("run", ""),
                "flow": entry.get("flow", ""),
                "kind": entry.get("kind", ""),
                "at": entry.get("at", ""),
                "entry": json.dumps(entry, ensure_ascii=False),
            }
            for source, entry in entries
        ]
        if not rows:
            return 0
        with self._begin() as connection:
            known = set(
                connection.scalars(
                    select(history.c.source).where(history.c.source.in_([row["source"] for row in rows]))
                )
            )
            connection.execute(self._insert(history).on_conflict_do_nothing(), rows)
        return len(rows) - len(known)

    def history(self, run: str) -> dict[str, dict[str, Any]]:
        """The entries of a run by their source, oldest first."""
        query = select(history.c.source, history.c.entry).where(history.c.run == run).order_by(history.c.id)
        with self._begin() as connection:
            return {source: json.loads(text) for source, text in connection.execute(query)}

    def newest(self) -> int:
        """The number of the newest entry; 0 where there is none."""
        with self._begin() as connection:
            return int(connection.scalar(select(func.max(history.c.id))) or 0)

    def since(self, number: int, limit: int = 5_000) -> list[tuple[int, dict[str, Any]]]:
        """The entries of all runs that were written after the one of that number, oldest first, with their numbers.

        Where several coordinator processes write at once, one that is late can be missed.
        """
        query = (
            select(history.c.id, history.c.entry)
            .where(history.c.id > number)
            .order_by(history.c.id)
            .limit(limit)
        )
        with self._begin() as connection:
            return [(found, json.loads(text)) for found, text in connection.execute(query)]

    def recent_runs(self, limit: int = 50) -> list[dict[str, Any]]:
        """The entries with which the newest runs began."""
        query = (
            select(history.c.entry)
            .where(history.c.kind == "started")
            .order_by(history.c.id.desc())
            .limit(limit)
        )
        with self._begin() as connection:
            return [json.loads(text) for text in connection.scalars(query)]

    def add_letter(self, row: LetterRow) -> None:
        """Write a letter; one that is known is the same letter, parked once more."""
        self.add_letters([row])

    def add_letters(self, rows: Sequence[LetterRow]) -> None:
        """Write letters, all of them or none."""
        if not rows:
            return
        letter, statement = dead_letters.c, self._insert(dead_letters)
        kept = {"id", "first_failed_at", "times", "replays"}
        renewed = {name: statement.excluded[name] for name in LetterRow.__slots__ if name not in kept}
        statement = statement.on_conflict_do_update(
            index_elements=["id"], set_={**renewed, "times": letter.times + 1}
        )
        ids = [row.id for row in rows]
        with self._begin() as connection:
            found = connection.execute(select(letter.id, letter.last_failed_at).where(letter.id.in_(ids)))
            same = {(known.id, known.last_failed_at) for known in found}
            values = [_values(row) for row in rows if (row.id, row.last_failed_at) not in same]
            if values:  # in one order, so that processes that write the same ones do not wait for each other
                connection.execute(statement, sorted(values, key=lambda one: str(one["id"])))

    def messages(self, letters: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The messages of these letters, by id, as far as they are known."""
        query = select(dead_letters.c.id, dead_letters.c.message).where(dead_letters.c.id.in_(list(letters)))
        with self._begin() as connection:
            return {number: json.loads(text) for number, text in connection.execute(query)}

    def unheard(self, contract: str = "", before: str = "") -> dict[str, int]:
        """How many events of a contract (without one: of all) nobody heard, by ``contract/version``; of those that were kept
        before ``before``, a time as the history has it (without one: whenever)."""
        ref = dead_letters.c.contract
        query = select(ref, func.count()).where(_unheard(contract, before)).group_by(ref).order_by(ref)
        with self._begin() as connection:
            return {str(name): int(count) for name, count in connection.execute(query)}

    def forget_unheard(self, contract: str = "", before: str = "", *, by: str) -> int:
        """Drop those events, and record who did. Gives how many there were."""
        with self._begin() as connection:
            dropped = connection.execute(delete(dead_letters).where(_unheard(contract, before))).rowcount
            if dropped:
                said = f"{dropped} unheard events of {contract or 'every contract'}"
                _act(connection, "forget-events", who=by, note=f"{said} before {before}" if before else said)
        return dropped

    def letters(
        self, *, state: str | None = "waiting", flow: str = "", run: str = "", agent: str = "", kind: str = "",
        contract: str = "", limit: int = 10_000,
    ) -> list[LetterRow]:  # fmt: skip
        """Letters, the oldest first; an empty filter lets everything pass. ``contract`` is a name, of any version."""
        query = select(dead_letters).order_by(dead_letters.c.first_failed_at, dead_letters.c.id).limit(limit)
        for column, wanted in (
            ("state", state),
            ("flow", flow),
            ("run", run),
            ("agent", agent),
            ("kind", kind),
        ):
            if wanted:
                query = query.where(dead_letters.c[column] == wanted)
        if contract:
            query = query.where(_is_of(contract))
        with self._begin() as connection:
            return [_letter(found) for found in connection.execute(query).mappings()]

    def waiting(self, runs: set[str]) -> list[LetterRow]:
        """The letters of these runs that wait."""
        query = select(dead_letters).where(dead_letters.c.state == "waiting", dead_letters.c.run.in_(runs))
        with self._begin() as connection:
            return [_letter(found) for found in connection.execute(query).mappings()]

    def letter(self, number: str) -> LetterRow | None:
        """The letter of that id."""
        with self._begin() as connection:
            found = (
                connection.execute(select(dead_letters).where(dead_letters.c.id == number)).mappings().first()
            )
            return _letter(found) if found else None

    def count_letters(self, state: str = "waiting") -> int:
        """How many letters are in that state."""
        query = select(func.count()).select_from(dead_letters).where(dead_letters.c.state == state)
        with self._begin() as connection:
            return int(connection.scalar(query) or 0)

    def counted(self, state: str, *, by: Literal["agent", "contract"]) -> dict[str, int]:
        """How many letters are in that state, by their agent or their ``contract/version``."""
        column = dead_letters.c[by]
        query = select(column, func.count()).where(dead_letters.c.state == state).group_by(column)
        with self._begin() as connection:
            return {str(name): int(count) for name, count in connection.execute(query)}

    def mark_replayed(self, letter: LetterRow) -> None:
        """The letter was published again; if it has been parked once more meanwhile, it goes on waiting."""
        same = (dead_letters.c.id == letter.id) & (dead_letters.c.last_failed_at == letter.last_failed_at)
        with self._begin() as connection:
            connection.execute(update(dead_letters).where(same).values(state="replayed"))

    def mark(self, letter: str, state: str) -> None:
        """Put a letter into another state."""
        with self._begin() as connection:
            connection.execute(update(dead_letters).where(dead_letters.c.id == letter).values(state=state))

    def count_replay(self, letter: str) -> int:
        """Count one more replay of a letter, and give the count."""
        counted = (
            update(dead_letters).where(dead_letters.c.id == letter).values(replays=dead_letters.c.replays + 1)
        )
        with self._begin() as connection:
            return int(connection.scalar(counted.returning(dead_letters.c.replays)) or 1)

    def keep_edit(self, row: EditRow, edited: dict[str, Any]) -> None:
        """Keep the message that a letter had before an edit, and give it the ``edited`` one."""
        with self._begin() as connection:
            edits.keep(connection, self._insert(edits_table), row, edited)

    def edits(self, letter: str) -> list[EditRow]:
        """The edits of a letter, oldest first, each with the message before it."""
        with self._begin() as connection:
            return edits.listed(connection, letter)

    def cancel_run(self, run: str) -> None:
        """The waiting letters of a cancelled run wait no more; but for those of what undoes it, and of what hears an event of
        a flow: both go on."""
        step, flow = dead_letters.c.step, dead_letters.c.flow
        goes_on = step.like(f"%{UNDO}") | (step.like(f"%{SUBSCRIBER}%") & ~flow.like(f"{STORY}%"))
        ended = (dead_letters.c.run == run) & (dead_letters.c.state == "waiting") & ~goes_on
        with self._begin() as connection:
            connection.execute(update(dead_letters).where(ended).values(state="cancelled"))

    def act(self, action: str, *, who: str, run: str = "", letter: str = "", note: str = "") -> None:
        """Record what an operator did."""
        with self._begin() as connection:
            _act(connection, action, who=who, run=run, letter=letter, note=note)

    def acts(self, run: str) -> list[dict[str, Any]]:
        """What operators did to a run, oldest first."""
        query = select(actions).where(actions.c.run == run).order_by(actions.c.id)
        with self._begin() as connection:
            return [dict(found) for found in connection.execute(query).mappings()]

    def record_deployment(self, manifest: Manifest, by: str) -> bool:
        """Record that a build is deployed, and who said so. The same build again is no second one (False); one that was
        withdrawn is deployed again.

        Raises :class:`~handoffs.coordinator.errors.Conflict` where the build is known with another manifest.
        """
        with self._begin() as connection:
            new = deployments.record(connection, self._insert(deployments_table), manifest, by)
            if new:
                _act(connection, "record-deployment", who=by, note=str(manifest))
        return new

    def withdraw(self, agent: str, build: str, by: str) -> None:
        """Record that a build is not deployed any more, and who said so.

        Raises :class:`~handoffs.coordinator.errors.UnknownDeployment` where it is not recorded as deployed.
        """
        with self._begin() as connection:
            deployments.withdraw(connection, agent, build, by)
            _act(connection, "withdraw-deployment", who=by, note=f"{agent} build {build}")

    def deployments(self, agent: str = "", *, withdrawn: bool = True) -> list[DeploymentRow]:
        """The builds of an agent, or of all agents, that are recorded as deployed or were; the oldest first. Without
        ``withdrawn`` only what is recorded, and of each agent the previous one."""
        with self._begin() as connection:
            return deployments.listed(connection, agent, withdrawn=withdrawn)

    def previous(self, agent: str) -> DeploymentRow | None:
        """The build of an agent that was withdrawn last."""
        return next(
            (row for row in self.deployments(agent, withdrawn=False) if row.state == "previous"), None
        )

    def dead_lettered(self, agent: str) -> dict[str, int]:
        """How many letters of an agent wait, by ``contract/version`` (empty where a letter is no envelope)."""
        with self._begin() as connection:
            return deployments.dead_lettered(connection, agent)

    def ping(self) -> str:
        """Name and version of the database. Raises :class:`ServerError` where there is none."""
        with self._begin() as connection:
            dialect = connection.dialect
            name = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}.get(dialect.name, dialect.name)
            return f"{name} {'.'.join(map(str, dialect.server_version_info or ()))}"

    def close(self) -> None:
        """Give connections back."""
        self._engine.dispose()

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        try:
            with self._creating:
                if not self._ready:
                    self._create()
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise _unusable(error) from error

    def _create(self) -> None:
        """Create the missing tables. Another process may be doing the same: whoever is late finds them there."""
        try:
            metadata.create_all(self._engine)
        except SQLAlchemyError:
            metadata.create_all(self._engine)
        self._ready = True

    def _insert(self, table: Any) -> Any:
        return postgresql.insert(table) if self._engine.dialect.name == "postgresql" else sqlite.insert(table)


def _act(
    connection: Connection, action: str, *, who: str, run: str = "", letter: str = "", note: str = ""
) -> None:
    connection.execute(
        insert(actions).values(at=now(), who=who, action=action, run=run, letter=letter, note=note)
    )


def _unheard(contract: str, before: str) -> ColumnElement[bool]:
    letter = dead_letters.c
    chosen = letter.state == "unheard"
    if contract:
        chosen &= _is_of(contract)
    return chosen & (letter.last_failed_at < before) if before else chosen


def _is_of(contract: str) -> ColumnElement[bool]:
    """Exactly: LIKE does not tell capitals apart everywhere."""
    return func.substr(dead_letters.c.contract, 1, len(contract) + 1) == f"{contract}/"


def _values(row: LetterRow) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in LetterRow.__slots__},
        "payload": json.dumps(row.payload, ensure_ascii=False),
        "message": json.dumps(row.message, ensure_ascii=False),
    }


def _letter(found: Any) -> LetterRow:
    return LetterRow(
        **{**found, "payload": json.loads(found["payload"]), "message": json.loads(found["message"])}
    )


def _configure_sqlite(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")


def _unusable(error: Exception) -> ServerError:
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()
    return ServerError(
        f"the journal cannot be used: {type(error).__name__}: {cause[0][:200] if cause else ''}",
        "nothing was lost: history waits in Redis and dead letters in the broker",
        "check COORDINATOR_JOURNAL_URL, and that the database is up",
    )
