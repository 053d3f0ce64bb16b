"""The example with Pydantic AI does what its README says."""

from __future__ import annotations

import pytest
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel

from examples.assistant import __main__ as program
from examples.assistant.agents import Ticket, assistant_flow
from examples.assistant.model import StubShop, stub_model
from handoffs import Coordinator
from handoffs.contracts.errors import CoordinationError

TICKET = Ticket.from_data({"number": "t-1", "order": "o-1", "text": "Where is my parcel?"})


def test_each_answer_is_paid_for_once(anywhere: Coordinator) -> None:
    """Refused twice, and failed between two calls of the model: the next attempt has the first answer, and asks for the second."""
    asked: list[str] = []
    shop = StubShop(away=1)
    run = anywhere.start(assistant_flow(stub_model(busy=2, asked=asked), shop), TICKET)
    answer = run.result(timeout=20)
    assert (answer.text, answer.refund) == ("Your parcel is lost in Lyon.", True)
    assert asked == ["a tool", "the answer"]
    assert shop.asked == ["o-1"]
    kinds = [entry["kind"] for entry in run.history()]
    assert (kinds.count("waits"), kinds.count("retried")) == (2, 1)
    assert run.usage().tokens > 0


def test_it_ends_at_its_limit(anywhere: Coordinator) -> None:
    """A run that has spent its limit does not ask again; allowed more, it goes on with what it has paid for."""
    asked: list[str] = []
    run = anywhere.start(assistant_flow(stub_model(asked=asked), StubShop(), tokens=10), TICKET)
    assert run.wait(timeout=20) == "parked"
    assert asked == ["a tool"]
    [letter] = run.letters()
    assert letter.kind == "over-budget"
    run.allow(tokens=10_000)
    letter.replay()
    assert run.result(timeout=20).refund
    assert asked == ["a tool", "the answer"]


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({"retry-after": "0.05"}, 50),
        ({"retry-after": "Tue, 1 Dec 2026 10:00:00 GMT"}, 30_000),
        (None, 30_000),
    ],
)
def test_how_long_it_waits(coordinator: Coordinator, headers: dict[str, str] | None, waits: int) -> None:
    """It comes back when the API says, in seconds, or else after half a minute."""
    refusals = [None]
    stub = stub_model()

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if refusals:
            refusals.pop()
            raise ModelHTTPError(503, "stub", headers=headers)
        found = stub.function(messages, info)  # type: ignore[misc]
        assert isinstance(found, ModelResponse)
        return found

    run = coordinator.start(assistant_flow(FunctionModel(answer, model_name="stub"), StubShop()), TICKET)
    assert run.result().refund
    [entry] = [entry for entry in run.history() if entry["kind"] == "waits"]
    assert entry["wait_ms"] == waits


def test_other_refusals_are_failures(coordinator: Coordinator) -> None:
    """What no waiting mends is retried as the agent's policy says, and parked."""

    def answer(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        raise ModelHTTPError(401, "stub")

    run = coordinator.start(assistant_flow(FunctionModel(answer, model_name="stub"), StubShop()), TICKET)
    assert run.status() == "parked"
    assert [entry["kind"] for entry in run.history()].count("retried") == 2


def test_it_says_what_happens(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as a program it shows the waits, the failure, and that each answer was asked for once."""
    for name in ("COORDINATOR_BROKER_URL", "COORDINATOR_REDIS_URL", "COORDINATOR_JOURNAL_URL"):
        monkeypatch.delenv(name, raising=False)
    program.main()
    said = capsys.readouterr().out
    assert said.count("attempt 1 waits: Transient: status_code: 429") == 2
    assert "attempt 1 retried: ConnectionError: the shop is away" in said
    assert "the model was asked for a tool, then the answer; " in said
    assert said.endswith("Your parcel is lost in Lyon. Refund: yes\n")


def test_without_pydantic_ai(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed the program says so, and what to install."""
    monkeypatch.setattr(program, "find_spec", lambda _: None)
    with pytest.raises(CoordinationError, match="pip install pydantic-ai-slim"):
        program.main()
