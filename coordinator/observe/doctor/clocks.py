"""Clocks: how far that of another host is from this one's."""

from __future__ import annotations

from handoffs.coordinator.observe.doctor.check import Area, Check, ok, warning

TOLERATED = 2.0
"""Seconds that two clocks may differ."""

_REMEDY = "have both hosts' clocks set by NTP; leases and schedules go by Redis' clock, what people are shown by each host's"


def clock_check(area: Area, name: str, ahead: float, doubt: float = 0.0) -> Check:
    """Whether a clock that is ``ahead`` of this host's by so many seconds, to within ``doubt``, is about right."""
    told = f"{abs(ahead):.3g} s {'ahead of' if ahead > 0 else 'behind'} this host"
    if abs(ahead) > TOLERATED + doubt:
        return warning(area, name, told, _REMEDY)
    return ok(area, name, told)
