"""The card gateway: one charge for each idempotency key, and behaviour chosen by the test card."""

import multiprocessing
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from handoffs.tasks.payments.cards import (
    APPROVED_CARDS,
    CARD_APPROVED,
    CARD_INSUFFICIENT_FUNDS,
    CARD_STOLEN,
    CARD_TIMEOUT,
    DECLINE_INSUFFICIENT_FUNDS,
    DECLINE_NOT_A_TEST_CARD,
    DECLINE_STOLEN_CARD,
    TEST_CARDS,
    luhn_valid,
)
from handoffs.tasks.payments.charges import Authorisation
from handoffs.tasks.payments.gateway import CardGateway, authorisation_code
from handoffs.tasks.payments.gateway_errors import (
    GatewayConflict,
    GatewayError,
    GatewayTimeout,
    GatewayUnavailable,
    InvalidCharge,
)
from handoffs.tasks.payments.ledger import Ledger
from handoffs.tasks.payments.money import InvalidAmount, UnknownCurrency
from tests.examples import examples

PATIENT = timedelta(seconds=60)
UNKNOWN_CARD = "4000056655665556"
REQUEST: dict[str, Any] = {
    "idempotency_key": "pay-1",
    "card_number": CARD_APPROVED,
    "amount": Decimal("12.50"),
    "currency": "EUR",
}
ERRORS: list[GatewayError] = [
    InvalidCharge("card number", "is not 12 to 19 digits with the right check digit"),
    GatewayConflict("pay-1", ("card", "amount")),
    GatewayTimeout("pay-1"),
    GatewayUnavailable("authorise", "it is switched off"),
]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'gateway.sqlite3'}"


@pytest.fixture
def gateway(url: str) -> Iterator[CardGateway]:
    """A new gateway that waits for locks as long as a test may take."""
    gateway = CardGateway(url, busy_timeout=PATIENT)
    yield gateway
    gateway.close()


def _outcome(gateway: CardGateway, **change: Any) -> str:
    try:
        answer = gateway.authorise(**REQUEST | change)
    except GatewayTimeout:
        return "timeout"
    return "replayed" if answer.replayed else "charged"


def _authorise_in_process(url: str, barrier: Barrier, answers: Any) -> None:
    gateway = CardGateway(url, busy_timeout=PATIENT)
    barrier.wait(60)
    answers.put(_outcome(gateway, card_number=CARD_TIMEOUT))


def _is_down_in_process(url: str, answers: Any) -> None:
    answers.put(_answer_while_down(CardGateway(url, busy_timeout=PATIENT)))


def _answer_while_down(gateway: CardGateway) -> str:
    try:
        gateway.authorise(**REQUEST)
    except GatewayUnavailable as error:
        return error.reason
    return "answered"


# --- Test cards ----------------------------------------------------------------------------------


@pytest.mark.parametrize("card", APPROVED_CARDS)
def test_approved_cards(gateway: CardGateway, card: str) -> None:
    """An approved card is charged, and the authorisation code follows from the key."""
    answer = gateway.authorise(**REQUEST | {"card_number": card})
    assert answer == Authorisation(True, authorisation_code("pay-1"), None, replayed=False)
    assert len(answer.code) == 10
    assert answer.code != authorisation_code("pay-2")


@pytest.mark.parametrize(
    ("card", "decline_code"),
    [
        (CARD_INSUFFICIENT_FUNDS, DECLINE_INSUFFICIENT_FUNDS),
        (CARD_STOLEN, DECLINE_STOLEN_CARD),
        (UNKNOWN_CARD, DECLINE_NOT_A_TEST_CARD),
    ],
)
def test_declined_cards(gateway: CardGateway, card: str, decline_code: str) -> None:
    """A declined card is answered with its decline code and no authorisation code, the second time too."""
    for replayed in (False, True):
        answer = gateway.authorise(**REQUEST | {"card_number": card})
        assert answer == Authorisation(False, "", decline_code, replayed)


def test_timeout_takes_effect(gateway: CardGateway) -> None:
    """A time-out card is charged before the time-out, and the next call with the key is answered."""
    with pytest.raises(GatewayTimeout) as caught:
        gateway.authorise(**REQUEST | {"card_number": CARD_TIMEOUT})
    assert caught.value.idempotency_key == "pay-1"
    assert gateway.charges().approved == 1
    answer = gateway.authorise(**REQUEST | {"card_number": CARD_TIMEOUT})
    assert answer == Authorisation(True, authorisation_code("pay-1"), None, replayed=True)
    assert gateway.charges().count == 1


def test_cards_pass_the_check_digit() -> None:
    """All test cards are different and have the right check digit."""
    assert len(set(TEST_CARDS)) == len(TEST_CARDS)
    assert all(luhn_valid(card) for card in (*TEST_CARDS, UNKNOWN_CARD))


@given(card=st.sampled_from(TEST_CARDS), place=st.integers(0, 15), digit=st.sampled_from("0123456789"))
def test_check_digit_finds_any_wrong_digit(card: str, place: int, digit: str) -> None:
    """One wrong digit anywhere in a card number is found."""
    place %= len(card)
    wrong = card[:place] + digit + card[place + 1 :]
    assert luhn_valid(wrong) == (wrong == card)


# --- Memory --------------------------------------------------------------------------------------


def test_same_request_is_replayed(gateway: CardGateway, url: str) -> None:
    """The same request again is answered from memory, by another gateway object as well."""
    first = gateway.authorise(**REQUEST)
    again = CardGateway(url).authorise(**REQUEST | {"amount": Decimal("12.5")})
    assert (first.replayed, again.replayed) == (False, True)
    assert again.code == first.code
    assert gateway.charges().count == 1


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"card_number": CARD_STOLEN}, ("card",)),
        ({"amount": Decimal("12.51")}, ("amount",)),
        ({"currency": "USD"}, ("currency",)),
        (
            {"card_number": CARD_TIMEOUT, "amount": Decimal(1), "currency": "BHD"},
            ("card", "amount", "currency"),
        ),
    ],
)
def test_other_content_conflicts(
    gateway: CardGateway, change: dict[str, Any], differs: tuple[str, ...]
) -> None:
    """A used key with another card, amount or currency raises GatewayConflict, and charges nothing."""
    gateway.authorise(**REQUEST)
    before = gateway.charges()
    with pytest.raises(GatewayConflict) as caught:
        gateway.authorise(**REQUEST | change)
    assert caught.value.differs == differs
    assert gateway.charges() == before


def test_charges_lists_what_was_answered(gateway: CardGateway) -> None:
    """The audit lists each key once with amount, last four digits and answer, declined ones included."""
    before = datetime.now(UTC)
    gateway.authorise(**REQUEST)
    gateway.authorise(**REQUEST)
    gateway.authorise(**REQUEST | {"idempotency_key": "pay-0", "card_number": CARD_STOLEN})
    audit = gateway.charges()
    assert (audit.count, audit.approved) == (2, 1)
    declined, approved = audit.charges
    assert (approved.idempotency_key, approved.last_four, approved.amount) == (
        "pay-1",
        "4242",
        Decimal("12.50"),
    )
    assert (approved.approved, approved.code, approved.decline_code) == (
        True,
        authorisation_code("pay-1"),
        None,
    )
    assert (declined.idempotency_key, declined.last_four, declined.currency) == ("pay-0", "9979", "EUR")
    assert (declined.approved, declined.code, declined.decline_code) == (False, "", DECLINE_STOLEN_CARD)
    assert before <= approved.charged_at <= declined.charged_at <= datetime.now(UTC)


def test_new_gateway_has_no_charges(gateway: CardGateway) -> None:
    """A new gateway is up and has charged nothing."""
    assert not gateway.is_down()
    assert gateway.charges().count == 0


_REQUESTS = st.fixed_dictionaries(
    {
        "idempotency_key": st.sampled_from(["k1", "k2", "k3"]),
        "card_number": st.sampled_from([CARD_APPROVED, CARD_STOLEN, CARD_TIMEOUT]),
        "amount": st.sampled_from([Decimal(1), Decimal(2)]),
        "currency": st.just("EUR"),
    }
)


@examples(40)
@given(requests=st.lists(_REQUESTS, max_size=12))
def test_any_sequence_charges_each_key_once(
    requests: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After any sequence of requests, each key has the charge of its first request and no other."""
    gateway = CardGateway(f"sqlite:///{tmp_path_factory.mktemp('gateway')}/gateway.sqlite3")
    first: dict[str, dict[str, Any]] = {}
    for request in requests:
        new = request["idempotency_key"] not in first
        stands = first.setdefault(request["idempotency_key"], request)
        if stands != request:
            with pytest.raises(GatewayConflict):
                gateway.authorise(**request)
        elif new and request["card_number"] == CARD_TIMEOUT:
            with pytest.raises(GatewayTimeout):
                gateway.authorise(**request)
        else:
            assert gateway.authorise(**request).replayed != new
    charged = {
        charge.idempotency_key: (charge.last_four, charge.amount) for charge in gateway.charges().charges
    }
    assert charged == {
        key: (request["card_number"][-4:], request["amount"]) for key, request in first.items()
    }


# --- Threads and processes -----------------------------------------------------------------------


@pytest.mark.parametrize(("card", "first"), [(CARD_APPROVED, "charged"), (CARD_TIMEOUT, "timeout")])
def test_eight_threads_charge_once(gateway: CardGateway, card: str, first: str) -> None:
    """Of eight threads with the same request at once, one charges and seven are answered from memory."""
    barrier = threading.Barrier(8)

    def authorise(_: int) -> str:
        barrier.wait(60)
        return _outcome(gateway, card_number=card)

    with ThreadPoolExecutor(8) as threads:
        outcomes = sorted(threads.map(authorise, range(8)))
    assert outcomes == sorted([first] + 7 * ["replayed"])
    assert gateway.charges().count == 1


def test_two_processes_charge_once(gateway: CardGateway, url: str) -> None:
    """Of two processes with the same time-out request at once, one times out and one is answered."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.SimpleQueue()
    processes = [
        context.Process(target=_authorise_in_process, args=(url, barrier, answers)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(90)
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted([answers.get(), answers.get()]) == ["replayed", "timeout"]
    assert gateway.charges().count == 1


# --- Outages -------------------------------------------------------------------------------------


def test_every_call_fails_while_down(gateway: CardGateway, url: str) -> None:
    """While the gateway is down every call fails, a known key too, until it is up again."""
    gateway.authorise(**REQUEST)
    CardGateway(url).down()
    assert gateway.is_down()
    for key in ("pay-1", "pay-2"):
        with pytest.raises(GatewayUnavailable, match="switched off"):
            gateway.authorise(**REQUEST | {"idempotency_key": key})
    assert gateway.charges().count == 1
    CardGateway(url).up()
    assert not gateway.is_down()
    assert gateway.authorise(**REQUEST).replayed


def test_other_processes_see_the_switch(gateway: CardGateway, url: str) -> None:
    """A gateway that one process switches off is off in another process."""
    gateway.down()
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=_is_down_in_process, args=(url, answers))
    process.start()
    process.join(90)
    assert process.exitcode == 0
    assert answers.get() == "it is switched off"


def test_switching_twice_is_harmless(gateway: CardGateway) -> None:
    """Switching off or on again what is off or on already changes nothing."""
    for switch, down in ((gateway.up, False), (gateway.down, True)):
        switch()
        switch()
        assert gateway.is_down() is down


def test_locked_database(url: str) -> None:
    """A database that stays locked raises GatewayUnavailable with its cause."""
    gateway = CardGateway(url, busy_timeout=timedelta(0))
    gateway.charges()
    ledger_in_the_same_file = Ledger(url)
    with ledger_in_the_same_file.outage(), pytest.raises(GatewayUnavailable, match="locked") as caught:
        gateway.authorise(**REQUEST)
    assert isinstance(caught.value.__cause__, OperationalError)
    assert not gateway.authorise(**REQUEST).replayed


# --- Card numbers stay secret --------------------------------------------------------------------


def test_card_number_is_not_stored(gateway: CardGateway, tmp_path: Path) -> None:
    """No file of the gateway holds a card number, whatever was answered."""
    for card in TEST_CARDS:
        _outcome(gateway, idempotency_key=f"pay-{card[-4:]}", card_number=card)
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert files
    assert not any(card.encode() in content for card in TEST_CARDS for content in files)


def test_fingerprints_tell_cards_apart_within_one_gateway(gateway: CardGateway, tmp_path: Path) -> None:
    """The same card has one fingerprint in a gateway, and another in another gateway."""
    other = CardGateway(f"sqlite:///{tmp_path}/other.sqlite3")
    for key, card in (("a", CARD_APPROVED), ("b", CARD_APPROVED), ("c", CARD_STOLEN)):
        gateway.authorise(**REQUEST | {"idempotency_key": key, "card_number": card})
    other.authorise(**REQUEST)
    same, again, different = (charge.fingerprint for charge in gateway.charges().charges)
    assert same == again
    assert len({same, different, other.charges().charges[0].fingerprint}) == 3


@pytest.mark.parametrize(
    "card",
    [
        "",
        "4242",
        "4242424242424241",
        "4242 4242 4242 4242",
        "4" * 40,
        "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢",
        None,
        4242424242424242,
    ],
)
def test_unfit_card_numbers_are_refused(gateway: CardGateway, card: Any) -> None:
    """A text that is no card number raises InvalidCharge, a ValueError that does not repeat it."""
    with pytest.raises(InvalidCharge) as caught:
        gateway.authorise(**REQUEST | {"card_number": card})
    assert isinstance(caught.value, ValueError)
    assert caught.value.field == "card number"
    assert not card or str(card) not in str(caught.value)
    assert gateway.charges().count == 0


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "a\nb", None, f"pay-{CARD_APPROVED}"])
def test_unfit_keys_are_refused(gateway: CardGateway, key: Any) -> None:
    """An unfit idempotency key, such as one with the card number in it, raises InvalidCharge."""
    with pytest.raises(InvalidCharge) as caught:
        gateway.authorise(**REQUEST | {"idempotency_key": key})
    assert caught.value.field == "idempotency key"
    assert CARD_APPROVED not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"amount": Decimal("12.505")}, InvalidAmount),
        ({"amount": Decimal(-1)}, InvalidAmount),
        ({"amount": Decimal("NaN")}, InvalidAmount),
        ({"currency": "XQZ"}, UnknownCurrency),
    ],
)
def test_unfit_amounts_are_refused(
    gateway: CardGateway, change: dict[str, Any], error: type[Exception]
) -> None:
    """An unfit amount or currency is refused as the ledger would, and charges nothing."""
    with pytest.raises(error):
        gateway.authorise(**REQUEST | change)
    assert gateway.charges().count == 0


def test_errors_do_not_name_the_card(gateway: CardGateway) -> None:
    """No error of a call names the card number, neither in its text nor in its attributes."""
    caught: list[GatewayError] = []
    gateway.authorise(**REQUEST)
    for change in ({"card_number": CARD_TIMEOUT}, {"idempotency_key": "pay-2", "card_number": CARD_TIMEOUT}):
        with pytest.raises(GatewayError) as failure:
            gateway.authorise(**REQUEST | change)
        caught.append(failure.value)
    gateway.down()
    with pytest.raises(GatewayUnavailable) as unavailable:
        gateway.authorise(**REQUEST)
    for error in (*caught, unavailable.value):
        words = f"{error} {error.args} {vars(error)}"
        assert not any(card in words for card in TEST_CARDS)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_survive_pickling(error: GatewayError) -> None:
    """An error keeps its type, message and attributes through pickle, and through its own arguments."""
    for copy in (pickle.loads(pickle.dumps(error)), type(error)(*error.args)):
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert vars(copy) == vars(error)


def test_construction_opens_nothing(tmp_path: Path) -> None:
    """A new gateway touches no file before its first use, and its text names its database."""
    gateway = CardGateway(f"sqlite:///{tmp_path}/gateway.sqlite3")
    assert "gateway.sqlite3" in repr(gateway)
    assert list(tmp_path.iterdir()) == []
