"""Ten thousand titles at once on real servers, counted to the last rendition, while one fleet is gone for a while.

The servers are started for it. The fleets are processes of their own, with the threads pool: ten threads transcode, one
encrypts. The work is scaled down: renditions are a few hundred octets, and what is on the shelf is removed. Two queues have
a bound, so that back-pressure is seen. It prints what was made, lost and doubled, rates, and who grew how much, and draws a
picture.

    python -m bench.media_load [--titles 1000] [--outage drm] [--picture media-load.png] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.media_picture import draw
from bench.media_samples import Sampler, growth
from handoffs.config.settings import Settings
from handoffs.contracts import CoordinationError
from handoffs.coordinator.render.console import table
from handoffs.tasks.live import shown
from handoffs.tasks.media.counts import FileCounts
from handoffs.tasks.media.demo import light
from handoffs.tasks.media.fleets import FLEETS, fleet
from handoffs.tasks.media.load import Load
from handoffs.tasks.media.loadview import load_line, load_table
from handoffs.tasks.media.objects import packages_of, renditions_of
from handoffs.tasks.media.stage import ServerStage, open_server_stage
from handoffs.tasks.media.systems import Systems, systems
from handoffs.tasks.media.uploads import CLIP_SECONDS, invented
from tests.servers import open_servers

_MEMORY_FOLDER = Path("/dev/shm")
_ROOM = 2 * 2**30
_BEGINS_AT = 0.4  # of the titles


def main() -> None:
    """Run the benchmark, print the figures and draw the picture. Raises :class:`SystemExit` where a title was lost."""
    options = _options()
    with open_servers(lambda line: print(line, file=sys.stderr)) as servers, _folder() as folder:
        settings = Settings(
            broker_url=servers.broker_url,
            redis_url=servers.redis_url,
            journal_url=servers.postgres_url,
            agents=("handoffs.tasks.media",),
            queue_limits=_bounds(options),
            task_events=False,  # Flower does not run, and they cost a fifth of a worker's time
        )
        settings = settings.model_copy(update={"media": light(settings.media, folder)})
        at = systems(settings)
        with open_server_stage(settings) as stage:
            load = Load(
                stage,
                FileCounts(at),
                invented(at, CLIP_SECONDS),
                options.titles,
                on_shelf=lambda done: _remove(at, done),
            )
            outage = _Outage(load, stage, options)
            with Sampler(load, servers) as sampler, outage, load_line(load) as line, shown(line):
                load.play()
            figures = {
                **load.figures(),
                "where": servers.versions,
                "bounds": settings.queue_limits,
                "outage": outage.when
                and {"from": outage.when[0], "to": outage.when[1], "fleet": outage.when[2]},
                "most_waiting": _most(sampler, "waiting"),
                "most_history": max((one.history for one in sampler.samples), default=0),
                "redis_data_mb": max((one.redis_data for one in sampler.samples), default=0.0),
                "memory": growth(sampler.samples),
                "processor_seconds": sampler.processor_seconds(),
            }
    title = (
        f"{figures['titles']} titles, {figures['renditions']} renditions, {figures['lost']} lost,"
        f" {figures['doubled']} doubled; {figures['renditions_per_second']:.0f} renditions a second"
    )
    if sampler.samples:
        draw(sampler.samples, outage.when, title, options.picture)
    if options.json:
        print(json.dumps({**figures, "samples": sampler.values()}, indent=2))
    else:
        _print(figures, options)
    if figures["lost"] or figures["doubled"]:
        raise SystemExit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--titles", type=int, default=1000, help="titles, all emitted at once (1000)")
    names = [one.name for one in FLEETS]
    parser.add_argument(
        "--outage", choices=[*names, "none"], default="drm", help="the fleet that is gone (drm)"
    )
    parser.add_argument(
        "--outage-seconds", type=float, help="for how long (a hundredth of the titles, 10 to 120)"
    )
    parser.add_argument(
        "--transcode-bound",
        type=int,
        help="messages that may wait to be transcoded (two fifths of the titles)",
    )
    parser.add_argument(
        "--drm-bound", type=int, help="titles that may wait to be encrypted (a fiftieth of them)"
    )
    parser.add_argument("--picture", type=Path, default=Path("media-load.png"), help="where it is drawn")
    parser.add_argument("--json", action="store_true", help="print JSON, with all samples")
    return parser.parse_args()


def _bounds(options: argparse.Namespace) -> dict[str, int]:
    return {
        "media.transcode": options.transcode_bound or max(400, options.titles * 2 // 5),
        "media.drm": options.drm_bound or max(20, options.titles // 50),
    }


class _Outage:
    """One fleet is scaled down to zero when two fifths of the titles are on the shelf, and back a while later."""

    def __init__(self, load: Load, stage: ServerStage, options: argparse.Namespace) -> None:
        self.when: tuple[float, float, str] | None = None
        self._load = load
        self._stage = stage
        self._name = options.outage
        self._seconds = options.outage_seconds or min(max(options.titles / 100, 10.0), 120.0)
        self._begins_at = options.titles * _BEGINS_AT
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outage", daemon=True)

    def __enter__(self) -> None:
        if self._name != "none":
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._name != "none":
            self._thread.join()

    def _run(self) -> None:
        while self._load.progress.shelved < self._begins_at:
            if self._over.wait(0.2):
                return
        gone, began = fleet(self._name), self._load.progress.seconds
        self._stage.stop(gone)
        self._over.wait(self._seconds)
        self._stage.start(gone)
        self.when = (round(began, 1), round(self._load.progress.seconds, 1), self._name)


def _most(sampler: Sampler, of: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for sample in sampler.samples:
        for name, value in getattr(sample, of).items():
            found[name] = max(found.get(name, 0), value)
    return found


def _remove(at: Systems, titles: list[str]) -> None:
    """What is on the shelf has been counted; its files would fill the disk. Made again, it would count as doubled."""
    for title in titles:
        with suppress(CoordinationError):  # then it fills the disk a little
            at.store.remove(renditions_of(title))
            at.store.remove(packages_of(title))
            at.cdn.purge(title)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder in memory where there is room, else a temporary one."""
    within = None
    if _MEMORY_FOLDER.is_dir() and os.access(_MEMORY_FOLDER, os.W_OK):
        within = _MEMORY_FOLDER if shutil.disk_usage(_MEMORY_FOLDER).free > _ROOM else None
    made = Path(tempfile.mkdtemp(prefix="coordinator-media-", dir=within))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _print(figures: dict[str, Any], options: argparse.Namespace) -> None:
    console = Console(width=100, highlight=False)
    console.print(figures["where"])
    console.print(load_table(figures))
    rows = [
        (
            name,
            *(f"{found[column]:.1f}" for column in ("quarter_mb", "end_mb", "peak_mb", "per_1000_titles_mb")),
        )
        for name, found in figures["memory"].items()
    ]
    columns = ("process", "after a quarter", "at the end", "peak", "a thousand titles add")
    console.print(table("memory, MB resident", columns, rows))
    waiting = ", ".join(
        f"{name.removeprefix('media.')} {most}" for name, most in figures["most_waiting"].items()
    )
    console.print(f"most that waited: {waiting}; history not in the journal yet: {figures['most_history']}")
    used = sum(figures["processor_seconds"].values())
    each = ", ".join(f"{name} {seconds:.0f}" for name, seconds in figures["processor_seconds"].items())
    console.print(
        f"processor time: {used:.0f} s, {used * 1000 / max(figures['titles'], 1):.0f} ms a title ({each})"
    )
    console.print(f"bounds: {figures['bounds']}; data in Redis: {figures['redis_data_mb']} MB")
    if figures["outage"]:
        console.print("no {fleet} from {from:.0f} to {to:.0f} s".format(**figures["outage"]))
    console.print(f"drawn: {options.picture}")
    console.print(
        f"{figures['lost']} lost, {figures['doubled']} doubled, {figures['dead_letters']} dead letters"
    )


if __name__ == "__main__":
    main()
