"""Media, choreographed: a title goes from its upload to the shelf, every effect taken once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from handoffs import Event, agent, on
from handoffs.config.settings import Settings
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.tasks.media.agents import shelf
from handoffs.tasks.media.systems import systems
from tests.unit.tasks.media.titles import media_settings, uploaded
from tests.waiting import wait_until

RENDITIONS = 16


@pytest.fixture(params=["eager", "embedded"])
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Coordinator]:
    media = media_settings(tmp_path / "media").media
    settings = Settings(agents=("handoffs.tasks.media",), media=media, eager=request.param == "eager")
    with Coordinator(settings) as coordinator:
        yield coordinator


def test_a_title(studio: Coordinator) -> None:
    """A title is transcoded, encrypted, distributed, indexed and put on the shelf; each effect is taken once, all in one story."""
    story = studio.emit(uploaded(studio.settings))
    at = systems(studio.settings)
    wait_until(
        lambda: story.status() != "running",
        description="the story has ended",
    )
    assert (story.status(), list(story.letters())) == ("completed", [])
    tallies = (at.transcodings, at.packagings, at.distributions, at.shelved)
    assert [(one.tally().written, one.tally().doubled) for one in tallies] == [
        (RENDITIONS, 0),
        (1, 0),
        (2, 0),
        (1, 0),
    ]
    assert [found.title_id for found in at.index.search("lighthouse")] == ["t-1"]
    agents = [entry["agent"] for entry in story.history() if entry["kind"] == "settled"]
    assert {name: agents.count(name) for name in dict.fromkeys(agents)} == {
        "media.ladder": 1,
        "media.transcode": RENDITIONS,
        "media.assemble": 1,
        "media.drm": 1,
        "media.cdn": 1,
        "media.index": 1,
        "media.release": 1,
        "media.shelf": 1,
    }


def test_the_audit_of_the_docs(studio: Coordinator) -> None:
    """Who hears the pattern ``media.#`` hears each event of a title once, though all of them have the title's key."""
    heard: list[str] = []

    @on("media.#")
    @agent("media.audit")
    def audit(event: Event) -> None:
        heard.append(event.contract)

    studio.work([audit])
    story = studio.emit(uploaded(studio.settings))
    wait_until(lambda: story.status() != "running", description="the story has ended")
    assert (story.status(), list(story.letters())) == ("completed", [])
    emitted = [one for entry in story.history() for one in entry.get("emitted", ())]
    assert sorted(heard) == sorted(one["contract"].partition("/")[0] for one in emitted)
    assert len(set(heard)) > 5


def test_the_first_titles_of_many_threads(tmp_path: Path) -> None:
    """Threads that emit the first events of a process at the same time: whoever comes second finds the agents at work, and no
    event goes to nobody."""
    settings = Settings(agents=("handoffs.tasks.media",), media=media_settings(tmp_path / "media").media)
    titles = [uploaded(settings, f"t-{number}") for number in range(6)]
    with Coordinator(settings) as coordinator, ThreadPoolExecutor(len(titles)) as pool:
        stories = list(pool.map(coordinator.emit, titles))
        wait_until(
            lambda: set(coordinator.statuses(stories)) == {"completed"}, description="all stories have ended"
        )
    assert systems(settings).shelved.tally().written == len(titles)


def test_the_same_upload_twice(studio: Coordinator) -> None:
    """A title that is uploaded twice is one."""
    title = uploaded(studio.settings)
    first, again = studio.emit(title), studio.emit(title)
    assert first.id == again.id
    wait_until(lambda: first.status() == "completed", description="the story has ended")
    assert systems(studio.settings).shelved.tally().written == 1
    assert shelf.name == "media.shelf"
