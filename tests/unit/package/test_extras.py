"""Extras: what is not installed is said in one line, with what to install."""

import sys
from pathlib import Path

import pytest

from handoffs.config.flower import require_installed
from handoffs.config.settings import SettingsError
from handoffs.coordinator.cli.demo import find_demo
from handoffs.coordinator.errors import LoadError, ServerError
from handoffs.coordinator.flow.loading import load_modules
from handoffs.coordinator.journal.journal import Journal
from handoffs.tasks.payments.ledger import Ledger


class Absent:
    """An import finder by which packages are not installed."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Have packages be absent, also where they were loaded before."""
    for loaded in list(sys.modules):
        if loaded.partition(".")[0] in names or loaded.startswith("handoffs.tasks.media"):
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "meta_path", [Absent(*names), *sys.meta_path])


def test_media_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents of media, and its demo, say which extra they need; the demo is there all the same."""
    without(monkeypatch, "cryptography")
    for load in (lambda: load_modules(["handoffs.tasks.media"]), lambda: find_demo("media")):
        with pytest.raises(LoadError, match=r"needs 'cryptography.*pip install 'handoffs\[media\]'"):
            load()


def test_a_module_that_needs_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is there, and imports one that is not, is not said to be missing itself."""
    (tmp_path / "needs_other.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LoadError, match=r"'needs_other' .* needs 'no_such_package', .*; install it"):
        load_modules(["needs_other"])
    with pytest.raises(LoadError, match=r"'no_such_module' .* cannot be found"):
        load_modules(["no_such_module"])


def test_flower_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that starts Flower says what to install."""
    require_installed()
    monkeypatch.setattr("handoffs.config.flower.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'handoffs\[flower\]'"):
        require_installed()


def test_postgresql_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal or a ledger in PostgreSQL says which extra it needs."""
    without(monkeypatch, "psycopg")
    url = "postgresql://somewhere.invalid/x"
    with pytest.raises(ServerError, match=r"psycopg; .*; pip install 'handoffs\[postgres\]'"):
        Journal(url)
    with pytest.raises(SettingsError, match=r"psycopg; .*; pip install 'handoffs\[postgres\]'"):
        Ledger(url).audit()
