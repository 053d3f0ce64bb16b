"""Fleets: who works together, and how many. Each scales by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Fleet:
    """Workers of the same agents: so many ``processes``, each with so many ``threads``."""

    name: str
    agents: tuple[str, ...]
    processes: int = 1
    threads: int = 1

    def members(self) -> tuple[str, ...]:
        """The names of its processes."""
        if self.processes == 1:
            return (self.name,)
        return tuple(f"{self.name}-{number}" for number in range(1, self.processes + 1))


FLEETS: Final = (
    Fleet("transcode", ("media.transcode",), processes=2, threads=5),
    Fleet("drm", ("media.drm",)),
    Fleet("ladder", ("media.ladder",), threads=2),
    Fleet("assemble", ("media.assemble",), threads=8),
    Fleet("others", ("media.cdn", "media.index", "media.release", "media.shelf"), threads=8),
)
"""That of DRM is an order of magnitude smaller than that of transcoding. Who orders waits where transcoding has no room,
and who assembles where DRM has none; so both are apart from those who make room."""

AGENTS: Final = tuple(agent for fleet in FLEETS for agent in fleet.agents)

TOGETHER: Final = (Fleet("studio", AGENTS, threads=10),)
"""All in one process, where there is one title."""


def fleet(name: str) -> Fleet:
    """The fleet of that name. Raises KeyError."""
    return {one.name: one for one in FLEETS}[name]
