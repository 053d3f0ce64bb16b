"""The public names: what is promised is there, and costs no more than it must."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

PACKAGES = ("handoffs", "handoffs.contracts", "handoffs.coordinator")

SERVERS = {"amqp", "celery", "fakeredis", "flower", "kombu", "lupa", "psycopg", "redis", "sqlalchemy"}
"""Clients of servers and what stands in for servers."""
COMMAND_LINE = {"click", "rich"}
HEAVY = {"cryptography", "jsonschema", "pydantic", "pydantic_settings"}
NEVER = SERVERS | COMMAND_LINE | HEAVY


def loaded_by(statement: str) -> set[str]:
    """The top-level modules of other people that a new process has loaded after ``statement``."""
    program = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(ended.stdout.split())


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_loads_nothing_before_a_name_is_asked_for(package: str) -> None:
    """`import handoffs` costs a dictionary of names."""
    assert not loaded_by(f"import {package}") & NEVER


@pytest.mark.parametrize(
    "names",
    [
        "Contract, Key",
        "Contract, Flow, Key, agent",
        "Agent, Context, Permanent, Transient, agent",
        "Retry, budget, cached, choice, compensate, each, emit, field, parallel, repeat, wait_for, when",
        "Event, gather, on",
        "Schedule, schedule",
    ],
)
def test_what_a_team_declares_loads_no_client_of_a_server(names: str) -> None:
    """A module of agents and flows loads neither a broker's nor a database's client, nor a worker, nor the command line."""
    assert not loaded_by(f"from handoffs import {names}") & (SERVERS | COMMAND_LINE)


@pytest.mark.parametrize(
    "statement", ["from handoffs import Coordinator, Run", "import handoffs.coordinator.cli"]
)
def test_a_client_of_servers_loads_no_server_of_its_own(statement: str) -> None:
    """The Redis that embedded mode keeps in memory is loaded where there is embedded mode."""
    assert not loaded_by(statement) & {"fakeredis", "lupa"}


def test_the_pytest_plugin_loads_nothing_before_a_fixture_is_asked_for() -> None:
    """It is loaded in every suite of the environment, also where nobody uses it: it costs one small module there."""
    bare = loaded_by("import pytest")
    found = loaded_by("import handoffs.coordinator.testing")
    assert not found & NEVER
    assert found - bare == {"handoffs"}


@pytest.mark.parametrize("name", PACKAGES)
def test_each_public_name_is_listed_alike_in_the_three_places(name: str) -> None:
    """`__all__`, the table of where each name lives, and the imports that type checkers read say the same."""
    package = import_module(name)
    where = vars(package)["_WHERE"]
    assert sorted(package.__all__) == package.__all__
    assert set(where) == set(package.__all__)
    assert _typed_names(package) == where


@pytest.mark.parametrize("name", PACKAGES)
def test_each_public_name_can_be_had(name: str) -> None:
    """Each is found where the table says, and is listed by `dir()`."""
    package = import_module(name)
    for public in package.__all__:
        assert getattr(package, public) is getattr(import_module(vars(package)["_WHERE"][public]), public)
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("name", PACKAGES)
def test_another_name_is_an_attribute_error(name: str) -> None:
    """As with any module, so that `hasattr` and `from ... import` work."""
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        _ = import_module(name).nothing


def test_a_name_of_two_packages_is_one() -> None:
    """What `handoffs.coordinator` and `handoffs.contracts` offer is what `handoffs` offers under that name."""
    whole, *parts = (vars(import_module(name))["_WHERE"] for name in PACKAGES)
    for part in parts:
        assert part.items() <= whole.items()


def _typed_names(package: ModuleType) -> dict[str, str]:
    """What is imported below ``if TYPE_CHECKING:``, by name."""
    tree = ast.parse(Path(inspect.getfile(package)).read_text("utf-8"))
    [guarded] = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    return {
        alias.asname or alias.name: str(node.module)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
