"""A choreographed pipeline while each kind of its processes dies once: the final counts are exact."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from handoffs import HistoryEntry
from handoffs.config.reference import MediaSettings
from handoffs.config.settings import Settings
from handoffs.contracts.reference.media import TitleUploaded
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import ServerError
from handoffs.tasks.media.systems import Systems, systems
from tests.servers import Control, Servers
from tests.unit.tasks.media.titles import uploaded
from tests.waiting import wait_until
from tests.workers import Installation, depth, open_installation

RENDITIONS, EDGES = 16, 2
TITLES = 40
_FLEETS = {
    "transcoders": ("media.transcode",),
    "packagers": ("media.drm",),
    "others": (
        "media.ladder",
        "media.assemble",
        "media.cdn",
        "media.index",
        "media.release",
        "media.shelf",
    ),
}
_AGENTS = tuple(agent for fleet in _FLEETS.values() for agent in fleet)


class Studio:
    """Media with a fleet for transcoding, one for DRM and one for the rest, on servers that die."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation = installation
        self.process = installation.coordinator_process()
        self.workers = {
            name: installation.worker(*agents, pool="threads", concurrency=4, wait=False)
            for name, agents in _FLEETS.items()
        }
        for worker in self.workers.values():
            worker.wait_ready()
        self.settings = Settings(media=MediaSettings(folder=str(folder), transcoder="stand-in"))
        self.at: Systems = systems(self.settings)
        self.client: Coordinator = installation.client()
        self.stories: list[Run] = []

    def upload(self, numbers: range) -> None:
        """Emit the uploads of titles, each as often as it takes."""
        for number in numbers:
            title = uploaded(self.settings, f"t-{number}")
            accepted = partial(self._emitted, title)
            story = wait_until(accepted, description="the upload is accepted", timeout=60)
            assert story is not None
            self.stories.append(story)

    def _emitted(self, title: TitleUploaded) -> Run | None:
        try:
            return self.client.emit(title)
        except ServerError:
            return None

    def wait_some_transcoded(self, number: int) -> None:
        """Wait until so many renditions are made, so that the next thing happens in the middle of it."""
        wait_until(
            lambda: self.at.transcodings.tally().written >= number,
            description=f"the first {number} renditions are made\n{self.installation.logs()[-3000:]}",
            timeout=60,
        )

    def check(self, titles: int) -> None:
        """Every title is on the shelf, every effect was taken once, and the queues are empty."""
        wait_until(
            lambda: self.at.shelved.tally().written >= titles,
            description=f"all titles are on the shelf\n{self.installation.logs()[-6000:]}",
            timeout=180,
            interval=0.5,
        )
        tallies = {
            "transcodings": (self.at.transcodings.tally(), titles * RENDITIONS),
            "packagings": (self.at.packagings.tally(), titles),
            "distributions": (self.at.distributions.tally(), titles * EDGES),
            "shelved": (self.at.shelved.tally(), titles),
        }
        found = {
            name: (tally.written, tally.doubled, tally.differing) for name, (tally, _) in tallies.items()
        }
        assert found == {name: (wanted, 0, 0) for name, (_, wanted) in tallies.items()}
        wait_until(self._quiet, description="nothing is left in queues", timeout=60)
        wait_until(
            lambda: set(self.client.statuses(self.stories)) == {"completed"},
            description="no story has anything open",
            timeout=30,
        )
        assert self.client.dead_letters() == []
        story = wait_until(lambda: self._whole(self.stories[-1]), description="the history is whole")
        made = [
            entry for entry in story if entry["kind"] == "settled" and entry["agent"] == "media.transcode"
        ]
        assert len({entry["step"] for entry in made}) == RENDITIONS

    def _whole(self, story: Run) -> list[HistoryEntry]:
        told = list(story.history())
        return told if any(entry.get("agent") == "media.shelf" for entry in told) else []

    def _quiet(self) -> bool:
        with self.client.engine.app.connection_for_read() as connection:
            return not any(depth(connection, self.installation.queue_name(agent))[0] for agent in _AGENTS)


@pytest.fixture
def studio(servers: Servers, tmp_path: Path) -> Iterator[Studio]:
    media = {
        "MEDIA__FOLDER": str(tmp_path / "media"),
        "MEDIA__TRANSCODER": "stand-in",
        "MEDIA__STAND_IN_SPEED": "400",
        "MEDIA__STAND_IN_SIZE": "0.001",
        "MEDIA__DURABLE": "false",
    }
    with open_installation(
        servers, tmp_path, AGENTS="handoffs.tasks.media", LEASE="2s", **media
    ) as installation:
        opened = Studio(installation, tmp_path / "media")
        yield opened
        opened.client.close()


def test_each_kind_of_process_dies_once(studio: Studio, control: Control) -> None:
    """A worker, the coordinator process, RabbitMQ and Redis are killed in mid-pipeline, one after another, while titles come in: each
    title ends on the shelf, each rendition, package and copy is made once."""
    studio.upload(range(TITLES // 4))
    studio.wait_some_transcoded(20)
    studio.workers["transcoders"].kill()
    studio.workers["transcoders"].start()
    studio.upload(range(TITLES // 4, TITLES // 2))
    studio.process.kill()
    studio.wait_some_transcoded(60)
    studio.process.start()
    control.kill("rabbitmq")
    control.start("rabbitmq")
    studio.upload(range(TITLES // 2, 3 * TITLES // 4))
    studio.wait_some_transcoded(120)
    control.kill("redis")
    studio.workers["packagers"].kill()
    control.start("redis")
    studio.upload(range(3 * TITLES // 4, TITLES))
    studio.workers["packagers"].start()
    studio.check(TITLES)
