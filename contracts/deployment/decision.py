"""Decision: the answer to can-i-deploy, with every edge that was looked at and everything that would break."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from handoffs.contracts.compatibility import Difference, Verdict
from handoffs.contracts.deployment.builds import Build
from handoffs.contracts.manifest import Manifest

Rule = Literal["emits", "accepts", "rolling", "outstanding", "rollback", "fingerprint", "subscribers"]
"""What is asked of an edge.

``emits``: a consumer reads what the new build writes. ``accepts``: the new build reads what a producer writes.
``rolling``: while several builds of one consumer are deployed, there is one version that all of them read.
``outstanding``: the new build reads what was sent and is not settled. ``rollback``: a consumer that went back to its
previous build reads what the new build writes. ``fingerprint``: a version is the same on both sides. ``subscribers``: there is one version for all
agents that hear an event, which is sent once to all of them.
"""


@dataclass(frozen=True, slots=True)
class Edge:
    """A handover that works: ``version`` is what would be written, and ``how`` is ``as it is``, ``downcast`` (by the
    writer), ``upcast`` (by the reader), or ``downcast, upcast``.
    """

    rule: Rule
    contract: str
    writer: Build
    reader: Build
    writes: tuple[int, ...]
    reads: tuple[int, ...]
    version: int
    how: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A handover that would break.

    agent, build, state
        The other side. Where several builds of one consumer do not go together it is the one that is in the way; where the
        rule is ``outstanding`` it is the new build itself, and the state is ``new``.
    writes, reads
        The versions that the writer can write (of what is outstanding: the one that was written) and the reader reads.
    verdict
        What the writer's own version is for the reader's own; None where a schema is not known.
    """

    rule: Rule
    contract: str
    agent: str
    build: str
    state: str
    writes: tuple[int, ...]
    reads: tuple[int, ...]
    text: str
    remedy: str
    verdict: Verdict | None = None

    @property
    def broken(self) -> bool:
        """Whether there is a witness (which can be ``null``)."""
        return self.verdict is not None and self.verdict.verdict == "incompatible"

    @property
    def witness(self) -> Any:
        """An instance that may be written and cannot be read; None where :attr:`broken` is false."""
        return self.verdict.witness if self.verdict is not None else None

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Each place at which the two schemas differ, as far as they are known."""
        return self.verdict.differences if self.verdict is not None else ()

    def __str__(self) -> str:
        first = (str(difference) for difference in self.differences[:1])
        return "; ".join((self.text, *first, self.remedy))


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether ``new`` may be deployed.

    ``edges`` is what works and ``problems`` what does not; ``notes`` says where there is no agent on the other side, and ``order``
    in which order to deploy, a sentence each.
    """

    new: Manifest
    edges: tuple[Edge, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    order: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing would break."""
        return not self.problems
