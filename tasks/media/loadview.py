"""The view of a load: a line while it goes on, and a table of what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from handoffs.coordinator.render.console import table
from handoffs.tasks.depths import Depths
from handoffs.tasks.media.fleets import AGENTS
from handoffs.tasks.media.load import Load


def load_table(figures: dict[str, Any]) -> RenderableType:
    """Figures of a load as a table."""
    rows = [
        ("titles", f"{figures['titles']}, of which {figures['most_open']} under way at once"),
        ("renditions", str(figures["renditions"])),
        ("packaged", f"{figures['packaged']} titles"),
        ("distributed", f"{figures['copies']} times to an edge"),
        ("indexed", str(figures["indexed"])),
        ("on the shelf", str(figures["shelved"])),
        ("seconds", f"{figures['seconds']:.1f}"),
        (
            "a second",
            f"{figures['titles_per_second']:.1f} titles, {figures['renditions_per_second']:.0f} renditions",
        ),
    ]
    return table("the load", ("", ""), rows)


@contextmanager
def load_line(load: Load) -> Iterator[Callable[[], RenderableType]]:
    """Gives what draws how far a load is, with who waits where that can be asked."""
    engine = load.stage.coordinator.engine
    depths = Depths(engine.app) if load.stage.where != "embedded" else None

    def draw() -> RenderableType:
        now = load.progress
        rate = now.renditions / max(now.seconds, 0.1)
        head = Text.assemble(
            (f"load  {now.seconds:.0f} s  ", "bold"),
            f"titles {now.emitted} of {load.titles}, {now.open} under way, ",
            (f"{now.shelved} on the shelf", "green"),
            f"; renditions {now.renditions} of {load.titles * load.renditions}, {rate:.0f} a second",
        )
        if depths is None:
            return head
        found = depths.waiting(map(engine.topology.queue_name, AGENTS))
        names = [
            f"{engine.topology.agent_of(queue).removeprefix('media.')} {count}"
            for queue, count in found.items()
            if count
        ]
        return Text.assemble(head, f"\nwaiting: {', '.join(names) or 'none'}")

    try:
        yield draw
    finally:
        if depths is not None:
            depths.close()
