"""Sparkline: how many there were over time, in one line."""

from __future__ import annotations

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
_PLAIN = ".:-=+*%#"


def sparkline(counts: Sequence[int], *, ascii_only: bool = False) -> str:
    """A bar for each count, as high as it is beside the highest one; a space where there was none."""
    bars, most = _PLAIN if ascii_only else _BARS, max(counts, default=0)
    return "".join(bars[(count * len(bars) - 1) // most] if count > 0 else " " for count in counts)
