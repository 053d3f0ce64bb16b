"""Commands that are asked of a coordinator that is there already, as if its servers could be reached by others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handoffs import Coordinator, Flow
from handoffs.config.settings import Settings
from handoffs.coordinator.cli import main
from handoffs.coordinator.flow.loading import Definitions


def have_loaded(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, *flows: Flow) -> None:
    """Have a coordinator find these flows and their agents, as if a module of its settings declared them."""
    loaded = Definitions()
    for flow in flows:
        loaded.add(flow)
    monkeypatch.setattr(coordinator._loaded, "_definitions", loaded)


class Command:
    """The command line."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setattr("handoffs.coordinator.cli.session.Coordinator", lambda _: _Open(self.coordinator))
        self._capsys = capsys
        self.coordinator: Coordinator | None = None

    def __call__(self, coordinator: Coordinator, *arguments: str) -> tuple[Any, str, str]:
        """Its exit status, and what it printed."""
        self.coordinator = coordinator
        status: Any = 0
        try:
            main(arguments)
        except SystemExit as end:
            status = end.code
        printed = self._capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return status, printed.out, printed.err

    def json(self, coordinator: Coordinator, *arguments: str) -> Any:
        """What it printed for programs."""
        return json.loads(self(coordinator, *arguments, "--json")[1])


class _Open:
    """A coordinator that a command does not close."""

    def __init__(self, coordinator: Coordinator | None) -> None:
        assert coordinator is not None
        self._coordinator = coordinator
        self._own = coordinator.settings

    def __enter__(self) -> Coordinator:
        given = Settings(broker_url="amqp://nobody.invalid//", redis_url="redis://nobody.invalid/0")
        self._coordinator.settings = self._own.model_copy(
            update={"broker_url": given.broker_url, "redis_url": given.redis_url}
        )
        return self._coordinator

    def __exit__(self, *_: object) -> None:
        self._coordinator.settings = self._own
