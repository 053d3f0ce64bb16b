"""`runs compare`, and `--dry-run` of what cancels a run."""

from __future__ import annotations

import pytest

from handoffs import Contract, Flow, Key, Permanent, agent, compensate
from handoffs.coordinator.client.run import Run
from tests.eager.command import Command, have_loaded
from tests.eager.office import ASKS, FILES, PRICES, Office


class Parcel(Contract, name="office.parcel", version=1):
    number: str = Key()


@agent("office.pack")
def pack(parcel: Parcel) -> Parcel:
    return parcel


@agent("office.unpack")
def unpack(parcel: Parcel) -> Parcel:
    return parcel


@agent("office.weigh")
def weigh(parcel: Parcel) -> Parcel:
    return parcel


@agent("office.send")
def send(parcel: Parcel) -> Parcel:
    raise Permanent("no stamp")


PARCELS = Flow("office.parcels", compensate(pack, by=unpack) >> weigh >> send)


@pytest.fixture
def parcel(office: Office, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of which a step can be undone, another cannot, and the last one is parked."""
    have_loaded(office.coordinator, monkeypatch, PRICES, ASKS, FILES, PARCELS)
    return office.coordinator.start(PARCELS, Parcel(number="p-1"))


@pytest.mark.parametrize("words", [["cancel", "--compensate"], ["give-up"]])
def test_it_is_said_first_what_would_be_undone(
    words: list[str], parcel: Run, office: Office, command: Command
) -> None:
    """Which steps, by which agents, and of which nothing undoes what they did; and nothing is changed."""
    status, out, err = command(office.coordinator, "runs", *words, parcel.id, "--dry-run")
    assert (status, err) == (0, "")
    assert "office.unpack" in out
    assert "office.parcel/1" in out
    assert "nothing undoes what these did: 2" in out
    assert parcel.status() == "parked"
    assert list(office.coordinator.actions(run=parcel.id)) == []


def test_without_compensate_nothing_would_be_undone(parcel: Run, office: Office, command: Command) -> None:
    """That is said, with what would undo it."""
    assert "--compensate" in command(office.coordinator, "runs", "cancel", parcel.id, "--dry-run")[1]


def test_of_a_run_that_has_ended_nothing_would_be_undone(office: Office, command: Command) -> None:
    """It is refused as the cancelling would be."""
    status, out, err = command(office.coordinator, "runs", "give-up", office.done.id, "--dry-run")
    assert (status, out) == (1, "")
    assert "had ended before" in err


def test_two_runs_are_compared_in_a_terminal(office: Office, command: Command) -> None:
    """Step by step, in what they differ; alike steps are left out unless they are wanted."""
    status, out, err = command(office.coordinator, "runs", "compare", office.done.id[:8], office.failed.id)
    assert (status, err) == (0, "")
    assert "2 of 2 steps differ" in out
    assert "outcome" in out
    alike = ["runs", "compare", office.done.id, office.done.id]
    assert "alike" not in command(office.coordinator, *alike)[1]
    assert "alike" in command(office.coordinator, *alike, "--all")[1]


def test_a_comparison_is_json_for_programs(office: Office, command: Command) -> None:
    """With the runs' whole ids and each change by its path."""
    told = command.json(office.coordinator, "runs", "compare", office.done.id[:8], office.failed.id[:8])
    assert (told["left"], told["right"]) == (office.done.id, office.failed.id)
    assert told["steps"][0]["input"] == [
        {"path": "number", "kind": "changed", "left": "good", "right": "bad"}
    ]
