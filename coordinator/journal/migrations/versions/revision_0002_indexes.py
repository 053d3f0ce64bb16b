"""Indexes for reading letters in pages, oldest first, and operator actions by run and by person, newest first."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add them."""
    letters, actions = "handoff_dead_letters", "handoff_operator_actions"
    op.create_index(f"{letters}_oldest", letters, ["state", "first_failed_at", "id"])
    op.create_index(f"{actions}_run", actions, ["run", "id"])
    op.create_index(f"{actions}_who", actions, ["who", "id"])
