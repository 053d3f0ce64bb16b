"""Indexes for the letters of a run and of a kind: among 200,000 that waited, each look at one run read them all."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add them."""
    letters = "handoff_dead_letters"
    op.create_index(f"{letters}_own_run", letters, ["namespace", "run", "state"])
    op.create_index(f"{letters}_own_kind", letters, ["namespace", "state", "kind", "first_failed_at", "id"])
