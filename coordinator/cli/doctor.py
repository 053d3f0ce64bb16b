"""`coordinator doctor`: whether an installation is in order, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.text import Text

from handoffs.config.settings import SettingsError
from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.parameters import SECONDS
from handoffs.coordinator.cli.session import opened
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.observe.doctor.check import AREAS, Check, of_error, worst
from handoffs.coordinator.observe.doctor.doctor import WITHIN
from handoffs.coordinator.observe.doctor.settings import settings_refused
from handoffs.coordinator.render.check_table import check_table
from handoffs.coordinator.render.console import out, print_json


@click.command("doctor", short_help="Is the installation in order, and what to do where it is not?")
@click.option(
    "--within",
    type=SECONDS,
    default=WITHIN,
    show_default=True,
    help="Seconds in which every server has to answer.",
)
@click.option("--faults", is_flag=True, help="Only what is not in order.")
@json_option
def doctor(within: float, faults: bool, as_json: bool) -> None:
    """Look at settings, servers, permissions, queues, tables and workers, and say what to do where one is not in order.

    Each line is ok, a warning (it works, and may not be meant so), failed, or unknown (it could not be found out here: the line
    says how it can). Servers are looked at side by side; one that is away fails its own lines alone. Nothing that is
    written for it stays.

    Exit status 1 where something has failed. Warnings, and what is unknown, do not fail.
    """
    checks = _examined(within)
    shown = [check for check in checks if check.state != "ok"] if faults else checks
    if as_json:
        print_json({"state": worst(checks), "checks": [check.to_json() for check in shown]})
    else:
        for area in AREAS:
            found = [check for check in shown if check.area == area]
            if found:
                out.print(check_table(area, found))
        out.print(_summary(checks), soft_wrap=True)
    if worst(checks) == "failed":
        raise click.exceptions.Exit(1)


def _examined(within: float) -> Sequence[Check]:
    """What there is to say, also where there is nothing to go by."""
    try:
        with opened() as coordinator:
            return coordinator.examine(within)
    except SettingsError as error:
        return [settings_refused(error)]
    except ServerError as error:
        return [of_error("journal", "driver", error, "check COORDINATOR_JOURNAL_URL")]


def _summary(checks: Sequence[Check]) -> Text:
    states = [check.state for check in checks]
    words = [
        f"{states.count(state)} {state}"
        for state in ("failed", "warning", "unknown", "ok")
        if state in states
    ]
    return Text(", ".join(words), style="bold")
