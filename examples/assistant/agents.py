"""The agent that answers a ticket, and its flow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pydantic_ai
from pydantic import BaseModel
from pydantic_ai.models import Model

from examples.assistant.model import StubShop
from examples.assistant.recorded import RecordedModel
from handoffs import Context, Contract, Flow, Key, Retry, Spending, UntrustedText, agent, render_for_prompt

PATIENT = Retry(attempts=3, backoff=timedelta(milliseconds=50), allowance=timedelta(hours=1))


class Ticket(Contract, name="assistant.ticket", version=1):
    number: str = Key()
    order: str
    text: UntrustedText


class Answer(Contract, name="assistant.answer", version=1):
    number: str = Key()
    text: str
    refund: bool


class Reply(BaseModel):
    """What the model is to decide."""

    text: str
    refund: bool


@dataclass
class Desk:
    """What the tools of an attempt need."""

    shop: StubShop
    context: Context


ASSISTANT = pydantic_ai.Agent(
    deps_type=Desk,
    output_type=Reply,
    instructions="Answer the ticket. Look the order up first. Refund what was lost.",
)


@ASSISTANT.tool
async def state_of(run: pydantic_ai.RunContext[Desk], order: str) -> str:
    """What became of an order."""
    desk = run.deps
    found: str = await desk.context.aonce(f"state of {order}", lambda: desk.shop.state_of(order))
    return found


def assistant_flow(model: Model, shop: StubShop, *, tokens: int = 20_000) -> Flow:
    """A flow whose agent asks ``model``, with tools that ask ``shop``; each run may use up so many tokens."""

    @agent("assistant.answer", retry=PATIENT, idle=timedelta(minutes=2))
    async def answer(ticket: Ticket, context: Context) -> Answer:
        prompt = str(render_for_prompt("Answer this ticket.", ticket))
        recorded = RecordedModel(model, context)
        result = await ASSISTANT.run(prompt, model=recorded, deps=Desk(shop, context))
        reply = result.output
        return Answer(number=ticket.number, text=reply.text, refund=reply.refund)

    return Flow("assistant.support", answer, spending=Spending(tokens=tokens))
