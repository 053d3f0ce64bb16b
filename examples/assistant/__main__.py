"""A ticket, answered in embedded mode: ``python -m examples.assistant``."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from handoffs import Coordinator
from handoffs.contracts.errors import CoordinationError


def main() -> None:
    """Print how a ticket is answered by an assistant that is refused at first, fails between two calls, and pays for each once.

    Raises :class:`CoordinationError` where Pydantic AI is not installed.
    """
    if find_spec("pydantic_ai") is None:
        raise CoordinationError(
            "Pydantic AI is not installed", "the example cannot run", "pip install pydantic-ai-slim"
        )
    from examples.assistant.agents import Ticket, assistant_flow  # noqa: PLC0415 - it is said before where that is missing
    from examples.assistant.model import StubShop, stub_model  # noqa: PLC0415

    asked: list[str] = []
    shop = StubShop(away=1)
    with Coordinator() as coordinator:
        flow = assistant_flow(stub_model(busy=2, asked=asked), shop)
        run = coordinator.start(
            flow, Ticket.from_data({"number": "t-1", "order": "o-1", "text": "Where is my parcel?"})
        )
        answer = run.result(timeout=60)
        print(
            "1. The model is busy twice, and the shop is away once, after the model was paid for its first answer:"
        )
        for entry in run.history():
            if entry["kind"] in {"waits", "retried"}:
                print(f"   attempt {entry['attempt']} {entry['kind']}: {entry['error']}")
        print("2. The second attempt has that answer, and asks for the next:")
        print(f"   the model was asked for {', then '.join(asked)}; {run.usage().tokens:,} tokens")
        print(f"   {answer.text} Refund: {'yes' if answer.refund else 'no'}")


if __name__ == "__main__":
    try:
        main()
    except CoordinationError as error:
        sys.exit(f"examples.assistant: {error}")
