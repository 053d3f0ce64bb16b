"""Acceptance: what a server's failure means for a run that is being started. Nothing, not known, or accepted and not yet published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from handoffs.coordinator.errors import ServerError, Unanswered, Unpublished
from handoffs.coordinator.store import scripts


@contextmanager
def accepting() -> Iterator[None]:
    """A failure here means that nothing was accepted. Raises :class:`~handoffs.coordinator.errors.ServerError`."""
    try:
        yield
    except ServerError as error:
        raise _refused(error) from error


@contextmanager
def recording(run_id: str) -> Iterator[None]:
    """A failure here may have come before or after the run was recorded. Raises
    :class:`~handoffs.coordinator.errors.Unanswered`, or :class:`~handoffs.coordinator.errors.ServerError` where Redis refused it.
    """
    try:
        yield
    except ServerError as error:
        if not scripts.unsure(error):
            raise _refused(error) from error
        unanswered = Unanswered(
            error.cause,
            f"whether run {run_id} was accepted is not known",
            f"look at run {run_id}, or start it again with the same idempotency key: that is the same run",
        )
        unanswered.run_id = run_id
        raise unanswered from error


@contextmanager
def publishing(run_id: str) -> Iterator[None]:
    """A failure here means that the run is accepted, and that the coordinator process publishes it later. Raises
    :class:`~handoffs.coordinator.errors.Unpublished`."""
    try:
        yield
    except ServerError as error:
        unpublished = Unpublished(
            error.cause,
            f"run {run_id} was accepted, and begins as soon as the broker takes its messages",
            "do not start it under another key; the coordinator process publishes it (coordinator serve)",
        )
        unpublished.run_id = run_id
        raise unpublished from error


def _refused(error: ServerError) -> ServerError:
    return ServerError(error.cause, "nothing was accepted", error.remedy)
