"""`coordinator flows`: the flows that are loaded, listed and drawn."""

from __future__ import annotations

import click

from handoffs.contracts.text import printable
from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.cli.session import settings_of_command
from handoffs.coordinator.flow.loading import load_modules
from handoffs.coordinator.observe.outline import outline
from handoffs.coordinator.render.console import out, print_json, table
from handoffs.coordinator.render.flow_mermaid import flow_mermaid
from handoffs.coordinator.render.flow_tree import flow_tree
from handoffs.coordinator.render.lines import as_ascii

_COLUMNS = ("step", "agent", "accepts", "emits")


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def flows(context: click.Context, as_json: bool) -> None:
    """The flows that are loaded: list them, or draw one.

    \b
    coordinator flows                                       every flow, step by step
    coordinator flows show payments.payment                 one as a tree
    coordinator flows show payments.payment --mermaid       one as a Mermaid flowchart
    coordinator flows usage payments.payment                what its runs have used up of models
    """
    if context.invoked_subcommand is None:
        _listed(as_json)


@flows.command("list")
@json_option
def list_flows(as_json: bool) -> None:
    """Every flow, step by step."""
    _listed(as_json)


@flows.command("show")
@click.argument("name")
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print a Mermaid flowchart: --format mermaid.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: --format json.")
@click.option("--format", "form", type=click.Choice(["tree", "mermaid", "json"]), help="How to draw it.")
def show_flow(name: str, as_mermaid: bool, as_json: bool, form: str | None) -> None:
    """Draw the flow NAME: its steps as they are nested, with the contracts that they hand over.

    The number before a step is its path, as in the history of a run; there ``i*`` is ``i0``, ``i1``, ... for the items of a
    list, and ``r*`` is ``r1``, ``r2``, ... for the rounds of a repetition.
    """
    wanted = {form} if form else set()
    wanted |= {word for word, given in (("mermaid", as_mermaid), ("json", as_json)) if given}
    if len(wanted) > 1:
        raise click.UsageError(f"give one of them: {', '.join(sorted(wanted))}")
    drawn = outline(load_modules(settings_of_command().agents).flow(name))
    if wanted == {"json"}:
        print_json(drawn.to_json())
    elif wanted == {"mermaid"}:
        out.print(flow_mermaid(drawn), soft_wrap=True)
    else:
        for line in flow_tree(drawn, out.width):
            if out.options.ascii_only:
                line.plain = as_ascii(line.plain)
            out.print(line, soft_wrap=True)


@flows.command("usage")
@click.argument("name")
@click.option("--days", type=int, default=30, show_default=True, help="On how many days, with today.")
@json_option
def usage_of_flow(name: str, days: int, as_json: bool) -> None:
    """What the runs of the flow NAME have used up, as its agents said (context.usage), failed attempts included."""
    with on_servers("adding up what a flow has used up") as coordinator:
        used = coordinator.usage(name, days)
    if as_json:
        print_json({"flow": name, "days": days, "usage": used.to_json()})
    else:
        out.print(
            table(f"{printable(name, 120)}, {days} days", ("what", "how much"), list(used.to_json().items()))
        )


def _listed(as_json: bool) -> None:
    definitions = load_modules(settings_of_command().agents)
    steps = {
        flow.name: [
            (place.path, place.agent.name, str(place.agent.accepts.ref()), str(place.agent.emits.ref()))
            for place in flow.places()
        ]
        for flow in definitions.flows.values()
    }
    if as_json:
        listed = {
            name: [dict(zip(_COLUMNS, row, strict=True)) for row in rows] for name, rows in steps.items()
        }
        print_json([{"flow": name, "steps": rows} for name, rows in listed.items()])
    for name, rows in steps.items() if not as_json else ():
        out.print(table(name, _COLUMNS, rows))
