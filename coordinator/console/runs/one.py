"""One: the run that an address names, by its id or the beginning of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import HTTPException, Path, Request

from handoffs.contracts.text import quoted
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.console.templating import base_of, segment
from handoffs.coordinator.errors import Conflict
from handoffs.coordinator.observe.standing import Status
from handoffs.coordinator.store.run_state import ENDED

RunId = Annotated[
    str, Path(max_length=300, description="The id of a run, or how it begins: four characters at least.")
]
StepPath = Annotated[str, Path(max_length=2_000, description="The path of a step: `3.stock.1`.")]


def one_run(coordinator: Coordinator, request: Request, run: str) -> Run:
    """The run of that id. Where it only begins so, whoever asks is sent to the address with the whole id.

    Raises :class:`~handoffs.coordinator.errors.UnknownRun` and :class:`~handoffs.coordinator.errors.AmbiguousId`.
    """
    found = coordinator.find_run(run)
    if found.id != run and request.method == "GET":
        raise HTTPException(
            307,
            f"{quoted(run, 80)} is how the id of a run begins: {found.id}",
            headers={"location": _whole(request, found.id)},
        )
    return found


def refuse_ended(run: Run, asked: str) -> Status:
    """The status of a run that is to be ``asked``. Raises :class:`~handoffs.coordinator.errors.Conflict` where it has ended."""
    status = run.status()
    if status in ENDED:
        raise Conflict(
            f"run {run.id} is {status}, and cannot be {asked}", "nothing was changed", "look at what it did"
        )
    return status


def _whole(request: Request, run_id: str) -> str:
    route: str = request.scope["route"].path
    values = {name: segment(value) for name, value in request.path_params.items()}
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{base_of(request)}{route.format(**{**values, 'run': segment(run_id)})}{query}"
