"""Campaign: many cases, generator by generator, and a table of what came of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from tests.hostile.case import Case, Generator
from tests.hostile.generators import GENERATORS
from tests.hostile.installation import Site
from tests.hostile.oracle import Oracle

Tell = Callable[[str], None]
_BATCH = 250


@dataclass
class Row:
    """What came of the cases of a generator: how many there were, and in how many ``seconds``."""

    cases: int = 0
    refused: int = 0
    letters: int = 0
    done: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)

    def line(self, name: str) -> str:
        """As a line of the table."""
        each = 1000 * self.seconds / max(self.cases, 1)
        return f"{name:<16}{self.cases:>9}{self.refused:>9}{self.letters:>9}{self.done:>9}{each:>9.1f}"


HEADING = f"{'generator':<16}{'cases':>9}{'refused':>9}{'letters':>9}{'others':>9}{'ms each':>9}"


@dataclass
class Campaign:
    """Tries cases of ``seed`` on a site, and asks the oracle; ``table`` by generator."""

    site: Site
    seed: int
    generators: dict[str, Generator] = field(default_factory=lambda: dict(GENERATORS))
    table: dict[str, Row] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.oracle = Oracle(self.site)
        self._randoms = {name: Random(f"{self.seed} {name}") for name in self.generators}

    def run(self, most: int, until: float, tell: Tell, batch: int = _BATCH) -> list[str]:
        """Try up to ``most`` cases, until a time of :func:`time.monotonic`; gives what is wrong, a line each."""
        while len(self.cases) < most and time.monotonic() < until:
            for name in self.generators:
                self._try(name, min(batch, max(most - len(self.cases), 1)))
                if self.oracle.problems:
                    return self.oracle.problems
            tell(f"{len(self.cases)} cases; {self.site.memory()} MiB")
        self.oracle.finish(self.cases)
        return self.oracle.problems

    def lines(self) -> Iterable[str]:
        """The table."""
        return [HEADING, *(row.line(name) for name, row in self.table.items())]

    def _try(self, name: str, number: int) -> None:
        generate, random = self.generators[name], self._randoms[name]
        cases = [generate(random) for _ in range(number)]
        began = time.monotonic()
        refused = {case.token for case in self.site.perform(cases)}
        taken = [case for case in cases if case.token not in refused]
        self.oracle.settle(taken)
        row = self.table.setdefault(name, Row())
        letters = sum(case.token in self.oracle.letters for case in taken)
        row.cases += number
        row.refused += len(refused)
        row.letters += letters
        row.done += len(taken) - letters
        row.seconds += time.monotonic() - began
        row.kinds.update(case.name for case in taken)
        self.cases += taken
