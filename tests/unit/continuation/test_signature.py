"""Signatures are plain JSON values, in Celery's form."""

import json

from celery.canvas import Signature

from handoffs.coordinator.continuation.signature import Send, event, placed, signature, tasks, with_chord


def test_a_signature_is_one_of_celerys() -> None:
    """What is made here is what Celery makes of the same task, arguments and options."""
    ours = signature("shop.price", {"step": "2"}, chain=[], chord=None)
    assert ours == json.loads(
        json.dumps(Signature("shop.price", kwargs={"step": "2"}, options={"chain": [], "chord": None}))
    )


def test_an_event_says_which_contract_it_is_of() -> None:
    """An event's signature has the name of its contract, and what those who hear it accept."""
    send = Send(event("shop.order", "3!", "urn:contract:shop.paid:2"), [])
    assert (send.agent, send.step, send.accepts, send.chord) == (
        "coordinator.event",
        "3!",
        "urn:contract:shop.paid:2",
        None,
    )
    assert send.signature["kwargs"]["event"] == "shop.paid"


def test_a_body_that_runs_more_than_once_is_placed_each_time() -> None:
    """The template in paths becomes the path of one time, once in each path and nowhere else."""
    body = signature("shop.price", {"step": "4.i*.1.i*.2", "turn": "@4.i*", "accepts": "4.i*"})
    assert placed(body, "4.i*", "4.i7")["kwargs"] == {
        "step": "4.i7.1.i*.2",
        "turn": "@4.i7",
        "accepts": "4.i*",
    }


def test_the_last_of_a_chain_is_part_of_a_chord() -> None:
    """A chord is carried by the last task; a task is a chain of one."""
    one, two, join = (signature(name, {}) for name in ("one", "two", "coordinator.join"))
    both = {**signature("celery.chain", {"tasks": [one, two]}), "subtask_type": "chain"}
    first, last = tasks(with_chord(both, join))
    assert (first, last["options"]) == (one, {"chord": join})
    assert tasks(with_chord(one, join)) == [{**one, "options": {"chord": join}}]
