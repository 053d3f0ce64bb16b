"""The agents, and their flow: one reads the pages, one writes the report."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from examples.research.model import Busy, StubModel
from handoffs import Context, Contract, Flow, Key, Retry, Spending, Transient, agent

PATIENT = Retry(attempts=3, allowance=timedelta(hours=1))


class Topic(Contract, name="research.topic", version=1):
    name: str = Key()
    pages: int


class Notes(Contract, name="research.notes", version=1):
    name: str = Key()
    notes: list[str]


class Report(Contract, name="research.report", version=1):
    name: str = Key()
    text: str


def research_flow(model: StubModel, *, tokens: int = 50_000) -> Flow:
    """Read a topic's pages, and write a report on them; each run may use up so many tokens."""

    def ask(context: Context, prompt: str) -> str:
        try:
            reply = model.complete(prompt)
        except Busy as error:
            raise Transient(str(error), retry_after=error.retry_after) from error
        context.usage(tokens=reply.tokens, cost=reply.cost)
        return reply.text

    @agent("research.read", retry=PATIENT, idle=timedelta(minutes=2))
    def read(topic: Topic, context: Context) -> Notes:
        notes = []
        for number in range(1, topic.pages + 1):
            context.progress(f"page {number} of {topic.pages}", (number - 1) / topic.pages)
            prompt = f"sum up page {number} of {topic.name}"
            notes.append(context.once(f"page {number}", partial(ask, context, prompt)))
        return Notes(name=topic.name, notes=notes)

    @agent("research.write", retry=PATIENT, idle=timedelta(minutes=2))
    def write(notes: Notes, context: Context) -> Report:
        prompt = f"write a report on {len(notes.notes)} notes"
        return Report(name=notes.name, text=context.once("report", lambda: ask(context, prompt)))

    return Flow("research.report", read >> write, spending=Spending(tokens=tokens))
