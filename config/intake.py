"""Intake: what comes into an agent's queue besides the steps of flows. It needs no broker's client, so that an agent does not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Intake:
    """Events whose names fit ``patterns`` come into the queue. ``ordered``: its messages go to one worker at a time, in their
    order."""

    patterns: tuple[str, ...] = ()
    ordered: bool = False


NO_INTAKE = Intake()
