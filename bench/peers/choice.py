"""Choice: which sides there are, and which of them can be measured here."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

from bench.peers.durable_celery import DurableCelery
from bench.peers.ours import Ours
from bench.peers.side import Side

BASELINE = DurableCelery.name
OURS = Ours.name


class _Optional(NamedTuple):
    """A side that is measured where its packages are installed."""

    module: str
    side: str
    needs: tuple[str, ...]


_OPTIONAL = {
    "dramatiq": _Optional("bench.peers.on_dramatiq", "OnDramatiq", ("dramatiq", "pika")),
    "taskiq": _Optional(
        "bench.peers.on_taskiq", "OnTaskiq", ("taskiq", "taskiq_aio_pika", "taskiq_redis", "taskiq_pipelines")
    ),
}
OPTIONAL = tuple(_OPTIONAL)


def is_installed(name: str) -> bool:
    """Whether an optional side can be measured here."""
    return all(find_spec(package) is not None for package in _OPTIONAL[name].needs)


def side_classes(optional: Sequence[str]) -> dict[str, type[Side]]:
    """The product, durable Celery, and those of the optional sides, which are installed, in this order."""
    found: dict[str, type[Side]] = {OURS: Ours, BASELINE: DurableCelery}
    for name in optional:
        known = _OPTIONAL[name]
        found[name] = getattr(import_module(known.module), known.side)
    return found
