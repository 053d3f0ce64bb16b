"""The doctor on real servers: a healthy installation has nothing failed; what is not in order is found, named, and has a remedy."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from amqp.exceptions import NotFound
from redis import Redis
from sqlalchemy import create_engine

from handoffs.config.settings import Settings
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.observe.doctor.check import Check
from tests import journal_before_migrations as before
from tests.integration import shop
from tests.integration.bench import Bench
from tests.servers import Control, Servers
from tests.waiting import wait_until


def _by_name(checks: tuple[Check, ...]) -> dict[str, Check]:
    return {f"{check.area} {check.name}": check for check in checks}


def _failed(checks: tuple[Check, ...]) -> dict[str, Check]:
    return {name: check for name, check in _by_name(checks).items() if check.state == "failed"}


@pytest.fixture
def client(servers: Servers, namespace: str, tmp_path: Path) -> Iterator[Coordinator]:
    """A client of an installation that nobody works for."""
    settings = Settings(
        broker_url=servers.broker_url,
        redis_url=servers.redis_url,
        journal_url=f"sqlite:///{tmp_path}/journal.sqlite3",
        namespace=namespace,
        agents=("tests.integration.shop",),
    )
    with Coordinator(settings) as coordinator:
        yield coordinator


def test_a_healthy_installation_has_nothing_that_failed(bench: Bench) -> None:
    """Workers, coordinator process, queues, Redis, the journal and its chain are all looked at and in order."""
    bench.completed(bench.start(shop.chain))
    settings = bench.client.settings.model_copy(update={"agents": ("tests.integration.shop",)})
    with Coordinator(settings) as client:
        wait_until(lambda: not _failed(client.examine(20)), description="nothing has failed")
        found = _by_name(client.examine(20))
    states = {name: check.state for name, check in found.items()}
    for name in (
        "rabbitmq version", "rabbitmq connection", "rabbitmq permissions", "rabbitmq publishing", "rabbitmq queues",
        "rabbitmq exchanges", "redis version", "redis clock", "redis permissions", "redis maxmemory-policy", "redis expiry",
        "journal version", "journal tables", "journal clock", "journal chain", "journal drain",
        "workers coordinator process", "workers agent shop.one", "workers versions", "workers clocks", "settings modules",
    ):  # fmt: skip
        assert states[name] == "ok", found[name]
    assert all(check.remedy for check in found.values() if check.state != "ok")
    assert not any(check.remedy for check in found.values() if check.state == "ok")


def test_nothing_stays_that_is_made_for_it(client: Coordinator, servers: Servers) -> None:
    """No queue, no exchange and no key: neither what it tries with, nor what an installation would have."""
    client.examine(20)
    client.examine(20)
    topology = client.engine.topology
    with Redis.from_url(servers.redis_url) as redis:
        wait_until(
            lambda: not list(redis.scan_iter(f"{topology.prefix}*")), description="no key is left", timeout=20
        )
    with client.engine.app.connection_for_read() as connection:
        for queue in (topology.dead_letters, topology.timers, topology.queue("shop.one")):
            with pytest.raises(NotFound):
                connection.channel().queue_declare(queue=queue.name, passive=True)
        with pytest.raises(NotFound):
            connection.channel().exchange_declare(topology.agents.name, "direct", passive=True)


def test_that_nobody_is_at_work_is_found(client: Coordinator) -> None:
    """No coordinator process has failed; an agent that steps wait for has failed, and one that nothing waits for is a warning."""
    client.start(shop.chain, {"order": "o-1", "behaviour": {}})
    found = _by_name(client.examine(20))
    process = found["workers coordinator process"]
    assert (process.state, process.remedy) == ("failed", "start one, two for a spare: coordinator serve")
    waited_for, idle = found["workers agent shop.one"], found["workers agent shop.two"]
    assert (waited_for.state, waited_for.remedy) == ("failed", "coordinator worker shop.one")
    assert "1 steps wait for it" in waited_for.told
    assert idle.state == "warning"


def test_a_queue_with_other_arguments_is_named_with_the_difference(client: Coordinator) -> None:
    """What it has, what this release declares, and how it becomes the same; its messages stay where they are."""
    topology = client.engine.topology
    queue = topology.queue("shop.one")
    declared: Any = queue
    arguments = {**declared.queue_arguments, "x-delivery-limit": 7}
    with client.engine.app.connection_for_write() as connection:
        channel = connection.channel()
        channel.queue_declare(queue=queue.name, durable=True, auto_delete=False, arguments=arguments)
        channel.basic_publish(
            channel.prepare_message("[]", content_type="application/json", content_encoding="utf-8"),
            exchange="",
            routing_key=queue.name,
        )
        found = _failed(client.examine(20))[f"rabbitmq queue {queue.name}"]
        assert found.told == "its x-delivery-limit is 7, and this release and these settings declare 20"
        assert found.remedy.startswith("set back COORDINATOR_DELIVERY_LIMIT, or let it run empty")
        channel = connection.channel()
        wait_until(
            lambda: channel.queue_declare(queue=queue.name, passive=True).message_count,
            description="its message is there",
        )
        channel.queue_delete(queue=queue.name)


@contextmanager
def _evicting(servers: Servers) -> Iterator[None]:
    with Redis.from_url(servers.redis_url) as redis:
        before: Any = redis.config_get("maxmemory-policy")
        redis.config_set("maxmemory-policy", "allkeys-lru")
        try:
            yield
        finally:
            redis.config_set("maxmemory-policy", next(iter(before.values())))


@pytest.mark.alone
def test_a_redis_that_may_evict_is_found(client: Coordinator, servers: Servers) -> None:
    """With the command that mends it; it goes on being looked at otherwise."""
    with _evicting(servers):
        found = _failed(client.examine(20))["redis maxmemory-policy"]
    assert "allkeys-lru" in found.told
    assert found.remedy == "CONFIG SET maxmemory-policy noeviction, and in redis.conf"
    assert _by_name(client.examine(20))["redis maxmemory-policy"].state == "ok"


def test_a_journal_of_an_older_release_is_found(client: Coordinator, tmp_path: Path) -> None:
    """It is not upgraded by looking at it, and the line says who does."""
    engine = create_engine(f"sqlite:///{tmp_path}/old.sqlite3")
    before.metadata.create_all(engine)
    engine.dispose()
    settings = client.settings.model_copy(update={"journal_url": f"sqlite:///{tmp_path}/old.sqlite3"})
    with Coordinator(settings) as other:
        for _ in range(2):
            found = _failed(other.examine(20))["journal database"]
            assert "of an older release" in found.told
            assert found.remedy == "start coordinator serve of this release, it upgrades them"


def test_a_user_who_may_not_is_told_what(client: Coordinator, servers: Servers, namespace: str) -> None:
    """A user of Redis without the keys of the namespace; the server itself is still described."""
    with Redis.from_url(servers.redis_url) as redis:
        redis.acl_setuser(
            namespace, enabled=True, passwords=["+pass"], keys=["nothing*"], categories=["+@all"]
        )
        try:
            host = servers.redis_url.rpartition("@")[2]
            settings = client.settings.model_copy(update={"redis_url": f"redis://{namespace}:pass@{host}"})
            with Coordinator(settings) as other:
                found = _by_name(other.examine(20))
        finally:
            redis.acl_deluser(namespace)
    assert found["redis permissions"].state == "failed"
    assert "strings, hashes, sorted sets, streams" in found["redis permissions"].told
    assert found["redis version"].state == "ok"


class _Management(BaseHTTPRequestHandler):
    """Answers as RabbitMQ's management API does, to one user."""

    login = base64.b64encode(b"ada:it's secret").decode()

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == f"Basic {self.login}"
        found: list[dict[str, Any]] = [{"name": "rabbit@mq1", "running": True, "disk_free_alarm": True}]
        if self.path.startswith("/api/queues/%2F?"):
            found = [{"name": "shop.one", "policy": "p", "effective_policy_definition": {"message-ttl": 1}}]
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def management() -> Iterator[str]:
    """The host and port of a management API."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Management) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_the_management_api_knows_is_told_where_its_url_is_known(
    client: Coordinator, management: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alarms of nodes and policies; with a wrong password it is said, and how it is set."""
    settings = client.settings.model_copy(update={"namespace": ""})
    monkeypatch.setenv("FLOWER_BROKER_API", f"http://ada:it%27s%20secret@{management}/api/")
    with Coordinator(settings) as other:
        found = {check.name: check for check in other._doctor._management(20)}
        assert found["nodes"].state == "failed"
        assert "p (message-ttl) changes shop.one" in found["policies"].told
        for url in (f"http://ada:wrong@{management}/api/", "http://ada:wrong@127.0.0.1:1/api/"):
            monkeypatch.setenv("FLOWER_BROKER_API", url)
            found = {check.name: check for check in other._doctor._management(20)}
            assert {check.state for check in found.values()} == {"unknown"}
            assert all(
                "FLOWER_BROKER_API" in check.remedy and "wrong" not in check.told for check in found.values()
            )


@pytest.mark.parametrize("server", ["rabbitmq", "redis"])
def test_a_server_that_is_stopped_fails_alone_and_in_time(
    client: Coordinator, control: Control, server: Any
) -> None:
    """Its own lines have failed, what only it knows of others is unknown, and the others are looked at as ever."""
    control.stop(server)
    began = time.monotonic()
    checks = client.examine(5)
    assert time.monotonic() - began < 7
    failed = {check.area for check in checks if check.state == "failed"}
    assert server in failed
    assert failed <= {server, "workers"}
    other = {"rabbitmq": "redis", "redis": "rabbitmq"}[server]
    assert _by_name(checks)[f"{other} version"].state == "ok"
    assert _by_name(checks)["journal tables"].state == "ok"


@pytest.mark.parametrize("server", ["rabbitmq", "redis"])
def test_a_server_that_is_silent_is_waited_for_no_longer_than_said(
    client: Coordinator, control: Control, server: Any
) -> None:
    """However often it is asked for; the others are looked at meanwhile."""
    with control.frozen(server):
        for _ in range(2):
            began = time.monotonic()
            found = _by_name(client.examine(2))
            assert time.monotonic() - began < 4
            assert found["journal tables"].state == "ok"
            assert any(check.area == server and check.state == "failed" for check in found.values())


def test_the_command_ends_with_1_where_something_has_failed(
    bench: Bench, servers: Servers, tmp_path: Path
) -> None:
    """And with 0 where nothing has; for programs it is JSON."""
    command = [sys.executable, "-m", "handoffs.coordinator", "doctor", "--within", "20", "--json"]
    environment = {**bench.installation.environment, "COORDINATOR_AGENTS": "tests.integration.shop"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    found = json.loads(done.stdout)
    assert (done.returncode, found["state"] == "failed") == (0, False), done.stdout
    environment["COORDINATOR_NAMESPACE"] = "nobody"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    states = {one["name"]: one["state"] for one in json.loads(done.stdout)["checks"]}
    assert states["coordinator process"] == "failed"
