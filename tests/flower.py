"""Flower of an installation, as its stack starts it, and what it shows."""

from __future__ import annotations

import base64
import json
import re
from html import escape, unescape
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from tests.servers.ports import free_port
from tests.waiting import wait_until
from tests.workers import FLOWER_LOGIN, Installation, Program

_AS_THEY_ARE = "!'()*~-_."
"""What a browser's encodeURIComponent leaves as it is."""


class Flower:
    """The process, and its pages."""

    def __init__(self, installation: Installation, **settings: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.program: Program = installation.program(
            "flower", "flower", "--port", str(port), "--address", "127.0.0.1", **settings
        )

    def wait_ready(self) -> None:
        """Wait until it answers, and listens for events."""

        def listens() -> bool:
            assert self.program.running, self.program.last_words()
            return "Connected to" in self.program.log() and self._answers()

        wait_until(listens, description="Flower listens", timeout=40)

    def wait_hearing(self) -> None:
        """Wait until it has heard of a worker as well: what workers tell before that, it may have missed."""
        self.wait_ready()
        wait_until(self.workers, description="Flower hears of a worker", timeout=40)

    def page(self, path: str) -> str:
        """A page of its, as a browser gets it."""
        login = base64.b64encode(FLOWER_LOGIN.encode()).decode()
        with urlopen(
            Request(self.url + path, headers={"Authorization": f"Basic {login}"}), timeout=20
        ) as answer:
            text: str = answer.read().decode()
        return text

    def opened(self, number: str) -> tuple[int, str]:
        """The page of a task, by the link that Flower's list has to it: its status, and what it says."""
        try:
            return 200, self.page(f"/task/{quote(number, safe=_AS_THEY_ARE)}")
        except HTTPError as error:
            with error:
                return error.code, unescape(error.read().decode())

    def columns(self) -> list[str]:
        """The columns of the list of tasks."""
        return re.findall(r'data-column="([a-z_]+)"', self.page("/tasks"))

    def listed(self, search: str = "") -> list[dict[str, Any]]:
        """What the list of tasks shows, of those that are searched for."""
        asked = {"draw": 1, "start": 0, "length": 10_000, "search[value]": search, "order[0][column]": 0}
        found: list[dict[str, Any]] = json.loads(self.page(f"/tasks/datatable?{urlencode(asked)}"))["data"]
        return found

    def queues(self) -> dict[str, dict[str, Any]]:
        """What the page about the broker is made of, by the names of the queues; each is on the page."""
        found = {one["name"]: one for one in json.loads(self.page("/api/queues/length"))["active_queues"]}
        page = self.page("/broker")
        assert [name for name in found if f"<td>{escape(name)}</td>" not in page] == []
        return found

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
