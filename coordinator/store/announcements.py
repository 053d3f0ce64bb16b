"""Announcements: who is alive and what it reads, writes and hears; and which builds are deployed. Producers go by it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import Refused, ServerError
from handoffs.coordinator.store import clock, scripts
from handoffs.coordinator.store.asking import Call, Command
from handoffs.coordinator.store.keys import Keys

_log = logging.getLogger(__name__)

Manifest = dict[str, Any]
"""What a build of an agent reads and writes, as JSON values. See contracts/manifest.py."""

_ANNOUNCED = ("agent", "build", "queue", "accepts", "emits", "subscribes")
"""What producers need of a manifest, again and again; the rest of it is kept beside."""

_REMEMBERED = 86_400_000  # milliseconds


class Announcements:
    """The announcements of one installation. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be used."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keys = Keys(settings.prefix, settings.shards)
        self._run_ttl = clock.ms(settings.run_ttl)

    def announce(
        self,
        manifest: Manifest,
        instance: str,
        ttl: timedelta,
        versions: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Say that a worker is alive and what it reads and writes, for ``ttl``; none ends that. It is remembered for a
        day. ``versions`` are those of the packages that it runs on; how far its host's clock is ahead of Redis' is said as well."""
        agent = str(manifest["agent"])
        now = scripts.time(self._redis, self._keys.announced())
        light = {name: manifest[name] for name in _ANNOUNCED if name in manifest}
        said = {"until": now + clock.ms(ttl), "ahead": clock.now() - now, "versions": dict(versions)}
        announced, until = json.dumps({"instance": instance, "manifest": light, **said}), now + clock.ms(ttl)
        whole = self._keys.build(agent, str(manifest.get("build", "")))
        with scripts.redis_errors():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.set(whole, json.dumps(manifest), px=_REMEMBERED)
            pipeline.hset(self._keys.consumers(agent), instance, announced)
            pipeline.pexpire(self._keys.consumers(agent), _REMEMBERED)
            pipeline.zadd(self._keys.announced(), {agent: until}, gt=True)  # one that goes hides no other
            pipeline.pexpire(self._keys.announced(), _REMEMBERED)
            pipeline.execute()

    def in_hand(self, runs: Iterable[str]) -> None:
        """Say that a worker has messages of these runs in hand: they do not stand still."""
        calls = [Call("alive", {"run": self._keys.run(run)}, {"ttl": self._run_ttl}) for run in runs]
        if calls:
            scripts.run(self._redis, *calls)

    def of(self, agent: str) -> list[dict[str, Any]]:
        """The workers of an agent that were alive in the last day, as ``{"instance", "until" (ms), "manifest", "live"}``, and, where they
        say it, the ``versions`` that they run on and by how much (ms) their clocks are ``ahead`` of Redis'.

        The manifest has no schemas; :meth:`live` gives it whole.
        """
        key = self._keys.consumers(agent)
        try:
            time, found = scripts.run(self._redis, clock.asked(key), Command("HGETALL", key))
        except Refused as error:
            _log.warning("who works for %s cannot be read: %s", printable(agent, 120), error)
            return []
        now = int(time)
        workers = {instance: _announced(instance, text) for instance, text in found.items()}
        gone = [instance for instance, one in workers.items() if one["until"] < now - _REMEMBERED]
        if gone:
            with scripts.redis_errors():
                self._redis.hdel(key, *gone)
        return [
            {**one, "live": one["until"] > now} for instance, one in workers.items() if instance not in gone
        ]

    def live(self) -> list[dict[str, Any]]:
        """The workers of all agents that are alive, as :meth:`of` gives them, with their whole manifests."""
        found = []
        now = scripts.time(self._redis, self._keys.announced())
        with scripts.redis_errors():
            agents: Any = self._redis.zrangebyscore(self._keys.announced(), now, "+inf")
            for one in (one for agent in agents for one in self.of(agent) if one["live"]):
                light = one["manifest"]
                whole = self._text(self._keys.build(str(light.get("agent")), str(light.get("build", ""))))
                found.append({**one, "manifest": (_parsed(whole) if whole else None) or light})
        return found

    def everybody(self) -> dict[str, list[dict[str, Any]]]:
        """The workers of all agents that were seen in the last day or are recorded as deployed, as :meth:`of` gives them: two round trips.
        Of an agent of which something else is kept there are none."""
        key = self._keys.announced()
        time, agents = scripts.run(self._redis, clock.asked(key), Command("ZRANGE", key, 0, -1))
        asked = [[Command("HGETALL", self._keys.consumers(str(agent)))] for agent in agents]
        found: dict[str, list[dict[str, Any]]] = {}
        for agent, answer in zip(agents, scripts.run_together(self._redis, asked), strict=True):
            if isinstance(answer, ServerError) and not isinstance(answer, Refused):
                raise answer
            workers = (
                [] if isinstance(answer, ServerError) else [_announced(*one) for one in answer[0].items()]
            )
            found[str(agent)] = [{**one, "live": one["until"] > int(time)} for one in workers]
        return found

    def agents(self) -> list[str]:
        """The agents that were seen in the last day or are recorded as deployed."""
        with scripts.redis_errors():
            found: Any = self._redis.zrange(self._keys.announced(), 0, -1)
        return [str(agent) for agent in found]

    def consumers(self, agent: str) -> list[Manifest]:
        """Who reads what is sent to an agent: the workers alive; else the builds deployed; else the workers seen last."""
        seen = self.of(agent)
        alive = [one["manifest"] for one in seen if one["live"]]
        return alive or self.deployed(agent) or [one["manifest"] for one in seen]

    def subscriptions(self) -> dict[str, tuple[str, ...]]:
        """The names and patterns of events that each agent hears, as far as it was seen in the last day or is recorded as
        deployed: two round trips."""
        with scripts.redis_errors():
            agents: Any = self._redis.zrange(self._keys.announced(), 0, -1)
            pipeline = self._redis.pipeline(transaction=False)
            for agent in agents:
                pipeline.hvals(self._keys.consumers(agent))
                pipeline.get(self._keys.deployed(agent))
            replies: list[Any] = pipeline.execute(raise_on_error=False)
        found = {}
        for agent, announced, deployed in zip(
            agents, map(_sound, replies[::2]), map(_sound, replies[1::2]), strict=True
        ):
            builds = [_announced("", text)["manifest"] for text in announced or ()]
            listed = _parsed(deployed) if deployed else None
            builds += (
                [build for build in listed if isinstance(build, dict)] if isinstance(listed, list) else []
            )
            patterns = dict.fromkeys(text for build in builds for text in _texts(build.get("subscribes")))
            if patterns:
                found[str(agent)] = tuple(patterns)
        return found

    def deploy(self, agent: str, manifests: Sequence[Manifest]) -> None:
        """Tell producers which builds of an agent are deployed: those that come back when none is alive."""
        with scripts.redis_errors():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.set(self._keys.deployed(agent), json.dumps(list(manifests)), px=self._run_ttl)
            pipeline.zadd(
                self._keys.announced(), {agent: 0}, nx=True
            )  # so that it is found though it never lived
            pipeline.pexpire(self._keys.announced(), _REMEMBERED)
            pipeline.execute()

    def deployed(self, agent: str) -> list[Manifest]:
        """The builds of an agent that are recorded as deployed."""
        text = self._text(self._keys.deployed(agent))
        builds = _parsed(text) if text else None
        return [build for build in builds if isinstance(build, dict)] if isinstance(builds, list) else []

    def _text(self, key: str) -> str | None:
        """What is kept under a key; None where that is nothing, or something else."""
        try:
            with scripts.redis_errors():
                found: Any = self._redis.get(key)
        except Refused as error:
            _log.warning("%s cannot be read: %s", printable(key, 200), error)
            return None
        return found  # type: ignore[no-any-return]

    def close(self) -> None:
        """Give the connection back."""
        self._redis.close()


def _sound(reply: Any) -> Any:
    """What a command has given; None where the key has something else."""
    if not isinstance(reply, Exception):
        return reply
    error = scripts.redis_error(reply)
    if not isinstance(error, Refused):
        raise error from reply
    return None


def _announced(instance: str, text: str) -> dict[str, Any]:
    """What a worker has announced. One that does not say until when it lives is gone; one without a manifest has an empty one."""
    parsed = _parsed(text)
    announced = parsed if isinstance(parsed, dict) else {}
    until, manifest = announced.get("until"), announced.get("manifest")
    if type(until) is not int:
        _log.warning("what the worker %s announces cannot be read: it is forgotten", printable(instance, 120))
        until = 0
    versions, ahead = announced.get("versions"), announced.get("ahead")
    return {
        "instance": instance,
        "until": until,
        "manifest": manifest if isinstance(manifest, dict) else {},
        "versions": {name: str(one) for name, one in versions.items()} if isinstance(versions, dict) else {},
        "ahead": ahead if type(ahead) is int else None,
    }


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _parsed(text: str) -> Any:
    """A JSON text that another process has put there; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
