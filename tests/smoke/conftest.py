"""What the smoke tests need: an engine, our image, and the compose stack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.docker import why_not
from tests.smoke.stack import Stack, open_stack, run
from tests.stack import ROOT

IMAGE = "handoff-coordinator:local"
_LONG = 600  # seconds: the first test of a module builds or starts


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder the time that containers take."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(_LONG))


@pytest.fixture(scope="session")
def image() -> str:
    """The tag of our image, built from this checkout. Skips where there is no Docker engine."""
    obstacle = why_not(("rabbitmq", "redis", "postgres"), lambda _: None)
    if obstacle is not None:
        pytest.skip(f"{obstacle}: the smoke tests need an engine")
    run(["docker", "build", "--quiet", "--tag", IMAGE, str(ROOT)])
    return IMAGE


@pytest.fixture(scope="module")
def started_stack(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack as `make up` starts it, one for a module."""
    with open_stack(tmp_path_factory.mktemp("stack")) as stack:
        stack.make_up()
        yield stack


@pytest.fixture
def stack(started_stack: Stack) -> Iterator[Stack]:
    """The stack, healthy before and after the test."""
    started_stack.wait_healthy()
    yield started_stack
    started_stack.wait_healthy()
