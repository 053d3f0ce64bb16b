"""Compatibility: whether one JSON Schema can read what another writes, by a proof or by an instance that breaks."""

from handoffs.contracts.compatibility.comparison import compare
from handoffs.contracts.compatibility.verdict import Difference, Verdict

__all__ = ["Difference", "Verdict", "compare"]
