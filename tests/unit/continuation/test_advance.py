"""A flow goes through its chains and chords: each step once, each join when all its branches have arrived."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.moves import Cursor, Value
from handoffs.coordinator.continuation.signature import CHOICE, REPEAT, signature
from handoffs.coordinator.errors import Unanswerable
from tests.examples import examples
from tests.unit.continuation.plans import Plan, Run, flow_of, nodes, plans


@examples(150)
@given(plan=plans, data=st.data())
def test_every_step_is_reached_once(plan: Plan, data: st.DataObject) -> None:
    """In whatever order and however often messages come, each step is reached once, each join once, and the run ends once."""
    flow = flow_of(plan)
    steps, joins = nodes(plan)
    run = Run(flow)
    again = 3
    while run.waiting:
        repeats = again > 0 and data.draw(st.booleans(), label="comes again")
        again -= repeats
        number = data.draw(st.integers(0, len(run.waiting) - 1), label="which comes")
        run.deliver(number, again=repeats)
        assert run.ends == 0 or not run.waiting or set(run.done) == steps
    assert sorted(run.done) == sorted(steps) == sorted(place.path for place in flow.places())
    assert sorted(run.joined) == sorted(joins)
    assert run.arrived == joins
    assert run.ends == 1


@given(plan=plans)
def test_nothing_precedes_its_input(plan: Plan) -> None:
    """A step is sent only when all that stands before it in its sequence is done."""
    run = Run(flow_of(plan))
    while run.waiting:
        for send in run.waiting:
            *prefix, number = send.step.split(".")
            before = [".".join([*prefix, str(earlier)]) for earlier in range(1, int(number))]
            assert all(path in run.done or path in run.joined for path in before)
        run.deliver(len(run.waiting) - 1, again=False)


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "risk_level", "is": ">=", "value": 70},
        {"field": "due", "is": "<", "value": {"time": "2026-06-01T00:00:00"}},
    ],
)
@pytest.mark.parametrize("control", [CHOICE, REPEAT])
def test_condition_of_an_older_flow(condition: dict[str, object], control: str) -> None:
    """A run keeps the conditions that it was started with: where what arrives by now has no such field, or has it in another
    way, no way is taken."""
    choice = {"step": "2", "cases": [[condition, signature("a", {"step": "2.c1.1"})]], "otherwise": None}
    repeat = {
        "step": "2",
        "until": condition,
        "round": 1,
        "at_most": 3,
        "body": signature("a", {"step": "2.r*.1"}),
    }
    asked = signature(control, choice if control == CHOICE else repeat)
    with pytest.raises(Unanswerable):
        advance.after(
            Cursor("1", [asked], None),
            Value("urn:contract:a:1", {"risk_score": 90, "due": "2026-01-01T00:00:00Z"}),
        )
