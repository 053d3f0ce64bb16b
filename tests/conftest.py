"""Fixtures for every test, and the order of the suite: cheap tests first, random within each folder.

With ``-n`` (pytest-xdist) several processes run tests of one session side by side, on one set of servers. Tests that take
servers down are marked ``alone`` and cannot be among them: ``-m alone`` runs them in a session of their own.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest

from tests.servers import Control, Servers, ServersUnavailable, Sharing, open_servers

_FOLDERS = ("unit", "eager", "flows", "integration", "hostile", "chaos", "smoke")
_MARKED_FOLDERS = frozenset({"integration", "chaos", "smoke"})
_ALONE_FOLDERS = frozenset({"chaos", "smoke"})
_SERVERS = pytest.StashKey[Servers]()
_SHARING = pytest.StashKey[Sharing]()

# The processes of pytest-xdist have a width of terminal, and a console would keep it: a test gives its own.
os.environ.pop("COLUMNS", None)

# Time is limited once, for all tests, by pytest-timeout.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=10)
# In CI the examples follow from the tests, as with Hypothesis' own profile for it: what turns red is the change. Elsewhere they are
# drawn anew each time, which is where faults are found.
hypothesis.settings.register_profile("fixed", deadline=None, derandomize=True)
hypothesis.settings.load_profile(
    "fixed" if "CI" in os.environ else "suite"
)  # --hypothesis-profile=quick chooses another


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many processes ``-n logical`` starts, one for each core, and ``-n auto``: twice as many, for tests wait. In CI, where
    generated flows are many and the limits of time are those of a quiet machine, it is one for each core too."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    alone = config.option.numprocesses == "logical" or "CI" in os.environ
    return cores if alone else 2 * cores


def _folder(item: pytest.Item) -> str:
    relative = item.path.relative_to(Path(__file__).parent)
    return relative.parts[0]


def _rank(item: pytest.Item) -> int:
    folder = _folder(item)
    return _FOLDERS.index(folder) if folder in _FOLDERS else len(_FOLDERS)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark each test by its folder and by what it does, before ``-m`` chooses."""
    if (folder := _folder(item)) in _MARKED_FOLDERS:
        item.add_marker(folder)
    if folder in _ALONE_FOLDERS or "control" in getattr(item, "fixturenames", ()):
        item.add_marker("alone")


@pytest.hookimpl(trylast=True)  # after the shuffle
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the folders take turns from the cheapest to the dearest."""
    items.sort(key=_rank)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist tells that this process has collected
def pytest_collection_finish(session: pytest.Session) -> None:
    """Say that the servers are needed, where another process of the session starts them."""
    if (sharing := _sharing(session.config)) and _needs_servers(session):
        sharing.need()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Start the servers before the first test, so that their start counts towards no test's time limit."""
    will_run = not (session.config.option.collectonly or session.testsfailed)
    if will_run and not _sharing(session.config) and _needs_servers(session):
        _start_servers(session.config)


def _needs_servers(session: pytest.Session) -> bool:
    return any("servers" in getattr(item, "fixturenames", ()) for item in session.items)


def _sharing(config: pytest.Config) -> Sharing | None:
    """Where this process was started by another, how it gets the servers from that."""
    workerinput: dict[str, str] | None = getattr(config, "workerinput", None)
    return Sharing.given(workerinput) if workerinput else None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each process that is started where the servers will be found."""
    config = node.config
    if _SHARING not in config.stash:
        config.stash[_SHARING] = Sharing.new()
        config.add_cleanup(config.stash[_SHARING].close)
    config.stash[_SHARING].give(node.workerinput)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """Start the servers for all processes, before the first test, as soon as one has collected a test that needs them."""
    node.config.stash[_SHARING].start(lambda: _start_servers(node.config))


def _start_servers(config: pytest.Config) -> Servers:
    """The session's servers, started on the first call and ended with the session, Ctrl-C included."""
    if _SERVERS not in config.stash:
        if sharing := _sharing(config):
            config.stash[_SERVERS] = sharing.attach()
            return config.stash[_SERVERS]
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        cleanup = contextlib.ExitStack()
        try:
            config.stash[_SERVERS] = cleanup.enter_context(open_servers(reporter.write_line))
        except ServersUnavailable as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.TESTS_FAILED)
        config.add_cleanup(cleanup.close)
    return config.stash[_SERVERS]


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Servers:
    """Real RabbitMQ, Redis and PostgreSQL, shared by the whole session: see `tests.servers.open_servers`."""
    return _start_servers(pytestconfig)


@pytest.fixture
def control(pytestconfig: pytest.Config, servers: Servers) -> Iterator[Control]:
    """For tests that take servers down; whatever they leave down is started again."""
    if _sharing(pytestconfig):
        pytest.fail("it takes servers down that tests beside it use: run it without -n")
    yield servers.control
    servers.control.ensure_running()


@pytest.fixture
def namespace() -> str:
    """A short name that no other test has, for the prefixes of queues and keys: lower-case letters and digits."""
    return f"t{secrets.token_hex(4)}"


@pytest.fixture
def postgres_database(servers: Servers, namespace: str) -> Iterator[str]:
    """The URL of a new, empty database, dropped after the test."""
    with psycopg.connect(servers.postgres_url, autocommit=True) as connection:
        connection.execute(f"create database {namespace}".encode())
    yield servers.postgres_url.rpartition("/")[0] + f"/{namespace}"
    with psycopg.connect(servers.postgres_url, autocommit=True) as connection:
        connection.execute(f"drop database if exists {namespace} with (force)".encode())
