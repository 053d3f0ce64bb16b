"""The compose stack with the reference systems that are profiles: media and rides, as fleets that scale and die by themselves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.tasks.media.effects import Effects, Tally
from tests.smoke.stack import Stack, check_confined, open_stack
from tests.stack import load
from tests.waiting import wait_until

TITLES = 20
RENDITIONS = 16
_LINES = {"transcode": "transcoding", "drm": "packaging", "cdn": "distribution", "shelf": "shelf"}
"""Who writes a line for each effect, and where."""


@pytest.fixture(scope="module")
def stack(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The fleets of media and rides, two containers transcoding, and the coordinator process."""
    fleets = load()._FLEETS
    with open_stack(tmp_path_factory.mktemp("systems"), profiles="media,rides") as stack:
        started = [*fleets["media"], *fleets["rides"], "coordinator"]
        stack.compose("up", "--detach", "--wait", "--scale", "transcode=2", *started)
        yield stack


@pytest.fixture
def client(stack: Stack) -> Iterator[Coordinator]:
    """A client on the host."""
    with stack.client() as client:
        yield client


def test_media_while_drm_is_killed(stack: Stack, client: Coordinator, tmp_path: Path) -> None:
    """Titles are uploaded from the host; two containers transcode, and the one that encrypts is killed in the middle: every
    rendition, package, copy and entry is there, once, and every story completes. An agent sees what it needs, and no more."""
    with _played(stack.demo("media", "--titles", str(TITLES), "--json")) as demo:
        wait_until(lambda: _packaged(stack) >= 4, description="some titles are packaged", timeout=60)
        container = stack.crash("drm")
        figures = demo()
    assert stack.inspect(container)["RestartCount"] == 1
    made = figures["load"]
    assert {
        name: made[name] for name in ("titles", "renditions", "packaged", "copies", "indexed", "shelved")
    } == {
        "titles": TITLES,
        "renditions": TITLES * RENDITIONS,
        "packaged": TITLES,
        "copies": 2 * TITLES,
        "indexed": TITLES,
        "shelved": TITLES,
    }
    assert (made["lost"], made["doubled"], made["dead_letters"], made["completed"]) == (0, 0, 0, TITLES)
    titles = TITLES + 1  # and the one that is shown first
    tallies = {service: _tally(stack, service, tmp_path) for service in _LINES}
    wanted = {"transcode": titles * RENDITIONS, "drm": titles, "cdn": 2 * titles, "shelf": titles}
    assert {service: tally.keys for service, tally in tallies.items()} == wanted
    assert {(tally.doubled, tally.differing, tally.unreadable) for tally in tallies.values()} == {(0, 0, 0)}
    assert _indexed(stack) == [titles, titles]
    settled = [entry for _, entry in client.journal.history.since(0) if entry["kind"] == "settled"]
    assert len({entry["worker"] for entry in settled if entry["agent"] == "media.transcode"}) == 2
    back = stack.inspect(container)["State"]["StartedAt"]
    assert any(entry["at"][:19] >= back[:19] for entry in settled if entry["agent"] == "media.drm")
    _check_who_sees_what(stack)


def test_rides_while_eta_is_away(stack: Stack, client: Coordinator) -> None:
    """The container of ETA is stopped while rides are asked for: none is lost, what stands in is there soon after the budget,
    and when it comes back, rides have an ETA of their own again."""
    with _played(stack.demo("rides", "--seconds", "20", "--rate", "5", "--json")) as demo:
        _wait_for_rides(client, 20)
        stack.compose("kill", "eta")
        _wait_for_rides(client, 12)
        stack.compose("start", "eta")
        figures = demo()
    away, back = figures["phases"]["stopped"], figures["phases"]["after"]
    assert (figures["where"], figures["lost"]) == ("running", 0)
    assert away["requests"] >= 8
    assert away["fallback_share"] > 0.8
    assert away["fallbacks"]["cached"] + away["fallbacks"]["estimated"] > 0.8 * away["requests"]
    assert 300 <= away["latency_ms"]["eta"]["p50"] < 3_000  # a slow machine is not the point here
    assert back["requests"] > 0
    assert back["fallback_share"] < 0.8


@contextmanager
def _played(program: subprocess.Popen[str]) -> Iterator[Callable[[], Any]]:
    """A demo that goes on while the block runs; gives what waits for its figures. It is ended in the end."""

    def figures() -> Any:
        told, said = program.communicate(timeout=120)
        assert program.returncode == 0, said[-3000:]
        return json.loads(told)

    try:
        yield figures
    finally:
        program.kill()
        program.communicate()


def _wait_for_rides(client: Coordinator, more: int) -> None:
    after = client.journal.history.newest()

    def asked() -> bool:
        return (
            len([entry for _, entry in client.journal.history.since(after) if entry["kind"] == "started"])
            >= more
        )

    wait_until(asked, description=f"{more} more rides are asked for", timeout=60)


def _packaged(stack: Stack) -> int:
    return len(_said(stack, "drm", "cat /srv/media/effects/packaging.jsonl || true").splitlines())


def _check_who_sees_what(stack: Stack) -> None:
    """Who only reads the store cannot write there, who needs nothing of it sees nothing, and the master key is with the agent
    that encrypts alone."""

    for service in load()._FLEETS["media"]:
        check_confined(stack, service)
    assert "Read-only file system" in _said(stack, "cdn", "touch /srv/media/objects/x")
    assert _said(stack, "index", "ls -A /srv/media /srv/media/objects").split() == [
        "/srv/media:",
        "index.sqlite3",
        "objects",
        "/srv/media/objects:",
    ]
    assert _said(stack, "ladder", "ls -A /srv/media/objects") == ""
    assert _said(stack, "drm", "stat -c '%a %U' /srv/media/master.key").strip() == "600 coordinator"
    assert _said(stack, "transcode", "ls -A /srv/media").split() == ["effects", "objects"]


def _tally(stack: Stack, service: str, folder: Path) -> Tally:
    """What an agent has written down where it works."""
    path = folder / f"{service}.jsonl"
    path.write_text(_said(stack, service, f"cat /srv/media/effects/{_LINES[service]}.jsonl"), "utf-8")
    return Effects(path).tally()


def _indexed(stack: Stack) -> Any:
    """How many titles are in the index, and how often one was written."""
    code = (
        "import json, sqlite3; index = sqlite3.connect('/srv/media/index.sqlite3');"
        "print(json.dumps(index.execute('SELECT count(*), sum(written) FROM entries').fetchone()))"
    )
    return json.loads(_said(stack, "index", f'python -c "{code}"'))


def _said(stack: Stack, service: str, command: str) -> str:
    """What a command says in a service's first container, its complaints too."""
    return stack.compose("exec", "-T", service, "sh", "-c", f"{command} 2>&1", check=False).stdout
