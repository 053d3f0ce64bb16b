"""How much a request may bring."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from handoffs.coordinator.console.limits import LimitedBodies


def test_more_than_the_limit_is_refused_as_soon_as_it_is_read() -> None:
    """A body as large as the limit is read; one octet more is answered with 413, sent at once or bit by bit."""
    app = FastAPI()
    app.add_middleware(LimitedBodies, most=10)

    @app.post("/")
    async def take(request: Request) -> int:
        return len(await request.body())

    with TestClient(app) as client:
        assert client.post("/", content=b"x" * 10).json() == 10
        assert client.post("/", content=b"x" * 11).status_code == 413
        assert client.post("/", content=iter([b"xxxx"] * 3)).status_code == 413
