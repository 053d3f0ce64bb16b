"""What is published is what the code declares, and it is read and written through its migrations."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs import Contract, ContractRef, Key, agent, on
from handoffs.contracts.event import Event, Nothing
from handoffs.contracts.reference import media
from handoffs.contracts.reference.payments import FraudScored
from handoffs.contracts.registry.publishing import decide
from handoffs.contracts.registry.registry import Registry
from handoffs.contracts.versions import Versions
from handoffs.coordinator.flow.lineage import contracts_of, lineage_of
from handoffs.coordinator.flow.loading import Definitions, load_modules
from tests.stack import ROOT

FOLDER = ROOT / "contracts" / "published"
V1, V2 = ContractRef("payments.fraud-scored", 1), ContractRef("payments.fraud-scored", 2)
VERSIONS = Versions(published.known() for published in Registry(FOLDER))
MEDIA: tuple[type[Contract], ...] = tuple(
    found
    for found in vars(media).values()
    if isinstance(found, type) and issubclass(found, Contract) and found.__contract__
)


def definitions() -> Definitions:
    """All that comes with this package."""
    return load_modules(["handoffs.tasks.payments", "handoffs.tasks.rides"])


@pytest.mark.parametrize("contract", contracts_of(definitions()), ids=lambda contract: str(contract.ref()))
def test_what_the_code_declares_is_published(contract: type[Contract]) -> None:
    """Every contract of every agent is published as the code has it; its migrations hold and its golden envelopes are read."""
    decision = decide(contract, Registry(FOLDER))
    assert (decision.state, decision.problems) == ("published", ())


def test_nothing_else_is_published() -> None:
    """Each published contract is one that some agent uses, or one of the engine's own, or of media."""
    used = {contract.ref().name for contract in contracts_of(definitions())}
    engine: list[type[Contract]] = [Event, Nothing, *MEDIA]
    assert {*Registry(FOLDER).names()} == used | {contract.ref().name for contract in engine}


@pytest.mark.parametrize("contract", [Event, Nothing, *MEDIA])
def test_what_no_agent_declares_is_published(contract: type[Contract]) -> None:
    """The contracts of the engine, and of media, are published as the code has them."""
    decision = decide(contract, Registry(FOLDER))
    assert (decision.state, decision.problems) == ("published", ())


def test_every_published_version_can_be_read() -> None:
    """Each file is well formed, and has golden envelopes."""
    registry = Registry(FOLDER)
    assert len([*registry]) >= 6
    assert all(registry.golden(published.ref) for published in registry)


def test_who_is_concerned() -> None:
    """A contract knows its writers and readers, with their flows."""
    lineage = lineage_of(definitions(), "payments.fraud-scored")
    assert lineage.producers == ("payments.fraud (in payments.payment)",)
    assert lineage.consumers == ("payments.authorisation (in payments.payment)",)
    assert lineage_of(definitions(), "payments.payment-submitted").producers == (
        "whoever starts payments.payment",
    )


names = st.text("abcdefghijklmnopqrstuvwxyzäöü -", min_size=1, max_size=64)
terms: dict[str, st.SearchStrategy[Any]] = {
    "payment_id": st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"),
    "amount": st.decimals(min_value=Decimal("0.01"), max_value=10**9, places=2).map(str),
    "currency": st.sampled_from(["EUR", "USD", "GBP"]),
    "debtor": names,
    "creditor": names,
    "card_number": st.text("0123456789", max_size=19),
}


@given(st.fixed_dictionaries({**terms, "risk_level": st.sampled_from(["low", "medium", "high"])}))
def test_a_level_comes_back(data: dict[str, Any]) -> None:
    """What version 1 wrote is read as version 2, and written as version 1 again it is what it was."""
    scored = VERSIONS.read(FraudScored, V1, data)
    assert VERSIONS.write(FraudScored, scored.to_data(), 1) == data


@given(st.fixed_dictionaries({**terms, "risk_score": st.integers(0, 100)}))
def test_a_score_keeps_its_level(data: dict[str, Any]) -> None:
    """A score that goes through version 1 loses no more than is declared: it stays within its level, and all else is kept."""
    older = VERSIONS.write(FraudScored, data, 1)
    back = VERSIONS.read(FraudScored, V1, older).to_data()
    assert VERSIONS.write(FraudScored, back, 1) == older
    assert back["risk_score"] <= data["risk_score"]
    assert {**back, "risk_score": data["risk_score"]} == data


def test_events_are_contracts_that_somebody_uses() -> None:
    """What an agent emits as an event is found, with who emits it and who hears it, by a pattern too."""

    class Rung(Contract, name="bell.rung", version=1):
        bell: str = Key()

    class Pulled(Contract, name="bell.pulled", version=1):
        bell: str = Key()

    @on(Pulled)
    @agent("bell.ringer")
    def ringer(pulled: Pulled) -> list[Rung]:
        raise NotImplementedError

    @on("bell.#")
    @agent("bell.ear")
    def ear(event: Event) -> None:
        raise NotImplementedError

    loaded = Definitions({one.name: one for one in (ringer, ear)})
    assert {"bell.rung", "bell.pulled"} <= {contract.ref().name for contract in contracts_of(loaded)}
    lineage = lineage_of(loaded, "bell.rung")
    assert (lineage.producers, lineage.consumers) == (("bell.ringer",), ("bell.ear (hears bell.#)",))
