"""A message that the broker does not take back now is kept in hand."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Reject
from celery.worker import state

from handoffs.coordinator.errors import Refused, ServerError
from handoffs.coordinator.handoff.outcome import Done, Park, Postpone, Reason
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runtime import task
from handoffs.coordinator.runtime.task import AgentTask, Parked

LATER = Postpone(timedelta(seconds=1), Message("m", "shop.one", {}, "[]"), Reason.SERVER, "later", attempt=1)


class Driver:
    """Fails so many times, with ``error``."""

    def __init__(self, failures: int, error: ServerError | None = None) -> None:
        self.failures = failures
        self.error = error or ServerError("the broker has an alarm")
        self.performed = 0

    def perform(self, asking: Any) -> None:
        asking.close()
        self.performed += 1
        if self.performed <= self.failures:
            raise self.error


def made(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> AgentTask:
    monkeypatch.setattr(task, "_SERVER_PAUSE", timedelta(milliseconds=1))
    app = Celery("test", set_as_current=False)
    kind = type("Kept", (AgentTask,), {"__module__": __name__, "name": "shop.one", "driver": driver})
    return app.register_task(kind())  # type: ignore[no-any-return]


def test_it_is_kept_until_the_broker_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the broker does not take it, it does not go back to its queue, which counts that and parks it in the end."""
    driver = Driver(failures=50)
    made(driver, monkeypatch)._put_off(LATER)
    assert driver.performed == 51


def test_a_worker_that_ends_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is to end does not wait for the broker."""
    monkeypatch.setattr(state, "should_stop", 0)
    with pytest.raises(Reject) as caught:
        made(Driver(failures=50), monkeypatch)._put_off(LATER)
    assert caught.value.requeue


def test_what_is_refused_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """To wait is for a server that is away. What a server refuses for what it is would be refused for ever."""
    driver = Driver(failures=50, error=Refused("it is too large"))
    with pytest.raises(Refused):
        made(driver, monkeypatch)._put_off(LATER)
    assert driver.performed == 1


@pytest.mark.parametrize("fails", ["handled", "and cannot be marked", "while it is put off"])
def test_what_is_refused_is_parked(fails: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step for which a server refuses something is parked, also where even that cannot be written down: nothing of it goes round."""
    refused = Refused("it is too large")
    kept = made(Driver(failures=50, error=refused), monkeypatch)
    delivery: Any = SimpleNamespace(run="r", step="1")
    parking = SimpleNamespace(refuse=lambda *_: iter(()), release=lambda *_: iter(()))
    failure = SimpleNamespace(kind="error")
    kept.handoff = SimpleNamespace(  # type: ignore[misc,assignment]
        agent=SimpleNamespace(intake=SimpleNamespace(ordered=False)), parking=parking
    )

    def handled(*_: Any) -> Any:
        if fails == "while it is put off":
            return LATER
        raise refused

    def performed(asking: Any) -> Any:
        if fails == "handled":
            return Park(failure)  # type: ignore[arg-type]
        raise refused

    monkeypatch.setattr(kept, "_handled", handled)
    monkeypatch.setattr(kept, "driver", SimpleNamespace(perform=performed))
    with pytest.raises(Parked) as caught:
        kept._run(delivery)
    assert not caught.value.requeue


def test_what_stands_and_is_not_sent_is_parked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a step has its outcome, a fault after that parks it as not passed on: nobody else sends what follows."""
    kept = made(Driver(failures=0), monkeypatch)
    kinds: list[str] = []

    def refuse(_: Any, __: Any, refusal: Any) -> Any:
        kinds.append(str(refusal.kind))
        return Done("settled") if refusal.kind == "error" else Park(SimpleNamespace(kind=refusal.kind))  # type: ignore[arg-type]

    kept.handoff = SimpleNamespace(  # type: ignore[misc,assignment]
        agent=SimpleNamespace(intake=SimpleNamespace(ordered=False)),
        parking=SimpleNamespace(refuse=refuse, release=lambda _: None),
    )

    def handled(_: Any) -> Any:
        raise KeyError("after the outcome was recorded")

    monkeypatch.setattr(kept, "_handled", handled)
    monkeypatch.setattr(kept, "driver", SimpleNamespace(perform=lambda found: found))
    delivery: Any = SimpleNamespace(run="r", step="1")
    with pytest.raises(Parked):
        kept._run(delivery)
    assert kinds == ["error", "not-passed-on"]
