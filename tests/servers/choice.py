"""Deciding where the servers come from, and starting them."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from tests.servers import docker, programs
from tests.servers.control import Control
from tests.servers.external import External, given_urls
from tests.servers.model import NAMES, Backend, Name, Servers, ServersUnavailable
from tests.servers.system import System

Report = Callable[[str], None]
_MODES = ("auto", "docker", "system")


@contextlib.contextmanager
def open_servers(report: Report = print) -> Iterator[Servers]:
    """Start RabbitMQ, Redis and PostgreSQL, all at once, and end them when the block is left.

    A server whose TEST_BROKER_URL, TEST_REDIS_URL or TEST_POSTGRES_URL is set is used as it is. For the others
    TEST_SERVERS says: "docker"; "system", the programs of this machine; or "auto", which is Docker where an engine
    runs and has or can pull the images, and the system's programs otherwise.

    Parameters
    ----------
    report
        Gets the lines that tell a person what happens.

    Raises
    ------
    ServersUnavailable
        The servers cannot be had, or do not become ready within 120 s (TEST_SERVERS_TIMEOUT, in seconds). The message
        is one line that says what to do.
    """
    began = time.monotonic()
    with contextlib.ExitStack() as cleanup:
        backends = _backends(report)
        control = Control(backends)
        cleanup.callback(control.close)
        versions = " ".join(f"{name} {version}" for name, version in control.create_all().items())
        kind = "+".join(sorted({backend.kind for backend in backends.values()}))
        report(f"servers: {versions} ({kind}), {time.monotonic() - began:.1f} s")
        yield Servers(
            broker_url=control.url("rabbitmq"),
            redis_url=control.url("redis"),
            postgres_url=control.url("postgres"),
            kind=kind,
            versions=versions,
            control=control,
        )


def _backends(report: Report) -> dict[Name, Backend]:
    urls = given_urls()
    backends: dict[Name, Backend] = dict.fromkeys(urls, External(urls))
    wanted = [name for name in NAMES if name not in urls]
    if wanted:
        backends |= dict.fromkeys(wanted, _own_backend(wanted, report))
    return {name: backends[name] for name in NAMES}


def _own_backend(names: list[Name], report: Report) -> Backend:
    mode = os.environ.get("TEST_SERVERS") or "auto"
    if mode not in _MODES:
        raise ServersUnavailable(f"servers: TEST_SERVERS is {mode!r}; it must be one of {', '.join(_MODES)}")
    obstacle = "TEST_SERVERS is system" if mode == "system" else docker.why_not(names, report)
    if obstacle is None:
        return docker.Docker(names)
    if mode == "docker":
        raise ServersUnavailable(f"servers: {obstacle}: start Docker, or unset TEST_SERVERS")
    programs.ensure(names, report, obstacle)
    return System(names)
