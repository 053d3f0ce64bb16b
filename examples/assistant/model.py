"""Stand-ins that need no network: a model that is busy at first, then calls a tool and answers; and the shop that the tool asks."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel


@dataclass
class StubShop:
    """Knows what became of each order. It is away the first ``away`` times that it is asked; ``asked`` is what it has answered."""

    away: int = 0
    asked: list[str] = field(default_factory=list)

    async def state_of(self, order: str) -> str:
        """What became of an order. Raises :class:`ConnectionError` while it is away."""
        if self.away:
            self.away -= 1
            raise ConnectionError("the shop is away")
        self.asked.append(order)
        return "lost in Lyon" if order == "o-1" else "delivered"


def stub_model(*, busy: int = 0, asked: list[str] | None = None) -> FunctionModel:
    """A model that answers with a 429 so many times, then asks the tool, then answers with what the tool said. ``asked`` gets a line for
    each answer that is paid for."""
    refusals = [None] * busy

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if refusals:
            refusals.pop()
            raise ModelHTTPError(429, "stub", headers={"retry-after": "0.05"})
        found = [part for one in messages for part in one.parts if isinstance(part, ToolReturnPart)]
        line = "a tool" if not found else "the answer"
        if asked is not None:
            asked.append(line)
        if not found:
            return ModelResponse([ToolCallPart("state_of", {"order": "o-1"})])
        [output] = info.output_tools
        text = f"Your parcel is {found[-1].content}."
        return ModelResponse([ToolCallPart(output.name, {"text": text, "refund": "lost" in text})])

    return FunctionModel(answer, model_name="stub")
