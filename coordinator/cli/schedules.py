"""The commands about schedules."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.session import settings_of_command
from handoffs.coordinator.flow.loading import load_modules
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.observe.scheduling import standing
from handoffs.coordinator.render.console import out, print_json, say, table
from handoffs.coordinator.store.schedules import Progress, ScheduleProgress
from handoffs.coordinator.store.server import connect


@click.group()
def schedules() -> None:
    """Look at the schedules that are declared beside the flows. `coordinator beat` starts their runs."""


@schedules.command("list")
@json_option
def list_schedules(as_json: bool) -> None:
    """The schedules that are loaded: what they start, when, when next, and the run that they started last.

    Times are those of this machine; the time zone in which a schedule counts is with its rule. Without servers it is not known what
    was started.
    """
    settings = settings_of_command()
    found = sorted(load_modules(settings.agents).schedules.values(), key=lambda one: one.name)
    now, come = datetime.now(UTC), [Progress()] * len(found)
    if settings.redis_url:
        redis = connect(settings.redis_url, settings.server_timeout)
        try:
            now, come = ScheduleProgress(redis, settings).read([schedule.name for schedule in found])
        finally:
            redis.close()
    rows = [standing(schedule, done, now).to_json() for schedule, done in zip(found, come, strict=True)]
    if as_json:
        print_json(rows)
    elif not rows:
        say("no schedule is declared in the modules of COORDINATOR_AGENTS")
    else:
        columns = ("schedule", "flow", "when", "next", "last", "run")
        out.print(table("schedules", columns, map(_cells, rows)))


def _cells(row: dict[str, str]) -> tuple[str, ...]:
    return (
        row["schedule"], row["flow"], row["when"], moment(row["next"]), moment(row["last"]), row["last_run"],
    )  # fmt: skip
