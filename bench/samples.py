"""Samples: the raw figures of a benchmark, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """What one side did in one round of one case of a measure.

    n
        How many runs, handoffs or messages it was.
    values
        Figures by name.
    cpu
        Seconds of processor time by group of processes.
    """

    measure: str
    case: str
    side: str
    round: int
    n: int
    values: Mapping[str, float]
    cpu: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class About:
    """When and where a measure was taken: machine, versions, load; texts by name."""

    measure: str
    facts: Mapping[str, str]


class NoSamples(Exception):
    """A file is none of samples; the message says which line is not."""


@dataclass
class Record:
    """All that was measured: of each measure the latest."""

    samples: list[Sample] = field(default_factory=list)
    abouts: dict[str, About] = field(default_factory=dict)

    def add(self, line: Sample | About) -> None:
        """Note a line. What is said about a measure begins it anew: earlier samples of it are forgotten."""
        if isinstance(line, About):
            self.abouts[line.measure] = line
            self.samples = [one for one in self.samples if one.measure != line.measure]
        else:
            self.samples.append(line)

    def of(self, measure: str) -> list[Sample]:
        """The samples of a measure, in the order in which they were taken."""
        return [one for one in self.samples if one.measure == measure]

    def lines(self) -> Iterable[str]:
        """Everything as lines of JSON, measure by measure."""
        for name, about in self.abouts.items():
            yield written(about)
            yield from map(written, self.of(name))


def written(line: Sample | About) -> str:
    """A line of JSON."""
    return json.dumps(asdict(line), separators=(",", ":"))


def read(path: Path) -> Record:
    """The record in a file; an empty one where there is no file. Raises :class:`NoSamples`."""
    record = Record()
    if path.exists():
        for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
            try:
                record.add(_line(json.loads(text)))
            except (ValueError, TypeError, KeyError) as error:
                raise NoSamples(f"{path}, line {number}, is no sample: {error}") from None
    return record


def _line(value: Any) -> Sample | About:
    return About(**value) if "facts" in value else Sample(**value)
