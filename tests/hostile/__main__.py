"""`make test-hostile`: hostile input for as many minutes as are given, on real servers."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.hostile.campaign import Campaign
from tests.hostile.case import Generator
from tests.hostile.generators import GENERATORS
from tests.hostile.installation import open_site
from tests.hostile.people import PEOPLE, try_people
from tests.servers import open_servers


def main() -> int:
    """Try cases until the time is up; gives the status to end with."""
    options = argparse.ArgumentParser(prog="make test-hostile", description=__doc__)
    options.add_argument("--minutes", type=float, default=5.0, help="for how long")
    options.add_argument("--cases", type=int, default=sys.maxsize, help="the most cases")
    options.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="the same cases as before"
    )
    options.add_argument(
        "--only", choices=sorted([*GENERATORS, *PEOPLE]), action="append", help="these generators"
    )
    given = options.parse_args()
    _tell(f"seed {given.seed}")
    until = time.monotonic() + given.minutes * 60
    people = tuple(name for name in given.only or PEOPLE if name in PEOPLE)
    chosen = {name: GENERATORS[name] for name in given.only or GENERATORS if name in GENERATORS}
    problems = (
        try_people(given.seed, given.cases, _for_people(until, chosen), _tell, people) if people else []
    )
    if chosen and not problems:
        problems = _on_servers(chosen, given, until)
    for problem in problems:
        _tell(f"WRONG: {problem}")
    _tell(f"{'failed' if problems else 'passed'} (SEED={given.seed})")
    return 1 if problems else 0


def _for_people(until: float, others: Mapping[str, Generator]) -> float:
    """Until when what needs no server is tried: a tenth of the time where there is more to try."""
    now = time.monotonic()
    return now + (until - now) / (10 if others else 1)


def _on_servers(chosen: dict[str, Generator], given: argparse.Namespace, until: float) -> list[str]:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_servers(_tell) as servers,
        open_site(servers, Path(folder)) as site,
    ):
        campaign = Campaign(site, given.seed, chosen)
        problems = campaign.run(given.cases, until, _tell)
        for line in campaign.lines():
            _tell(line)
    return problems


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
