"""The short form: some cases of each generator on one installation, the same in every run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random

import pytest

from tests.hostile.campaign import Campaign
from tests.hostile.generators import GENERATORS
from tests.hostile.installation import Site, details, open_site
from tests.servers import Servers

_SEED = 14
_CASES = 60  # of each generator


@pytest.fixture(scope="module")
def site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(servers, tmp_path_factory.mktemp("hostile")) as opened:
        yield opened


@pytest.mark.parametrize("name", GENERATORS)
def test_the_same_seed_makes_the_same_cases(name: str) -> None:
    """A finding can be tried again by its seed."""
    generate = GENERATORS[name]
    first, again = ([generate(random) for _ in range(50)] for random in (Random(_SEED), Random(_SEED)))
    assert [(case.name, case.token, case.what) for case in first] == [
        (case.name, case.token, case.what) for case in again
    ]


@pytest.mark.timeout(240)  # it waits for processes to start, and for good runs afterwards
def test_nothing_ends_anything(site: Site) -> None:
    """Whatever is published: every process lives, each case has an outcome or a letter of its own, memory is bounded, good runs
    complete and their events are heard, and nothing was printed raw."""
    campaign = Campaign(site, _SEED)
    said: list[str] = []
    problems = campaign.run(_CASES * len(GENERATORS), time.monotonic() + 60, said.append, batch=_CASES)
    assert not problems, "\n".join([*problems, *campaign.lines(), details(site)])
