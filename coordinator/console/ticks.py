"""Ticks: one server-sent event a second, at which open pages look for what is new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.asked import requires

router = APIRouter()

_SECONDS = 1.0
_LONGEST = 3600
"""After so many ticks a browser has to come again, with a session that is still good."""


@router.get("/api/ticks", response_class=StreamingResponse, dependencies=[Depends(requires(Permission.READ))])
async def stream(request: Request) -> StreamingResponse:
    """A server-sent event `tick` each second, until who asked goes away."""
    return StreamingResponse(
        _ticks(request), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
    )


async def _ticks(request: Request) -> AsyncIterator[str]:
    for tick in range(_LONGEST):
        if await request.is_disconnected():
            return
        yield f"event: tick\ndata: {tick}\n\n"
        await asyncio.sleep(_SECONDS)
