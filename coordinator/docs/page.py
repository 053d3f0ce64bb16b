"""Page: the landscape as one HTML page that needs nothing else."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined

from handoffs.coordinator.docs import phrases
from handoffs.coordinator.docs.model import CHANGED, Landscape
from handoffs.coordinator.observe.handovers import contracts_of

_TEMPLATE = "page.html.j2"
_CODE = re.compile(r"``([^`]+)``")


def page(landscape: Landscape) -> str:
    """The page. It loads nothing and runs nothing, and follows the reader's choice of light or dark."""
    notes = {agent.name: agent.description[0] for agent in landscape.agents if agent.description}
    return _environment().get_template(_TEMPLATE).render(
        landscape=landscape,
        notes=defaultdict(str, notes),
        flow_names={flow.name for flow in landscape.flows},
    )  # fmt: skip


def pieces(text: str) -> list[tuple[str, bool]]:
    """A docstring's text in pieces, each with whether it is code: what stands between double backticks."""
    split = _CODE.split(text)
    return [(piece, bool(number % 2)) for number, piece in enumerate(split) if piece]


@cache
def _environment() -> Environment:
    """What renders the template: whatever the landscape says is escaped, and a name that does not exist is an error."""
    made = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals.update(phrases=phrases, pieces=pieces, contracts_of=contracts_of, CHANGED=CHANGED)
    return made


def _source(name: str) -> str:
    """The text of a template beside this module."""
    return resources.files("handoffs.coordinator.docs").joinpath(name).read_text("utf-8")
