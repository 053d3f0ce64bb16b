"""Interventions: a person gives a step another input, or its outcome."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handoffs.config.user import current_user
from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidData, InvalidInput
from handoffs.contracts.text import printable
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.client.parked import ParkedRuns
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.errors import EditRefused, UnknownRun
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.edit import Editing
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.letters.replay import read_letter
from handoffs.coordinator.letters.skip import Skips
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.run_state import ENDED, can_be_edited

_NOTHING = "nothing was edited"
_LOOK = "look at the run: coordinator runs show RUN"


@dataclass(frozen=True, slots=True)
class LetterInput:
    """What an edit of a letter begins with: the contract that its agent accepts, its input with sensitive values masked (None where it
    cannot be read), and which fields its idempotency key is made of."""

    contract: type[Contract]
    value: Any
    keys: frozenset[str]


class Interventions:
    """Checks what a person gives against the contracts of the step's agent, which must be loaded here.

    Every method records who did it (``by``, by default who is logged in) and why, and raises
    :class:`~handoffs.contracts.errors.InvalidData` where what is given does not fit the agent's contract, and
    :class:`~handoffs.coordinator.errors.LoadError` where the agent is not loaded here.
    """

    def __init__(
        self, services: Services, journal: Journal, desk: Desk, parked: ParkedRuns, loaded: Loaded
    ) -> None:
        self._services = services
        self._journal = journal
        self._desk = desk
        self._parked = parked
        self._loaded = loaded

    def input_of(self, letter: Letter) -> LetterInput:
        """What an edit of a letter's input begins with."""
        agent = self._loaded.agent(letter.agent)
        fields = agent.accepts.model_fields
        keys = frozenset(fields[name].alias or name for name in agent.accepts.__keys__)
        value = letter.payload
        if value is None:
            with contextlib.suppress(InvalidInput):
                limits, versions = self._services.settings.message_limits, self._services.versions
                envelope, _, _ = read_letter(letter.row, limits, self._services.payloads.fetch)
                value = versions.shown(envelope.contract, envelope.data)
        return LetterInput(agent.accepts, value, keys)

    def outcome_of(self, letter: Letter) -> type[Contract]:
        """The contract of the outcome that a skip gives to the step of a letter. Raises what :meth:`skip` raises."""
        skips = Skips(self._services, self._journal)
        skips.refuse(letter.row)
        if letter.agent == TIMER:
            return self._loaded.contract(skips.given_by_timer(letter.row))
        return self._loaded.agent(letter.agent).emits

    def skip(
        self, letter: Letter, output: Contract | Mapping[str, Any], *, by: str = "", why: str = ""
    ) -> None:
        """Give the parked step of ``letter`` its outcome. Raises what :meth:`handoffs.coordinator.letters.skip.Skips.skip` raises too."""
        contract = self.outcome_of(letter)
        made = _outcome(contract, output, "the timer" if letter.agent == TIMER else letter.agent)
        Skips(self._services, self._journal).skip(letter.row, made, by=by or current_user(), why=why)

    def edit(
        self, letter: Letter, payload: Contract | Mapping[str, Any], *, by: str = "", why: str = ""
    ) -> None:
        """Give the parked step of ``letter`` another input, and replay it.

        Raises what :meth:`handoffs.coordinator.letters.edit.Editing.parked` raises too.
        """
        agent = self._loaded.agent(letter.agent)
        self._editing(by, why).parked(letter.row, agent, payload)

    def edit_step(
        self,
        run_id: str,
        step: str,
        payload: Contract | Mapping[str, Any],
        *,
        by: str = "",
        why: str = "",
    ) -> None:
        """Give a step of a run another input: one that is parked is replayed, one that is held begins with it.

        Raises :class:`~handoffs.coordinator.errors.EditRefused` where the step is neither, what :meth:`edit` raises, and
        :class:`~handoffs.coordinator.errors.UnknownRun` where the run has ended.
        """
        record = self._services.runs.get(run_id)
        if record is None:
            raise self._unknown(run_id)
        if step in record.parked:
            self.edit(self._letter(run_id, step), payload, by=by, why=why)
            return
        if record.status in ENDED:
            raise EditRefused(
                f"step {printable(step, 120)} of run {run_id} cannot be edited: its run is {record.status}",
                _NOTHING,
                _LOOK,
            )
        if step not in record.held or not record.paused or not can_be_edited(record.held[step]):
            raise EditRefused(
                f"step {printable(step, 120)} of run {run_id} is neither parked nor held with its run",
                _NOTHING,
                "pause the run, and edit a step that has not begun: coordinator runs show RUN",
            )
        agent = self._loaded.agent(record.held[step]["agent"])
        self._editing(by, why).held(record, step, agent, payload)

    def _unknown(self, run_id: str) -> UnknownRun:
        """The error for a run that Redis does not know."""
        state = self._journal.runs.states([run_id]).get(run_id, "")
        if state in ENDED:
            return UnknownRun(
                f"run {printable(run_id, 120)} is {state}, and Redis has forgotten it", _NOTHING, _LOOK
            )
        return UnknownRun(f"Redis does not know run {printable(run_id, 120)}", _NOTHING, _LOOK)

    def _letter(self, run_id: str, step: str) -> Letter:
        self._parked.await_letters(run_id)
        letter = next((one for one in self._desk.letters(run=run_id) if one.step == step), None)
        if letter is None:
            raise EditRefused(
                f"the dead letter of step {printable(step, 120)} is not in the journal yet",
                _NOTHING,
                "see that the coordinator process runs (coordinator serve), and ask again",
            )
        return letter

    def _editing(self, by: str, why: str) -> Editing:
        return Editing(self._services, self._journal, self._desk, by=by or current_user(), why=why)


def _outcome(contract: type[Contract], given: Contract | Mapping[str, Any], agent: str) -> Contract:
    """What a person gave, as the contract that an agent emits. Raises :class:`InvalidData`."""
    rule, consequence = f"{agent} emits", "nothing was skipped"
    if isinstance(given, Contract):
        if not isinstance(given, contract):
            raise InvalidData(f"{rule} {contract.ref()}, not {given.ref()}", consequence)
        given = given.to_data()  # it may have been made without validation
    if not isinstance(given, Mapping):
        raise InvalidData(f"{rule} {contract.ref()}, which is an object", consequence)
    return contract.from_data(dict(given))
