"""One installation of the shop for each module: starting a prefork worker takes seconds."""

from collections.abc import Iterator

import pytest

from tests.integration.bench import Bench, open_bench
from tests.servers import Servers


@pytest.fixture(scope="module")
def bench(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The shop with one prefork worker of all its agents, a coordinator process and a client."""
    with open_bench(servers, tmp_path_factory.mktemp("shop"), LEASE="2s", CRASH_LIMIT="2") as opened:
        yield opened
