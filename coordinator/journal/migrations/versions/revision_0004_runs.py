"""The runs that live, and how the others ended. Those of before are not among them: a run that goes on is, with its next step."""

from alembic import op
from sqlalchemy import Column, Integer, String, UniqueConstraint

revision = "0004"
down_revision = "0003"

_RUNS = "handoff_runs"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        _RUNS,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("run", String(200), nullable=False),
        Column("flow", String(120), nullable=False),
        Column("state", String(20), nullable=False),
        Column("at", String(40), nullable=False),
        Column("namespace", String(40), nullable=False, server_default=""),
        UniqueConstraint("namespace", "run"),
    )
    op.create_index(f"{_RUNS}_own_state", _RUNS, ["namespace", "state", "id"])
    op.create_index(f"{_RUNS}_own_at", _RUNS, ["namespace", "at", "id"])
