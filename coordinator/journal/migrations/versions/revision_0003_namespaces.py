"""Whose a row is, where several installations share a database; the traceback of a letter; indexes for reading many letters.

What is there already is given to the installations: an entry of the history says by its source whose it is, and what belongs to
a run is that of the run's history. Where the history knows one installation only, all is of that one. What cannot be known
(a letter without a run, where there are several) stays with the installation that has no namespace. Deployments that are
recorded are so for each installation, because each has been bound by them.
"""

# ruff: noqa: S608, ISC004 - statements are made of constants; values are bound

from alembic import op
from sqlalchemy import Column, String, Text, text

revision = "0003"
down_revision = "0002"

_HISTORY, _LETTERS, _EDITS = "handoff_history", "handoff_dead_letters", "handoff_edits"
_ACTIONS, _DEPLOYMENTS = "handoff_operator_actions", "handoff_deployments"
_LONGEST = 159
"""The longest id that may have a namespace before it."""


def upgrade() -> None:
    """Add them, and give what is there to whom it belongs."""
    for table in (_HISTORY, _LETTERS, _EDITS, _ACTIONS, _DEPLOYMENTS):
        op.add_column(table, Column("namespace", String(40), nullable=False, server_default=""))
    op.add_column(_LETTERS, Column("trace", Text, nullable=False, server_default=""))
    names = _tell_history()
    if len(names) == 1:
        _give_all(names[0])
    elif names:
        _give_by_run(names)
    op.create_index(f"{_HISTORY}_own", _HISTORY, ["namespace", "id"])
    op.create_index(f"{_HISTORY}_own_kind", _HISTORY, ["namespace", "kind", "id"])
    oldest = ["first_failed_at", "id"]
    op.create_index(f"{_LETTERS}_own", _LETTERS, ["namespace", *oldest])
    op.create_index(f"{_LETTERS}_own_state", _LETTERS, ["namespace", "state", *oldest])
    op.create_index(f"{_LETTERS}_own_flow", _LETTERS, ["namespace", "state", "flow", *oldest])
    op.create_index(f"{_LETTERS}_own_agent", _LETTERS, ["namespace", "state", "agent", *oldest])
    op.create_index(f"{_LETTERS}_own_contract", _LETTERS, ["namespace", "state", "contract"])
    op.create_index(f"{_ACTIONS}_own", _ACTIONS, ["namespace", "id"])


def _tell_history() -> list[str]:
    """Write the namespace of each entry, which its source begins with; gives the namespaces that there are."""
    connection = op.get_bind()
    position = "strpos" if connection.dialect.name == "postgresql" else "instr"
    op.execute(
        f"update {_HISTORY} set namespace = substr(source, 1, {position}(source, '.') - 1) "
        f"where {position}(source, '.') between 2 and 41"
    )
    return sorted(connection.scalars(text(f"select distinct namespace from {_HISTORY}")))


def _give_all(name: str) -> None:
    """All is of one installation."""
    if not name:
        return
    connection = op.get_bind()
    key = {"name": name, "key": f"{name}|", "longest": _LONGEST}
    for table, column in ((_LETTERS, "id"), (_EDITS, "letter"), (_DEPLOYMENTS, "agent")):
        connection.execute(
            text(
                f"update {table} set namespace = :name, {column} = :key || {column} "
                f"where length({column}) <= :longest"
            ),
            key,
        )
    connection.execute(text(f"update {_ACTIONS} set namespace = :name"), {"name": name})


def _give_by_run(names: list[str]) -> None:
    """There are several: what belongs to a run is that of the run's history, and what is deployed is so in each."""
    connection = op.get_bind()
    for name in filter(None, names):
        key = {"name": name, "key": f"{name}|", "longest": _LONGEST}
        own_runs = f"select run from {_HISTORY} where namespace = :name and run <> ''"
        own_letters = f"select id from {_LETTERS} where namespace = '' and run in ({own_runs})"
        columns = "build, manifest, recorded_at, recorded_by, withdrawn_at, withdrawn_by"
        for statement in (
            f"update {_EDITS} set namespace = :name, letter = :key || letter "
            f"where namespace = '' and length(letter) <= :longest and letter in ({own_letters})",
            f"update {_LETTERS} set namespace = :name, id = :key || id "
            f"where namespace = '' and length(id) <= :longest and run in ({own_runs})",
            f"update {_ACTIONS} set namespace = :name where namespace = '' and run in ({own_runs})",
            f"insert into {_DEPLOYMENTS} (agent, namespace, {columns}) select :key || agent, :name, {columns} "
            f"from {_DEPLOYMENTS} where namespace = '' and length(agent) <= :longest",
        ):
            connection.execute(text(statement), key)
