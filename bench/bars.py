"""Bars: what the product is to reach, as a figure of its own or beside another side in the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bench.figures import median, ratio
from bench.samples import Sample

Verdict: TypeAlias = Literal["reaches the aim", "met", "MISSED", "not measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar.

    key, case, side
        The figure, in which case of the measure, and whose.
    against
        The side that it is a ratio to, round by round; None where it is the figure itself.
    least, aim
        What must be reached, and what is wanted. ``at_most``: less is better.
    unit
        Of a figure that is no ratio.
    """

    text: str
    key: str
    case: str
    least: float
    aim: float | None = None
    side: str = "handoffs"
    against: str | None = None
    at_most: bool = False
    unit: str = ""

    def figure(self, samples: Sequence[Sample]) -> float | None:
        """What was measured; None where it was not."""
        found = [one for one in samples if one.case == self.case]
        ours = [one for one in found if one.side == self.side]
        if self.against is None:
            return median(ours, self.key)
        return ratio(ours, [one for one in found if one.side == self.against], self.key)

    def verdict(self, figure: float | None) -> Verdict:
        """What is to be said of a figure."""
        if figure is None:
            return "not measured"
        if self.aim is not None and self._reached(figure, self.aim):
            return "reaches the aim"
        return "met" if self._reached(figure, self.least) else "MISSED"

    def _reached(self, figure: float, bar: float) -> bool:
        return figure <= bar if self.at_most else figure >= bar
