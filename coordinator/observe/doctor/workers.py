"""Workers: what the doctor says of who is at work, by what they announce, and of what waits for whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from handoffs.contracts.text import printable
from handoffs.coordinator.flow.schedule import Schedule
from handoffs.coordinator.observe.doctor.check import Check, failed, ok, warning
from handoffs.coordinator.observe.doctor.clocks import clock_check
from handoffs.coordinator.store.schedules import Progress

_LATE = timedelta(minutes=2)
"""How late a schedule may be: beat looks each second."""
_COMPARED = ("handoffs", "celery", "kombu", "redis")


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """A worker that is alive: the agent, its name, its build, the versions that it runs on, and by how many seconds its clock is ahead of
    Redis'; None of one of an older release, which does not say."""

    agent: str
    instance: str
    build: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    ahead: float | None = None


def worker_checks(
    workers: Sequence[WorkerFacts],
    agents: Iterable[str],
    waiting: Mapping[str, int],
    here: Mapping[str, str],
) -> Iterator[Check]:
    """What there is to say of ``agents``: of those that are loaded here and of those that were seen. ``waiting`` is how many steps wait for
    each, of whom nothing is parked, and ``here`` are the versions of this process."""
    fleets: dict[str, list[WorkerFacts]] = defaultdict(list)
    for worker in workers:
        fleets[worker.agent].append(worker)
    for agent in sorted({*agents, *fleets, *waiting}):
        yield _fleet(agent, fleets.get(agent, []), waiting.get(agent, 0))
    yield from _versions(workers, here)
    yield from _clocks(workers)


def _fleet(agent: str, fleet: Sequence[WorkerFacts], waiting: int) -> Check:
    name = f"agent {printable(agent, 120)}"
    if not fleet and waiting:
        return failed(
            "workers",
            name,
            f"{waiting} steps wait for it, and none of its workers is alive",
            f"coordinator worker {agent}",
        )
    if not fleet:
        return warning(
            "workers",
            name,
            "none of its workers is alive",
            f"coordinator worker {agent}; or take it out of COORDINATOR_AGENTS",
        )
    builds = sorted({worker.build for worker in fleet})
    told = f"{len(fleet)} alive, {waiting} steps wait or run; build {', '.join(printable(build, 80) for build in builds)}"
    if len(builds) > 1:
        return warning(
            "workers",
            name,
            told,
            "where no deployment is under way, replace the older ones: coordinator contracts deployments",
        )
    return ok("workers", name, told)


def _versions(workers: Sequence[WorkerFacts], here: Mapping[str, str]) -> Iterator[Check]:
    silent = sorted({worker.agent for worker in workers if not worker.versions})
    told: dict[str, set[str]] = defaultdict(set)
    for worker in workers:
        for name in _COMPARED:
            found = worker.versions.get(name, "")
            if found and found != here.get(name, ""):
                told[f"{name} {printable(found, 40)} and not {here.get(name, '?')}"].add(worker.agent)
    if told:
        yield warning(
            "workers", "versions",
            "; ".join(f"workers of {', '.join(sorted(agents))} have {what}" for what, agents in sorted(told.items())),
            "install the same release everywhere, with the locked requirements",
        )  # fmt: skip
    elif silent:
        yield warning(
            "workers",
            "versions",
            f"workers of {', '.join(silent)} do not say theirs: they are of an older release",
            "replace them when it suits",
        )
    elif workers:
        yield ok(
            "workers",
            "versions",
            "as here: " + ", ".join(f"{name} {here[name]}" for name in _COMPARED if here.get(name)),
        )


def _clocks(workers: Sequence[WorkerFacts]) -> Iterator[Check]:
    known = [worker for worker in workers if worker.ahead is not None]
    if known:
        worst = max(known, key=lambda worker: abs(worker.ahead or 0.0))
        found = clock_check("workers", "clocks", worst.ahead or 0.0, 1.0)
        told = f"that of {printable(worst.instance, 120)} is {found.told.replace('this host', 'Redis')}, and no other is further off"
        yield Check(found.name, found.area, found.state, told, found.remedy)


def beat_check(schedules: Sequence[Schedule], progress: Sequence[Progress], now: datetime) -> Check | None:
    """Whether a beat is alive, by how far the schedules have come that are declared here; None where there are none."""
    if not schedules:
        return None
    new = [schedule.name for schedule, come in zip(schedules, progress, strict=True) if come.until is None]
    late = [
        schedule.name
        for schedule, come in zip(schedules, progress, strict=True)
        if come.until is not None and schedule.when.after(come.until) < now - _LATE
    ]
    for names, told in (
        (late, "is late: its time has come, and nothing was started"),
        (new, "was never looked at by a beat"),
    ):
        if names:
            return failed(
                "workers",
                "beat",
                f"{', '.join(names)} {told}",
                "start one, two for a spare: coordinator beat",
            )
    return ok("workers", "beat", f"{len(schedules)} schedules are on time")
