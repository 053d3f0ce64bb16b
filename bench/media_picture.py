"""The picture of a load: throughput and titles under way, who waits, and memory; over time, the outage shaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

from bench.media_samples import SERVERS, Sample

_OVER = 5  # samples
_OUTAGE = "#d62728"


def draw(samples: Sequence[Sample], outage: tuple[float, float, str] | None, title: str, path: Path) -> None:
    """Draw the samples into a file. ``outage`` is from when to when (seconds) which fleet was gone."""
    mpl.use("Agg")
    figure, panels = pyplot.subplots(4, 1, figsize=(11, 13), sharex=True, layout="constrained")
    work, queues, memory, servers = panels
    at = [sample.seconds for sample in samples]
    _draw_work(work, at, samples)
    _draw_lines(queues, at, [sample.waiting for sample in samples])
    queues.plot(at, [sample.history for sample in samples], color="#999999", linestyle=":", label="history")
    queues.set_yscale("symlog", linthresh=10)
    queues.set(ylabel="messages that wait")
    _draw_lines(memory, at, [_of(sample, servers=False) for sample in samples])
    memory.set(ylabel="workers, MB resident", ylim=(0, None))
    _draw_lines(servers, at, [_of(sample, servers=True) for sample in samples])
    servers.plot(
        at, [sample.redis_data for sample in samples], color="#999999", linestyle=":", label="data in Redis"
    )
    servers.set(ylabel="servers, MB resident", xlabel="seconds", ylim=(0, None), xlim=(0, at[-1]))
    for axes in panels:
        if outage:
            axes.axvspan(outage[0], outage[1], color=_OUTAGE, alpha=0.12, label=f"no {outage[2]}")
        axes.legend(loc="center left", bbox_to_anchor=(1.1, 0.5), frameon=False, fontsize="small")
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _of(sample: Sample, *, servers: bool) -> dict[str, float]:
    """The memory of the servers, or of all other processes."""
    return {name: value for name, value in sample.memory.items() if (name in SERVERS) == servers}


def _draw_work(axes: Any, at: list[float], samples: Sequence[Sample]) -> None:
    rates = [
        (new.renditions - old.renditions) / max(new.seconds - old.seconds, 0.1)
        for old, new in zip(samples, samples[_OVER:], strict=False)
    ]
    axes.plot(at[_OVER:], rates, color="#1f77b4", label="renditions a second")
    axes.set(ylabel="renditions a second", ylim=(0, None))
    other = axes.twinx()
    for name, values, colour in (
        ("titles under way", [one.emitted - one.shelved for one in samples], "#ff7f0e"),
        ("titles on the shelf", [one.shelved for one in samples], "#2ca02c"),
    ):
        other.plot(at, values, color=colour)
        axes.plot([], [], color=colour, label=name)
    other.set(ylabel="titles", ylim=(0, None))


def _draw_lines(axes: Any, at: list[float], values: list[dict[str, Any]]) -> None:
    names = dict.fromkeys(name for one in values for name in one)
    for number, name in enumerate(names):
        axes.plot(at, [one.get(name, 0) for one in values], color=f"C{number % 10}",
                  linestyle="-" if number < 10 else "--", label=name.removeprefix("media."))  # fmt: skip
