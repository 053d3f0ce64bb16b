"""Whether workers listen to remote control is a setting."""

from pathlib import Path

from amqp.exceptions import ResourceLocked

from tests.integration import shop
from tests.integration.bench import Bench
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import Worker, depth, open_installation

_AGENTS = ("shop.one", "shop.left", "shop.right")


def test_a_worker_without_remote_control(servers: Servers, tmp_path: Path) -> None:
    """It works, tells what it does, and has no queue for commands; another, which takes them, gets no answer of it."""
    with open_installation(servers, tmp_path) as installation, installation.client() as client:
        deaf = installation.worker(*_AGENTS, concurrency=1, REMOTE_CONTROL="false")
        bench = Bench(installation, deaf, client)
        bench.completed(bench.start(shop.trailing))
        assert not _listens(bench, deaf)
        listening = installation.worker(*_AGENTS, concurrency=1)
        wait_until(lambda: _listens(bench, listening), description="the other listens for commands")
        answers = client.engine.app.control.ping(timeout=2)
        assert [name for answer in answers for name in answer] == [listening.node]
        assert not _listens(bench, deaf)


def _listens(bench: Bench, worker: Worker) -> bool:
    """Whether it has its queue for commands: that one is its own, and the broker says so to others."""
    queue = f"{worker.node}.{bench.installation.namespace}.celery.pidbox"
    with bench.client.engine.app.connection_for_read() as connection:
        try:
            depth(connection, queue)
        except ResourceLocked:
            return True
    return False
