"""The chains: each entry of the history, and each operator action, has its place and the digest of the one before it.

What is there already stays as it is. It is not chained afterwards: a digest that is made today says nothing of what was changed
yesterday, and a large table would be rewritten while everybody waits. How far it goes is written down, so that what is added later
without a place is not taken for it.
"""

from alembic import op
from sqlalchemy import Column, Integer, PrimaryKeyConstraint, String

revision = "0008"
down_revision = "0007"

_CHAINS = "handoff_chains"
_CHAINED = ("handoff_history", "handoff_operator_actions")
_STARTS = (
    "insert into handoff_chains select '', 'start', 'run', coalesce(max(id), 0), '' from handoff_history",
    "insert into handoff_chains select '', 'start', 'actions', coalesce(max(id), 0), '' from handoff_operator_actions",
    "insert into handoff_chains select '', 'start', 'noted', coalesce(max(id), 0), '' from handoff_runs",
)


def upgrade() -> None:
    """Add the columns and the table of heads, and write down what was there before."""
    op.create_table(
        _CHAINS,
        Column("namespace", String(40), nullable=False, server_default=""),
        Column("kind", String(20), nullable=False),
        Column("name", String(200), nullable=False),
        Column("sequence", Integer, nullable=False),
        Column("digest", String(64), nullable=False),
        PrimaryKeyConstraint("namespace", "kind", "name"),
    )
    for table in _CHAINED:
        op.add_column(table, Column("sequence", Integer, nullable=False, server_default="0"))
        op.add_column(table, Column("previous", String(64), nullable=False, server_default=""))
        op.add_column(table, Column("digest", String(64), nullable=False, server_default=""))
    for statement in _STARTS:
        op.execute(statement)
