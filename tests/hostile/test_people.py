"""What people give is refused in a few lines, whatever it is: a short form of `make test-hostile`, without servers."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest

from tests.hostile.people import PEOPLE, try_people

_SEED, _CASES, _SECONDS = 14, 40, 300


@pytest.mark.parametrize("name", PEOPLE)
def test_what_people_give(name: str) -> None:
    """Settings, command lines and published files of every kind: a status that is not 0 for what must be refused, a few lines that a
    terminal shows as they are, no traceback, nothing that was given as a secret, within seconds."""
    told: list[str] = []
    assert not try_people(_SEED, _CASES, time.monotonic() + _SECONDS, told.append, (name,))
    assert told[0].split()[1] == str(_CASES)


@pytest.mark.parametrize("name", PEOPLE)
def test_the_same_seed_gives_the_same(name: str, tmp_path: Path) -> None:
    """What was found can be tried again by its seed."""
    found = []
    for round_ in ("first", "again"):
        random = Random(_SEED)
        tried = []
        for number in range(10):
            folder = tmp_path / round_ / str(number)
            folder.mkdir(parents=True)
            one = PEOPLE[name](random, folder)
            tried.append((one.name, [part.replace(str(folder), "") for part in one.arguments]))
        found.append(tried)
    assert found[0] == found[1]
