"""The tables as they were before there were migrations.

A journal of that release is adopted: what it has is left as it is, and what it lacks is made.
"""

from alembic import op
from sqlalchemy import Column, Integer, PrimaryKeyConstraint, String, Text, UniqueConstraint

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make what is missing.

    Long because it is every table and index as this revision has them.
    """
    op.create_table(
        "handoff_history",
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("source", String(120), nullable=False, unique=True),
        Column("run", String(200), nullable=False),
        Column("flow", String(120), nullable=False),
        Column("kind", String(20), nullable=False),
        Column("at", String(40), nullable=False),
        Column("entry", Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("handoff_history_run", "handoff_history", ["run", "id"], if_not_exists=True)
    op.create_index("handoff_history_kind", "handoff_history", ["kind", "id"], if_not_exists=True)
    op.create_table(
        "handoff_dead_letters",
        Column("id", String(200), primary_key=True),
        Column("state", String(20), nullable=False),
        Column("run", String(200), nullable=False),
        Column("flow", String(120), nullable=False),
        Column("step", String(1000), nullable=False),
        Column("agent", String(200), nullable=False),
        Column("kind", String(20), nullable=False),
        Column("error", String(200), nullable=False),
        Column("text", Text, nullable=False),
        Column("contract", String(200), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("worker", String(300), nullable=False),
        Column("payload", Text, nullable=False),
        Column("first_failed_at", String(40), nullable=False),
        Column("last_failed_at", String(40), nullable=False),
        Column("times", Integer, nullable=False),
        Column("replays", Integer, nullable=False),
        Column("message", Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index(
        "handoff_dead_letters_state", "handoff_dead_letters", ["state", "flow"], if_not_exists=True
    )
    op.create_index("handoff_dead_letters_run", "handoff_dead_letters", ["run"], if_not_exists=True)
    op.create_table(
        "handoff_operator_actions",
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("at", String(40), nullable=False),
        Column("who", String(200), nullable=False),
        Column("action", String(40), nullable=False),
        Column("run", String(200), nullable=False),
        Column("letter", String(200), nullable=False),
        Column("note", Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "handoff_edits",
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("letter", String(200), nullable=False),
        Column("number", Integer, nullable=False),
        Column("at", String(40), nullable=False),
        Column("who", String(200), nullable=False),
        Column("why", Text, nullable=False),
        Column("message", Text, nullable=False),
        UniqueConstraint("letter", "number"),
        if_not_exists=True,
    )
    op.create_table(
        "handoff_deployments",
        Column("agent", String(200), nullable=False),
        Column("build", String(80), nullable=False),
        Column("manifest", Text, nullable=False),
        Column("recorded_at", String(40), nullable=False),
        Column("recorded_by", String(200), nullable=False),
        Column("withdrawn_at", String(40), nullable=False),
        Column("withdrawn_by", String(200), nullable=False),
        PrimaryKeyConstraint("agent", "build"),
        if_not_exists=True,
    )
