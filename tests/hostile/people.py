"""People: what they give to the command line, the environment and the folder of published contracts, tried in this process, one after the
other."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.hostile.generators import command_lines, published_files, settings
from tests.hostile.trial import Prepared, answer

PEOPLE: dict[str, Prepared] = {
    "settings": settings.generate,
    "command-lines": command_lines.generate,
    "published-files": published_files.generate,
}
"""By name. Each writes what it needs into a folder."""
_MOST_PROBLEMS = 20


def try_people(
    seed: int, most: int, until: float, tell: Callable[[str], None], only: tuple[str, ...] = ()
) -> list[str]:
    """Try up to ``most`` of each generator, until a time of :func:`time.monotonic`; gives what is wrong, a line each."""
    problems: list[str] = []
    for name in only or PEOPLE:
        random, began, statuses = Random(f"{seed} {name}"), time.monotonic(), Counter[int]()
        slowest, ends = (
            0.0,
            began + (until - began) / (len(only or PEOPLE) - list(only or PEOPLE).index(name)),
        )
        while statuses.total() < most and time.monotonic() < ends and len(problems) < _MOST_PROBLEMS:
            with tempfile.TemporaryDirectory() as folder:
                tried = PEOPLE[name](random, Path(folder))
                found = answer(tried, Path(folder))
            statuses[found.status] += 1
            slowest = max(slowest, found.seconds)
            number = statuses.total()
            problems += [
                f"{tried.name} ({name} {number}): {problem}: {found.status} {tried!r:.600} -> {found.err!r:.400}"
                for problem in found.problems(tried)
            ]
        each = 1000 * (time.monotonic() - began) / max(statuses.total(), 1)
        ended = ", ".join(f"{count} with {status}" for status, count in sorted(statuses.items()))
        tell(
            f"{name:<16}{statuses.total():>9} tried{each:>9.1f} ms each, {slowest:.1f} s at most; ended: {ended}"
        )
    return problems
