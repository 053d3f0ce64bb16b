"""By what runs are found: the searchable values of what they were given and have made; and how lists are read that are long.

Nothing is taken from the history that is there: what is marked as searchable is told by the entries from now on. The index of keys
gives way to one that also finds keys by how they begin, that of groups to one that has all that groups are counted by, and
that of contracts to one of their names without versions.
"""

from alembic import op
from sqlalchemy import Column, PrimaryKeyConstraint, String

revision = "0009"
down_revision = "0008"

_SEARCH, _RUNS, _LETTERS = "handoff_search", "handoff_runs", "handoff_dead_letters"


def upgrade() -> None:
    """Add the table and the indexes."""
    op.create_table(
        _SEARCH,
        Column("namespace", String(40), nullable=False, server_default=""),
        Column("run", String(200), nullable=False),
        Column("name", String(120), nullable=False),
        Column("value", String(200), nullable=False),
        Column("at", String(40), nullable=False),
        PrimaryKeyConstraint("namespace", "run", "name", "value"),
    )
    op.create_index(
        f"{_SEARCH}_value",
        _SEARCH,
        ["namespace", "value", "name", "at", "run"],
        postgresql_ops={"value": "varchar_pattern_ops"},
    )
    op.create_index(f"{_RUNS}_own_stood", _RUNS, ["namespace", "state", "started", "id"])
    op.create_index(
        f"{_RUNS}_own_keyed",
        _RUNS,
        ["namespace", "key", "started", "id"],
        postgresql_ops={"key": "varchar_pattern_ops"},
    )
    op.drop_index(f"{_RUNS}_own_key", _RUNS)
    op.create_index(
        f"{_LETTERS}_own_cause",
        _LETTERS,
        ["namespace", "state", "fingerprint", "last_failed_at"],
        postgresql_include=["first_failed_at", "worker"],
    )
    op.drop_index(f"{_LETTERS}_own_group", _LETTERS)
    op.create_index(
        f"{_LETTERS}_own_wrote",
        _LETTERS,
        ["namespace", "state", "contract"],
        postgresql_ops={"contract": "varchar_pattern_ops"},
    )
    op.drop_index(f"{_LETTERS}_own_contract", _LETTERS)
    op.create_index(
        f"{_LETTERS}_own_error", _LETTERS, ["namespace", "state", "error", "first_failed_at", "id"]
    )
