"""Pages: a console over a coordinator of this process, and a browser that runs no script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from typing import Any

from fastapi.testclient import TestClient

from handoffs import Coordinator
from handoffs.config.console import ConsoleSettings
from handoffs.coordinator.console.app import create_app

SECRET = "s" * 40


class Browser:
    """What a person does: looks at pages, and sends their forms. An answer of 500 or more is a fault of its own."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.last: Any = None
        """The answer that the page came with."""

    def get(self, path: str, *, status: int = 200) -> str:
        """The page at ``path``."""
        return self._page(self.client.get(path, headers={"accept": "text/html"}), status)

    def json(self, path: str, *, status: int = 200) -> Any:
        """What there is at ``path`` for programs."""
        response = self.client.get(path)
        assert response.status_code == status, response.text
        return response.json()

    def typed(self, page: str) -> dict[str, str]:
        """What stands in the fields of the form of a contract on ``page``, as a browser sends it."""
        inputs = re.findall(r'<input[^>]*\bname="(data\.[^"]*)"[^>]*\bvalue="([^"]*)"', page)
        areas = re.findall(r'<textarea[^>]*\bname="(data\.[^"]*)"[^>]*>([^<]*)</textarea>', page)
        return {unescape(name): unescape(value) for name, value in [*inputs, *areas]}

    def send(
        self,
        page: str,
        action: str,
        fields: Mapping[str, Any] | None = None,
        *,
        status: int = 200,
        by: str | None = None,
    ) -> str:
        """Send the form of ``page`` (HTML) that leads to ``action``, with ``fields`` filled in; gives the page that follows. ``by``: where the
        form itself leads, of which another button leads to ``action``.

        Many parameters because each is a part of what a person does.
        """
        form = next(
            (
                one
                for one in re.findall(r"<form\b.*?</form>", page, re.DOTALL)
                if f' action="{by or action}"' in one
            ),
            None,
        )
        assert form is None or f'action="{action}"' in form, f"no button of it leads to {action}"
        assert form is not None, f"no form leads to {action}: {re.findall(r'action=.[^ >]*', page)}"
        found = {
            unescape(name): unescape(value)
            for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form)
        }
        return self._page(
            self.client.post(
                action,
                data={**found, **(fields or {})},
                headers={"accept": "text/html", "sec-fetch-site": "same-origin"},
            ),
            status,
        )

    def post(self, path: str, body: Any, *, status: int = 200) -> Any:
        """Send JSON as a program does."""
        response = self.client.post(path, json=body)
        assert response.status_code == status, response.text
        return response.json()

    def _page(self, response: Any, status: int) -> str:
        self.last = response
        assert response.status_code == status, response.text
        assert response.headers["content-type"].startswith("text/html")
        return str(response.text)


@contextmanager
def console(coordinator: Coordinator, settings: ConsoleSettings | None = None) -> Iterator[Browser]:
    """A browser on the console of ``coordinator``."""
    app = create_app(coordinator, secret=SECRET, settings=settings or ConsoleSettings())
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield Browser(client)
