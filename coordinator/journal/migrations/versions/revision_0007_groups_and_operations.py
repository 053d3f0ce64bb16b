"""What letters have in common (their fingerprints), what people noted of that, and what is done with many letters at once.

The fingerprints of letters that are there already are written where they are asked for (:mod:`..groups`): a process of an older release
goes on adding letters without any, so that has to be done in any case, and the upgrade does not wait for it.
"""

from alembic import op
from sqlalchemy import Column, Integer, String, Text

revision = "0007"
down_revision = "0006"

_LETTERS, _NOTES = "handoff_dead_letters", "handoff_group_notes"
_OPERATIONS, _OF_OPERATIONS = "handoff_operations", "handoff_operation_letters"


def upgrade() -> None:
    """Add them."""
    op.add_column(_LETTERS, Column("fingerprint", String(40), nullable=False, server_default=""))
    op.create_index(
        f"{_LETTERS}_own_group", _LETTERS, ["namespace", "state", "fingerprint", "last_failed_at"]
    )
    op.create_table(
        _NOTES,
        Column("namespace", String(40), primary_key=True),
        Column("fingerprint", String(40), primary_key=True),
        Column("note", Text, nullable=False),
        Column("owner", String(200), nullable=False),
        Column("at", String(40), nullable=False),
        Column("who", String(200), nullable=False),
    )
    op.create_table(
        _OPERATIONS,
        Column("id", String(40), primary_key=True),
        Column("namespace", String(40), nullable=False, server_default=""),
        Column("kind", String(20), nullable=False),
        Column("state", String(20), nullable=False),
        Column("at", String(40), nullable=False),
        Column("who", String(200), nullable=False),
        Column("why", Text, nullable=False),
        Column("selection", Text, nullable=False),
        Column("options", Text, nullable=False),
        Column("turn", Integer, nullable=False),
        Column("changed_at", String(40), nullable=False),
        Column("told", Text, nullable=False),
    )
    op.create_index(f"{_OPERATIONS}_own", _OPERATIONS, ["namespace", "at", "id"])
    op.create_table(
        _OF_OPERATIONS,
        Column("operation", String(40), primary_key=True),
        Column("position", Integer, primary_key=True, autoincrement=False),
        Column("letter", String(200), nullable=False),
        Column("was", String(20), nullable=False),
        Column("fingerprint", String(40), nullable=False),
        Column("state", String(20), nullable=False),
        Column("replays", Integer, nullable=False),
        Column("failed_at", String(40), nullable=False),
        Column("claimed_at", String(40), nullable=False),
        Column("came", String(20), nullable=False),
        Column("told", Text, nullable=False),
    )
    op.create_index(f"{_OF_OPERATIONS}_state", _OF_OPERATIONS, ["operation", "state", "position"])
    op.create_index(f"{_OF_OPERATIONS}_letter", _OF_OPERATIONS, ["operation", "letter"])
