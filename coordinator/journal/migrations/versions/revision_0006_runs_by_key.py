"""When each run was accepted and under which key, and indexes to find runs by them, and runs and letters by how their ids begin.

The history of an older release does not have the keys of its runs: those stay empty. When they were accepted it has, also of runs
from before there was a table of them.
"""

from alembic import op
from sqlalchemy import Column, String

revision = "0006"
down_revision = "0005"

_RUNS, _LETTERS = "handoff_runs", "handoff_dead_letters"

_ADD = """
insert into handoff_runs (run, flow, state, at, namespace)
select h.run, min(h.flow), 'unknown', min(h.at), h.namespace from handoff_history h
where h.kind = 'started' and h.run <> ''
and not exists (select 1 from handoff_runs r where r.namespace = h.namespace and r.run = h.run)
group by h.namespace, h.run order by min(h.id)
"""
_TELL = """
update handoff_runs set started = coalesce((
  select min(h.at) from handoff_history h
  where h.run = handoff_runs.run and h.namespace = handoff_runs.namespace and h.kind = 'started'
), '')
"""


def upgrade() -> None:
    """Add them, and write down when the runs were accepted that are known."""
    op.add_column(_RUNS, Column("started", String(40), nullable=False, server_default=""))
    op.add_column(_RUNS, Column("key", String(200), nullable=False, server_default=""))
    op.execute(_ADD)
    op.execute(_TELL)
    op.create_index(f"{_RUNS}_own_started", _RUNS, ["namespace", "started", "id"])
    op.create_index(f"{_RUNS}_own_flow", _RUNS, ["namespace", "flow", "started", "id"])
    op.create_index(f"{_RUNS}_own_key", _RUNS, ["namespace", "key", "started", "id"])
    op.create_index(
        f"{_RUNS}_own_run", _RUNS, ["namespace", "run"], postgresql_ops={"run": "varchar_pattern_ops"}
    )
    op.create_index(
        f"{_LETTERS}_own_id", _LETTERS, ["namespace", "id"], postgresql_ops={"id": "varchar_pattern_ops"}
    )
