"""The demo of media on real servers: fleets of its own, and every rendition counted."""

from __future__ import annotations

import json
from pathlib import Path

from handoffs.tasks.media.film import Film
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import open_installation

_FLEETS = {"transcode-1", "transcode-2", "drm", "ladder", "assemble", "others"}


def test_the_demo_on_servers(servers: Servers, tmp_path: Path) -> None:
    """The demo starts its own fleets on the servers, loses no title and doubles none, and says how much memory each process
    had."""
    settings = {"AGENTS": "handoffs.tasks.media", "MEDIA__TRANSCODER": "stand-in"}
    with open_installation(servers, tmp_path, **settings) as installation:
        demo = installation.program(
            "demo", "demo", "media", "--titles", "4", "--json", LOG_LEVEL="ERROR", LEASE="15s"
        )
        wait_until(lambda: not demo.running, description="the demo has ended", timeout=110)
        assert demo.status == 0, demo.log()
    figures = json.loads(demo.log()[demo.log().index("{") :])
    title, load = figures["title"], figures["load"]
    assert (title["status"], title["namespace"]) == ("completed", f"{installation.namespace}-media-demo")
    assert (load["where"], load["titles"], load["renditions"]) == ("servers", 4, 64)
    assert (load["lost"], load["doubled"], load["dead_letters"], load["completed"]) == (0, 0, 0, 4)
    assert set(load["peak_memory_mb"]) >= _FLEETS | {"serve", "this process"}


def test_with_fleets_that_are_not_there(servers: Servers, tmp_path: Path) -> None:
    """The demo that is to play with running fleets begins nothing where somebody is missing, and says who, and what to do."""
    film = Film(
        source="uploads/a/source",
        octets=10,
        sha256="a" * 64,
        seconds=1,
        width=1920,
        height=1080,
        transcoder="stand-in",
    )
    told = json.dumps(film.to_data())
    with open_installation(servers, tmp_path, AGENTS="handoffs.tasks.media") as installation:
        installation.worker("media.drm", "media.cdn")
        demo = installation.program("demo", "demo", "media", "--running", "--film", told, LOG_LEVEL="ERROR")
        wait_until(lambda: not demo.running, description="the demo has ended", timeout=30)
    assert demo.status == 1
    said = " ".join(demo.log().split())
    assert "nobody is at work as media.transcode, media.ladder" in said
    assert "the coordinator process; nothing was started; start them: COMPOSE_PROFILES=media make up" in said
    assert "media.drm" not in said
