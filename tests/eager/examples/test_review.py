"""The example with two agents and a model does what its README says."""

import pytest

from examples.review import Mail, Review, StubModel, review_flow
from examples.review.__main__ import INJECTION, main
from handoffs import UntrustedText
from handoffs.coordinator.client.coordinator import Coordinator
from tests.waiting import wait_until


def test_orders_in_a_mail_arrive_as_data(anywhere: Coordinator) -> None:
    """The injected order stands between delimiters that the mail cannot close, and the answer travels marked."""
    model = StubModel()
    run = anywhere.start(review_flow(model), Mail(mail_id="1", body=UntrustedText(INJECTION)))
    review = run.result(timeout=10)
    assert isinstance(review, Review)
    assert review.verdict == "send"
    assert type(review.answer) is UntrustedText
    first, second = model.asked
    assert first.content.endswith(f"\n<data {first.delimiter}>\n{INJECTION}\n</data {first.delimiter}>")
    assert f"Thank{second.delimiter}you{second.delimiter}for" in second.content


def test_a_bewitched_model_is_parked_and_replayed(anywhere: Coordinator) -> None:
    """Words that a model hides never reach the next agent; the run waits, and goes on when the model is mended."""
    model = StubModel(bewitched=True)
    run = anywhere.start(review_flow(model), Mail(mail_id="2", body=UntrustedText("Where is it?")))
    assert run.wait(timeout=10) == "parked"
    [letter] = wait_until(run.letters, description="the letter is kept")
    assert (letter.agent, letter.error) == ("review.drafter", "UnsafeText")
    assert "U+E0077 (tag) at 59" in letter.text
    assert letter.text.isascii()
    model.bewitched = False
    letter.replay()
    assert run.result(timeout=10).verdict == "send"
    assert len(model.asked) == 3


def test_it_says_what_happens(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as a program it tells the three stories in a few lines, and ends well."""
    for name in ("COORDINATOR_BROKER_URL", "COORDINATOR_REDIS_URL", "COORDINATOR_JOURNAL_URL"):
        monkeypatch.delenv(name, raising=False)
    main()
    said = capsys.readouterr().out
    assert "completed: send: Thank you for your mail." in said
    assert "the text holds U+202E (bidi) at 6, U+202C (bidi) at 14" in said
    assert "review.drafter: UnsafeText: the text holds U+E0077 (tag) at 59" in said
    assert said.endswith("send: completed\n")
    assert len(said.splitlines()) < 30
