"""Deployments: what is recorded as deployed and what is live, and what can-i-deploy says of a new build."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from handoffs.config.settings import Settings
from handoffs.config.user import current_user
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.deployment import Build, Decision, Deployed, Outstanding, judge
from handoffs.contracts.errors import InvalidManifest
from handoffs.contracts.manifest import Manifest, reference
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import UnknownDeployment
from handoffs.coordinator.journal.deployments import DeploymentRow
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.prefix import LEAST, the_one
from handoffs.coordinator.store.announcements import Announcements
from handoffs.coordinator.store.outstanding import Outstanding as Steps
from handoffs.coordinator.store.server import connect

_log = logging.getLogger(__name__)

_AGAIN = 3
_LONGEST_NAME = 200


class Announced(Protocol):
    """What is needed of :class:`~handoffs.coordinator.store.announcements.Announcements`."""

    def live(self) -> list[dict[str, Any]]: ...

    def deploy(self, agent: str, manifests: Sequence[dict[str, Any]]) -> None: ...


class Counted(Protocol):
    """What is needed of :class:`~handoffs.coordinator.store.outstanding.Outstanding`."""

    def counts(self) -> dict[tuple[str, str], int]: ...


@dataclass(frozen=True, slots=True)
class Known:
    """What is deployed, by agent; and what the live workers announce that is no manifest, as (worker, why)."""

    builds: tuple[Deployed, ...]
    unreadable: tuple[tuple[str, str], ...]


class Deployments:
    """Records deployments and decides about new ones.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where journal or store cannot be used.
    """

    def __init__(self, journal: Journal, announced: Announced, counted: Counted) -> None:
        self._journal = journal
        self._announced = announced
        self._counted = counted

    def known(self) -> Known:
        """The builds that are live, recorded, or the previous ones of their agents."""
        live, unreadable = _live(self._announced.live())
        found = {
            _key(row.manifest): _deployed(row) for row in self._journal.deployments.find(withdrawn=False)
        }
        for key, build in live.items():
            since = found[key].since if key in found and found[key].state == "recorded" else ""
            found[key] = replace(build, since=since)
        builds = sorted(
            found.values(), key=lambda build: (build.manifest.agent, build.since, build.manifest.build)
        )
        return Known(tuple(builds), tuple(unreadable))

    def outstanding(self, agent: str) -> list[Outstanding]:
        """What ``agent`` has still to handle, by contract version. Letters that are no envelopes are not in it, and what says that it is
        of something that is no contract neither: what no build can read stops none."""
        counts = {ref: count for (name, ref), count in self._counted.counts().items() if name == agent}
        dead = {ref: count for ref, count in self._journal.letters.count_of(agent).items() if ref}
        return [
            Outstanding(agent, known, max(counts.get(ref, 0), dead.get(ref, 0)), dead.get(ref, 0))
            for ref in sorted(counts.keys() | dead.keys())
            if (known := _contract(agent, ref)) is not None
        ]

    def judge(self, new: Manifest, outstanding: Sequence[Outstanding]) -> Decision:
        """Whether ``new`` may be deployed, with ``outstanding`` (of :meth:`outstanding`) still to be handled.

        Raises :class:`InvalidManifest` where a live worker announces something else than a manifest: what it reads is
        not known.
        """
        known = self.known()
        for worker, why in known.unreadable:
            raise InvalidManifest(
                f"the live worker {printable(worker, 200)} announces no manifest: {why}",
                "what it reads and writes is not known, so nothing was decided",
                "stop that worker",
            )
        return judge(new, known.builds, outstanding)

    def record(self, manifest: Manifest, by: str = "", why: str = "") -> bool:
        """Record that a build is deployed, by whom and why, and tell producers; False where it was recorded already.

        Raises :class:`~handoffs.coordinator.errors.Conflict` where the build is known with another manifest.
        """
        new = self._journal.deployments.record(manifest, _who(by), why)
        self._tell(manifest.agent)
        return new

    def withdraw(self, agent: str, build: str = "", by: str = "", why: str = "") -> str:
        """Record that a build is not deployed any more, and tell producers. ``build`` is its name, or how that begins, from four
        characters on; without it, it is the only one. Gives the build.

        Raises :class:`UnknownDeployment` where it is not recorded, or where there are several, and
        :class:`~handoffs.coordinator.errors.AmbiguousId` where several begin so.
        """
        build = self._named(agent, build) if build else self._only(agent)
        try:
            self._journal.deployments.withdraw(agent, build, _who(by), why)
        finally:
            self._tell(agent)  # also where it was withdrawn before: producers may not have heard of it
        return build

    def remind(self) -> None:
        """Give the store its copies anew: they do not live for ever there."""
        for agent in sorted({row.manifest.agent for row in self._journal.deployments.find(withdrawn=False)}):
            self._tell(agent)

    def _named(self, agent: str, build: str) -> str:
        """The recorded build that is called so, or begins so; ``build`` itself where none does."""
        recorded = [row.manifest.build for row in self._recorded(agent)]
        if len(build) < LEAST or not any(one.startswith(build) for one in recorded):
            return build  # the journal says what is wrong with it

        def beginning_with(prefix: str, limit: int) -> list[str]:
            return sorted(one for one in recorded if one.startswith(prefix))[:limit]

        return the_one("build", build, beginning_with, UnknownDeployment, "coordinator contracts deployments")

    def _only(self, agent: str) -> str:
        builds = [row.manifest.build for row in self._recorded(agent)]
        if len(builds) == 1:
            return builds[0]
        shown = printable(agent, 120)
        if builds:
            raise UnknownDeployment(
                f"{len(builds)} builds of {shown} are recorded as deployed: {', '.join(builds)}",
                "none was withdrawn",
                "say which: --build BUILD",
            )
        raise UnknownDeployment(
            f"no build of {shown!r} is recorded as deployed",
            "nothing was withdrawn",
            "list them: coordinator contracts deployments",
        )

    def _recorded(self, agent: str) -> list[DeploymentRow]:
        return [
            row for row in self._journal.deployments.find(agent, withdrawn=False) if row.state == "recorded"
        ]

    def _tell(self, agent: str) -> None:
        """Give the store its copy, once more where somebody recorded or withdrew at the same time."""
        rows = self._recorded(agent)
        for _ in range(_AGAIN):
            self._announced.deploy(agent, [row.manifest.to_json() for row in rows])
            told, rows = rows, self._recorded(agent)
            if rows == told:
                return


@contextmanager
def open_deployments(settings: Settings) -> Iterator[Deployments]:
    """Deployments on the journal and the Redis of the settings, for a while."""
    journal = Journal.of(settings)
    redis = connect(settings.redis_url or "", settings.server_timeout)
    try:
        yield Deployments(journal, Announcements(redis, settings), Steps(redis, settings))
    finally:
        redis.close()
        journal.close()


def _contract(agent: str, ref: str) -> ContractRef | None:
    """What is outstanding, as a contract version; None, and a line in the log, where it is none."""
    try:
        return reference(ref)
    except InvalidManifest as error:
        _log.warning("what is outstanding for %s does not count: %s", printable(agent, 120), error.cause)
        return None


def _live(said: Iterable[dict[str, Any]]) -> tuple[dict[tuple[Build, str], Deployed], list[tuple[str, str]]]:
    found: dict[tuple[Build, str], Deployed] = {}
    unreadable: list[tuple[str, str]] = []
    for one in said:
        try:
            manifest = Manifest.from_json(one.get("manifest"))
        except InvalidManifest as error:
            unreadable.append((str(one.get("instance", "")), error.cause))
            continue
        key = _key(manifest)
        before = found.get(key, Deployed(manifest, "live"))
        found[key] = replace(before, instances=before.instances + 1)
    return found, unreadable


def _key(manifest: Manifest) -> tuple[Build, str]:
    """A build by name, and apart from it another one that bears the same name."""
    return Build.of(manifest), manifest.digest()


def _deployed(row: DeploymentRow) -> Deployed:
    if row.state == "recorded":
        return Deployed(row.manifest, "recorded", row.recorded_at)
    return Deployed(row.manifest, "previous", row.withdrawn_at)


def _who(by: str) -> str:
    return printable(by or current_user(), _LONGEST_NAME)
