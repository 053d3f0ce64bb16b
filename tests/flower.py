"""Flower of an installation, as its stack starts it, and what it shows."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.servers.ports import free_port
from tests.waiting import wait_until
from tests.workers import FLOWER_LOGIN, Installation, Program


class Flower:
    """The process, and its pages."""

    def __init__(self, installation: Installation) -> None:
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self.program: Program = installation.program(
            "flower", "flower", "--port", str(port), "--address", "127.0.0.1"
        )

    def wait_ready(self) -> None:
        """Wait until it answers, and listens for events."""

        def listens() -> bool:
            assert self.program.running, self.program.last_words()
            return "Connected to" in self.program.log() and self._answers()

        wait_until(listens, description="Flower listens", timeout=40)

    def page(self, path: str) -> str:
        """A page of its, as a browser gets it."""
        login = base64.b64encode(FLOWER_LOGIN.encode()).decode()
        with urlopen(
            Request(self._url + path, headers={"Authorization": f"Basic {login}"}), timeout=20
        ) as answer:
            text: str = answer.read().decode()
        return text

    def task(self, number: str) -> dict[str, Any]:
        """What it knows of a task, by its id; nothing where it knows none."""
        try:
            found: dict[str, Any] = json.loads(self.page(f"/api/task/info/{number}"))
        except HTTPError as error:
            error.close()
            return {}
        return found

    def tasks(self) -> list[dict[str, Any]]:
        """All tasks that it knows of."""
        return list(json.loads(self.page("/api/tasks?limit=100000")).values())

    def workers(self) -> dict[str, dict[str, Any]]:
        """What it knows of workers, by their names."""
        return {found["hostname"]: found for found in json.loads(self.page("/workers?json=1"))["data"]}

    def _answers(self) -> bool:
        try:
            return self.page("/healthcheck") == "OK"
        except URLError:
            return False
