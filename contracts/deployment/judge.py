"""Judge: whether a new build may be deployed. A pure decision.

Any producer of a contract may feed any consumer of it, since flows are composed elsewhere: edges go by contract name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from handoffs.contracts.deployment import problems
from handoffs.contracts.deployment.builds import Build, Deployed, Outstanding
from handoffs.contracts.deployment.decision import Decision, Edge, Problem, Rule
from handoffs.contracts.deployment.order import in_order
from handoffs.contracts.event import Event, Nothing
from handoffs.contracts.manifest import Manifest


def negotiated(emits: Iterable[int], accepts: Iterable[Iterable[int]]) -> int | None:
    """The newest version in ``emits`` that every reader accepts, or None."""
    return max(set(emits).intersection(*accepts), default=None)


def judge(new: Manifest, known: Sequence[Deployed], outstanding: Sequence[Outstanding]) -> Decision:
    """Decide whether ``new`` may be deployed beside what is in ``known``, with ``outstanding`` still to be handled.

    What is ``recorded`` counts like what is ``live``. Other builds of the agent itself are no edges; but until they are
    withdrawn they read from the same queue, so a producer writes one version for all of them.
    """
    looked = _Judge(new, known)
    for name in sorted(new.emits):
        looked.emits(name)
    for name in sorted(new.accepts):
        looked.accepts(name)
    for found in outstanding:
        if found.agent == new.agent and found.total > 0:
            looked.outstanding(found)
    edges, broken = tuple(looked.edges), tuple(looked.problems)
    order = in_order(new, edges, broken, rolling=bool(looked.own))
    return Decision(new, edges, broken, tuple(looked.notes), order)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Who writes a contract and who reads it. One of the two is the new build, ``other`` is the deployed one."""

    name: str
    writer: Manifest
    reader: Manifest
    other: Deployed


class _Judge:
    """What was found so far about one new build."""

    def __init__(self, new: Manifest, known: Sequence[Deployed]) -> None:
        self.new = new
        self.mine = [build for build in known if build.manifest.agent == new.agent]
        self.own = [build for build in self.mine if build.state != "previous" and build.manifest != new]
        self.known = known
        others = [build for build in known if build.manifest.agent != new.agent]
        self.others = [build for build in others if build.state != "previous"]
        there = {build.manifest.agent for build in self.others}
        self.previous = [
            build for build in others if build.state == "previous" and build.manifest.agent in there
        ]
        self.edges: list[Edge] = []
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def emits(self, name: str) -> None:
        """What the new build writes: consumers read it, their builds together and after a rollback."""
        consumers: dict[str, list[Deployed]] = {}
        for build in self.others:
            if name in build.manifest.accepts:
                consumers.setdefault(build.manifest.agent, []).append(build)
        for builds in consumers.values():
            self._emits_to(name, builds)
        self._heard_together(name, consumers)
        if not consumers and name != Nothing.ref().name:
            self._note_ears(name)
        for build in self.previous:
            if name in build.manifest.accepts:
                self._edge("rollback", _Pair(name, self.new, build.manifest, build))

    def accepts(self, name: str) -> None:
        """What producers write: the new build reads it, together with those builds of its agent that are deployed."""
        producers = [build for build in self.others if name in build.manifest.emits]
        beside = [build for build in self.own if name in build.manifest.accepts]
        readers = [self.new, *(build.manifest for build in beside)]
        for build in producers:
            self._edge("accepts", _Pair(name, build.manifest, self.new, build), readers, beside)
        if self.new.hears(name):
            for build in producers:
                self._heard_with_others(name, build, readers)
        if not producers and name != Event.ref().name:
            self.notes.append(f"nobody is deployed that writes {name}")

    def outstanding(self, found: Outstanding) -> None:
        """What is still to be handled: the new build reads it, and by its version means what was meant."""
        ref = found.contract
        if ref.version not in self.new.accepts.get(ref.name, ()):
            self.problems.append(problems.unhandled(found, self.new, self.known))
            return
        for build in self.mine:
            changed = problems.changed(ref.name, build.manifest, self.new, build)
            self.problems.extend(problem for problem in changed if problem.writes == (ref.version,))

    def _emits_to(self, name: str, builds: list[Deployed]) -> None:
        readers = [build.manifest for build in builds]
        alone = [negotiated(self.new.emits[name], [reader.accepts[name]]) for reader in readers]
        if None not in alone and negotiated(self.new.emits[name], _read(name, readers)) is None:
            self.problems.append(problems.apart(name, self.new, readers, builds))
            for build in builds:
                self.problems.extend(problems.changed(name, self.new, build.manifest, build))
            return
        for build in builds:
            self._edge("emits", _Pair(name, self.new, build.manifest, build), readers)

    def _heard_together(self, name: str, consumers: Mapping[str, Sequence[Deployed]]) -> None:
        """An event is sent once: several agents that hear it need one version in common."""
        hearing = {
            agent: [build for build in builds if build.manifest.hears(name)]
            for agent, builds in consumers.items()
        }
        builds = [build for some in hearing.values() for build in some]
        if sum(map(bool, hearing.values())) < 2 or not self._each_reads(self.new, name, builds):
            return
        readers = [build.manifest for build in builds]
        if negotiated(self.new.emits[name], _read(name, readers)) is None:
            self.problems.append(problems.scattered(name, self.new, readers, builds[-1]))

    def _heard_with_others(self, name: str, producer: Deployed, own: Sequence[Manifest]) -> None:
        """The same for an event that the new build hears: together with the other agents that hear it."""
        writes = producer.manifest.emits[name]
        others = [
            build for build in self.others if name in build.manifest.accepts and build.manifest.hears(name)
        ]
        readers = [*own, *(build.manifest for build in others)]
        fine = negotiated(writes, _read(name, own)) is not None and self._each_reads(
            producer.manifest, name, others
        )
        if others and fine and negotiated(writes, _read(name, readers)) is None:
            self.problems.append(problems.scattered(name, producer.manifest, readers, producer))

    def _each_reads(self, writer: Manifest, name: str, builds: Sequence[Deployed]) -> bool:
        """Whether each agent, with all of its builds, reads something that the writer writes; else that is a problem already."""
        agents = {build.manifest.agent for build in builds}
        own = ([build.manifest for build in builds if build.manifest.agent == agent] for agent in agents)
        return all(negotiated(writer.emits[name], _read(name, readers)) is not None for readers in own)

    def _note_ears(self, name: str) -> None:
        """No consumer names it; but agents that hear all that fits a pattern may read it."""
        ears = sorted({build.manifest.agent for build in self.others if build.manifest.hears(name)})
        self.notes.extend(f"{ear} hears {name} by a pattern, and reads any version of it" for ear in ears)
        if not ears:
            self.notes.append(f"nobody is deployed that reads {name}")

    def _edge(
        self,
        rule: Rule,
        pair: _Pair,
        together: Sequence[Manifest] = (),
        beside: Sequence[Deployed] = (),
    ) -> None:
        """One edge: in the version that all readers ``together`` read, or else in one that this reader reads.

        Where there is none for all, that is a problem of this edge if some are ``beside`` it.
        """
        name, writer, reader, other = pair.name, pair.writer, pair.reader, pair.other
        writes, reads = writer.emits[name], reader.accepts[name]
        alone = negotiated(writes, [reads])
        common = negotiated(writes, _read(name, together)) if together else alone
        changed = list(problems.changed(name, writer, reader, other))
        self.problems.extend(changed)
        if alone is None:
            self.problems.append(problems.unreadable(rule, name, writer, reader, other))
        elif common is None and beside:
            self.problems.append(problems.apart(name, writer, together, beside))
        elif not changed:
            version = alone if common is None else common
            ends = Build.of(writer), Build.of(reader)
            self.edges.append(Edge(rule, name, *ends, writes, reads, version, _how(writes, reads, version)))


def _read(name: str, readers: Iterable[Manifest]) -> list[tuple[int, ...]]:
    return [reader.accepts[name] for reader in readers]


def _how(writes: Sequence[int], reads: Sequence[int], version: int) -> str:
    steps = [word for word, own in (("downcast", writes[0]), ("upcast", reads[0])) if own != version]
    return ", ".join(steps) or "as it is"
