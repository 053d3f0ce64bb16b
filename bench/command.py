"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from bench.machine import facts
from bench.measures.all import MEASURES
from bench.measures.measure import Bench, Measure, Size, told
from bench.peers.choice import OPTIONAL, is_installed
from bench.peers.processes import WorkerEnded
from bench.peers.side import NotDone
from bench.report.document import NoMark, updated
from bench.report.picture import draw
from bench.report.tables import section
from bench.samples import About, NoSamples, Record, Sample, read, written
from bench.servers import open_place, say
from bench.work import WrongResult
from handoffs.contracts.errors import CoordinationError
from tests.servers import ServersUnavailable

_DESCRIPTION = """Measure the product beside durable Celery, and beside Dramatiq and Taskiq where they are installed.

The sides take turns, and a ratio is the median of the ratios of neighbours. Results are checked: a wrong one ends the
benchmark. Servers are started for it, in Docker or from the system's programs, unless COORDINATOR_BROKER_URL and
COORDINATOR_REDIS_URL name some. Progress goes to stderr, tables (Markdown) to stdout; a bar that is missed says so.

measures:
"""
_EXAMPLES = """
examples:
  python -m bench --quick                          # all of them, in about five minutes
  python -m bench throughput latency --rounds 9    # two of them, with more rounds
  python -m bench throughput --json > raw.jsonl    # the raw figures, a JSON object a line
  python -m bench --document docs/performance.md   # as `make bench` does: tables into the document, raw figures
                                                   # (.jsonl) and a picture (.png) beside it
  python -m bench --report --document docs/performance.md   # the same again from the raw figures, without measuring
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks. Raises :class:`SystemExit`: 0 whatever the figures are, 1 for an error, 2 for a wrong command."""
    parser = _parser()
    options = parser.parse_args(arguments)
    chosen = _chosen(parser, options.measures)
    optional = _optional(parser, options.sides)
    if options.report and (options.document is None or options.measures or options.json):
        parser.error("--report makes a document again: give it --document FILE, no measures and no --json")
    if options.document is not None and not options.document.is_file():
        parser.error(
            f"there is no {options.document}: --document names a Markdown file with marks for the figures"
        )
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds is a number from 1")
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        record = read(options.document.with_suffix(".jsonl")) if options.document is not None else Record()
        if options.report:
            _write(record, options.document)
        else:
            size: Size = "tiny" if options.tiny else "quick" if options.quick else "full"
            _play(chosen, record, optional, size, options)
    except (
        ServersUnavailable,
        CoordinationError,
        WorkerEnded,
        NotDone,
        WrongResult,
        NoMark,
        NoSamples,
    ) as error:
        _end(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        _end("interrupted: the measure that was at work is not kept")


def _play(
    chosen: Sequence[Measure],
    record: Record,
    optional: Sequence[str],
    size: Size,
    options: argparse.Namespace,
) -> None:
    for name in OPTIONAL:
        if name not in optional:
            say(f"{name}: {'left out' if is_installed(name) else 'not installed, left out'}")
    with open_place() as place, Bench(place, size, optional, options.rounds) as bench:
        for number, measure in enumerate(chosen, 1):
            say(f"{measure.name} ({number} of {len(chosen)})")
            lines: list[Sample | About] = [About(measure.name, facts(place, optional, size))]
            lines += told(measure.play(bench))
            for line in lines:
                record.add(line)
            if options.json:
                print("\n".join(map(written, lines)), flush=True)
            elif options.document is None:
                print(section(measure, record), flush=True)
            if options.document is not None:
                _write(record, options.document)


def _write(record: Record, document: Path) -> None:
    text = updated(document.read_text("utf-8"), record, MEASURES)
    document.write_text(text, "utf-8")
    document.with_suffix(".jsonl").write_text("".join(f"{line}\n" for line in record.lines()), "utf-8")
    draw(record, MEASURES, document.with_suffix(".png"))
    say(f"  written: {document}, and beside it .jsonl and .png")


def _parser() -> argparse.ArgumentParser:
    names = "".join(f"  {one.name:<14} {one.title}\n" for one in MEASURES)
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=_DESCRIPTION + names,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help="what to measure (all)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", action="store_true", help="fewer runs and rounds: to see whether something changed much"
    )
    size.add_argument(
        "--tiny", action="store_true", help="a handful of runs: whether it works, no figures worth keeping"
    )
    parser.add_argument("--rounds", type=int, help="rounds of each side (as each measure has it)")
    parser.add_argument(
        "--sides",
        metavar="SIDES",
        help="which of dramatiq,taskiq to measure as well; 'none' for neither (those that are installed)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print raw figures, one JSON object a line, and no tables"
    )
    parser.add_argument("--document", type=Path, metavar="FILE", help="put tables into this Markdown file")
    parser.add_argument(
        "--report", action="store_true", help="measure nothing: make the document from its raw figures"
    )
    return parser


def _chosen(parser: argparse.ArgumentParser, names: Sequence[str]) -> Sequence[Measure]:
    known = {one.name: one for one in MEASURES}
    for name in names:
        if name not in known:
            parser.error(f"there is no measure called {name!r}; there are: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)] if names else MEASURES


def _optional(parser: argparse.ArgumentParser, given: str | None) -> Sequence[str]:
    if given is None:
        return [name for name in OPTIONAL if is_installed(name)]
    names = [] if given == "none" else [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        if name not in OPTIONAL:
            parser.error(
                f"there is no optional side called {name!r}; there are: {', '.join(OPTIONAL)}, or none"
            )
        if not is_installed(name):
            parser.error(
                f"{name} is not installed: pip install --require-hashes --no-deps -r requirements/bench.txt"
            )
    return names


def _interrupted(*_: object) -> NoReturn:
    """Asked to end, it ends as by Ctrl-C: workers and servers end with it."""
    raise KeyboardInterrupt


def _end(line: str) -> NoReturn:
    print(f"bench: {line}", file=sys.stderr)
    raise SystemExit(1)
