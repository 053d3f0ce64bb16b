"""The work of a benchmark, and how its result is checked."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.peers.ours_work import flow_of
from bench.work import WIDTH, Document, Job, WrongResult, document, joined, stepped


def done(job: Job) -> Document:
    """What comes of a job."""
    match job.shape:
        case "chain":
            return reduce(lambda given, _: stepped(given), range(job.length), job.document)
        case "fan-out":
            first = stepped(job.document)
            return joined([stepped(first) for _ in range(WIDTH)])
        case _:
            return stepped(job.document)


@given(st.sampled_from([Job(), Job("chain", 10), Job("fan-out"), Job("pause"), Job("async pause")]))
def test_a_right_result_passes(job: Job) -> None:
    """What its steps make of a job's document is its result."""
    job.check(done(job))


@pytest.mark.parametrize("shape", ["chain", "fan-out"])
@pytest.mark.parametrize("change", [{"steps": 2}, {"id": "another"}, {"text": "short"}, {"more": 1}])
def test_a_wrong_result_is_an_error(shape: str, change: Document) -> None:
    """One step too few, another's document or a changed one is no figure."""
    job = Job("fan-out" if shape == "fan-out" else "chain")
    with pytest.raises(WrongResult, match="gave"):
        job.check({**done(job), **change})


@pytest.mark.parametrize("result", [None, "text", [], {}])
def test_no_document_is_an_error(result: object) -> None:
    """So is what is no document."""
    with pytest.raises(WrongResult):
        Job().check(result)


def test_an_error_does_not_show_the_whole_text() -> None:
    """Of ten megabytes the message says how many there are."""
    with pytest.raises(WrongResult) as raised:
        Job(document=document(1_000_000)).check({"text": "x" * 1_000_000})
    assert len(str(raised.value)) < 1000
    assert "1000000" in str(raised.value)


def test_a_document_has_a_kilobyte_and_an_id_of_its_own() -> None:
    """No two runs are the same, or the second would be known."""
    assert document()["id"] != document()["id"]
    assert 900 < len(str(document())) < 1100


@pytest.mark.parametrize(
    ("job", "agents"),
    [
        (Job(), ["bench.one", "bench.two", "bench.three"]),
        (Job("chain", 10), ["bench.step"] * 10),
        (Job("fan-out"), ["bench.one", *["bench.part"] * WIDTH, "bench.join"]),
        (Job("pause"), ["bench.pause"]),
        (Job("async pause"), ["bench.async-pause"]),
    ],
)
def test_the_flow_of_a_job(job: Job, agents: list[str]) -> None:
    """The product's flow has the steps of the job."""
    assert [place.agent.name for place in flow_of(job).places()] == agents
