"""Deployments: journal and store together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from handoffs.contracts.errors import InvalidManifest
from handoffs.contracts.manifest import Manifest
from handoffs.coordinator.deployment.deployments import Deployments
from handoffs.coordinator.journal.journal import Journal
from tests.builds import manifest
from tests.journal_suite import letter

OLD = manifest("shop.price", accepts={"shop.order": [1]})
NEW = manifest("shop.price", accepts={"shop.order": [2, 1]})


class Told:
    """A store that keeps what it is told, and lets something happen in between."""

    def __init__(self) -> None:
        self.announced: list[dict[str, Any]] = []
        self.sent: dict[tuple[str, str], int] = {}
        self.copy: list[dict[str, Any]] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def live(self) -> list[dict[str, Any]]:
        return self.announced

    def counts(self) -> dict[tuple[str, str], int]:
        return self.sent

    def deploy(self, agent: str, manifests: Sequence[dict[str, Any]]) -> None:
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        self.copy = list(manifests)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(f"sqlite:///{tmp_path}/journal.sqlite3")
    yield made
    made.close()


def _announced(build: Manifest, worker: str) -> dict[str, Any]:
    return {"instance": worker, "until": 0, "manifest": build.to_json()}


def test_recording_at_the_same_time_loses_no_build(journal: Journal) -> None:
    """What another records between reading the journal and telling the store is told as well."""
    store = Told()
    store.meanwhile = lambda: journal.deployments.record(NEW, "bob")
    Deployments(journal, store, store).record(OLD, "ann")
    assert store.copy == [OLD.to_json(), NEW.to_json()]


def test_live_recorded_and_previous_are_one_list(journal: Journal) -> None:
    """A build is there once, live before anything else, with the number of its workers and since when it is recorded."""
    store = Told()
    store.announced = [_announced(NEW, "one"), _announced(NEW, "two")]
    desk = Deployments(journal, store, store)
    for build in (OLD, NEW):
        desk.record(build, "ann")
    desk.withdraw("shop.price", OLD.build, "ann")
    found = {build.manifest.build: build for build in desk.known().builds}
    assert {build: (one.state, one.instances) for build, one in found.items()} == {
        OLD.build: ("previous", 0),
        NEW.build: ("live", 2),
    }
    assert found[NEW.build].since


def test_withdrawn_and_still_running_is_live(journal: Journal) -> None:
    """A worker that nobody stopped reads on, whatever the journal says."""
    store = Told()
    desk = Deployments(journal, store, store)
    desk.record(OLD, "ann")
    desk.withdraw("shop.price", by="ann")
    store.announced = [_announced(OLD, "one")]
    [build] = desk.known().builds
    assert (build.state, build.since) == ("live", "")


def test_two_manifests_under_one_name_are_two_builds(journal: Journal) -> None:
    """A name that was given twice hides neither of them."""
    store = Told()
    store.announced = [
        _announced(manifest("shop.price", accepts={"shop.order": [version]}, build="v1"), str(version))
        for version in (1, 2)
    ]
    assert len(Deployments(journal, store, store).known().builds) == 2


def test_a_letter_that_the_store_has_forgotten_is_still_outstanding(journal: Journal) -> None:
    """Letters wait in the journal for as long as it takes, so there are never less than those; what is no envelope is in
    nobody's way."""
    store = Told()
    store.sent = {("shop.price", "shop.order/2"): 4, ("shop.other", "shop.order/3"): 1}
    for number, ref in enumerate(["shop.order/1", "shop.order/2", ""]):
        journal.letters.add(letter(str(number), agent="shop.price", contract=ref))
    found = Deployments(journal, store, store).outstanding("shop.price")
    assert [(str(left.contract), left.total, left.dead_lettered, left.other) for left in found] == [
        ("shop.order/1", 1, 1, 0),
        ("shop.order/2", 4, 1, 3),
    ]


@pytest.mark.parametrize("said", [None, {}, "text", {"agent": "shop.price"}])
def test_what_a_live_worker_says_must_be_known(journal: Journal, said: Any) -> None:
    """Nothing is decided beside a worker of which nobody knows what it reads."""
    store = Told()
    store.announced = [{"instance": "one\x1b[2J", "until": 0, "manifest": said}]
    desk = Deployments(journal, store, store)
    assert len(desk.known().unreadable) == 1
    with pytest.raises(InvalidManifest, match="announces no manifest") as caught:
        desk.judge(NEW, [])
    assert str(caught.value).isprintable()
