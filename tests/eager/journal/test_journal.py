"""A journal of an older release: who upgrades it, and who says that another has to."""

from __future__ import annotations

from pathlib import Path

import pytest

from handoffs.config.settings import Settings
from handoffs.coordinator.cli import main
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.journal.migrations import HEAD
from tests.journal_suite import make_previous, revision, tables


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A journal as the release before left it."""
    made = f"sqlite:///{tmp_path}/journal.sqlite3"
    make_previous(made)
    return made


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "embedded"])
def test_where_everything_is_in_one_process_it_upgrades_the_journal(
    coordinator_settings: Settings, url: str, eager: bool
) -> None:
    """There is no coordinator process that could."""
    settings = coordinator_settings.model_copy(update={"journal_url": url, "eager": eager})
    with Coordinator(settings) as coordinator:
        assert [letter.id for letter in coordinator.dead_letters()] == ["letter-1"]
    assert revision(url) == [HEAD]


def test_a_command_says_in_one_line_what_to_do(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It leaves the journal as it is."""
    was = tables(url)
    monkeypatch.setenv("COORDINATOR_BROKER_URL", "amqp://nobody@127.0.0.1:1//")
    monkeypatch.setenv("COORDINATOR_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("COORDINATOR_JOURNAL_URL", url)
    with pytest.raises(SystemExit) as end:
        main(["dead-letters", "list"])
    assert end.value.code == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("coordinator: the journal's tables are of an older release (revision 0001, not ")
    assert line.endswith("start coordinator serve of this release, it upgrades them")
    assert tables(url) == was
