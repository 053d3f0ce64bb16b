"""The contracts and the two agents."""

from __future__ import annotations

from typing import Annotated, Literal

from examples.review.model import Model
from handoffs import Contract, Flow, Hygiene, Key, Retry, UntrustedText, agent, render_for_prompt

WRITE = "Answer this customer's mail in two sentences. Promise nothing."
CHECK = "Does this answer promise money? Reply with yes or no."

Text = Annotated[UntrustedText, Hygiene(max_length=4000)]


class Mail(Contract, name="review.mail", version=1):
    """A customer wrote: text from outside."""

    mail_id: str = Key()
    body: Text


class Draft(Contract, name="review.draft", version=1):
    """What a model made of it is text from outside as well: it has read the mail."""

    mail_id: str = Key()
    answer: Text


class Review(Contract, name="review.review", version=1):
    """The verdict is one of two words, so nothing of the mail can get into it."""

    mail_id: str = Key()
    answer: Text
    verdict: Literal["send", "ask a person"]


def review_flow(model: Model) -> Flow:
    """Draft, then review, with ``model`` behind both."""

    @agent("review.drafter", retry=Retry(attempts=1))
    def drafter(mail: Mail) -> Draft:
        prompt = render_for_prompt(WRITE, mail.body)
        return Draft(mail_id=mail.mail_id, answer=UntrustedText(model(prompt)))

    @agent("review.reviewer", retry=Retry(attempts=1))
    def reviewer(draft: Draft) -> Review:
        answer = UntrustedText(model(render_for_prompt(CHECK, draft.answer, mode="datamark")))
        verdict: Literal["send", "ask a person"] = (
            "send" if answer.strip().lower() == "no" else "ask a person"
        )
        return Review(mail_id=draft.mail_id, answer=draft.answer, verdict=verdict)

    return Flow("review.answer", drafter >> reviewer)
