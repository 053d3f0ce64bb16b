"""The ledger: a payment is booked once, whoever asks and however often."""

import contextlib
import multiprocessing
import pickle
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, MetaData, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from handoffs.tasks.payments.audit import Audit
from handoffs.tasks.payments.ledger import Booking, Ledger
from handoffs.tasks.payments.ledger_errors import (
    InvalidTransfer,
    LedgerConflict,
    LedgerError,
    LedgerUnavailable,
)
from handoffs.tasks.payments.money import (
    MAX_MINOR_UNITS,
    InvalidAmount,
    UnknownCurrency,
    currency_exponent,
    major_units,
    minor_units,
)
from handoffs.tasks.payments.sqlstore import SqlStore
from tests.examples import examples

PATIENT = timedelta(seconds=60)
AT_ONCE = timedelta(0)
ORDER: dict[str, Any] = {
    "payment_id": "pay-1",
    "debit": "customer-1",
    "credit": "merchant-1",
    "amount": Decimal("12.50"),
    "currency": "EUR",
}
ERRORS: list[Exception] = [
    InvalidTransfer("payment id", "is empty"),
    InvalidAmount("NaN", "EUR", "is not a finite number"),
    UnknownCurrency("XQZ"),
    LedgerConflict("pay-1", "12.50 EUR from 'a' to 'b'", "13.00 EUR from 'a' to 'b'"),
    LedgerUnavailable("book", "database is locked"),
]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """A new ledger that waits for locks as long as a test may take."""
    ledger = Ledger(url, busy_timeout=PATIENT)
    yield ledger
    ledger.close()


def _run_sql(url: str, *statements: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _book_in_process(url: str, barrier: Barrier, answers: Any) -> None:
    ledger = Ledger(url, busy_timeout=PATIENT)
    barrier.wait(60)
    answers.put([ledger.book(**ORDER | {"payment_id": f"pay-{number}"}).repeated for number in range(20)])


def _compare_engines(store: SqlStore, inherited: Engine, answers: Any) -> None:
    own = store._own().engine
    answers.put((own is inherited, store._own().engine is own, own.pool is inherited.pool))


def _book_after_fork(ledger: Ledger, answers: Any) -> None:
    answers.put((ledger.book(**ORDER).repeated, ledger.audit()))


def _in_fork(target: Callable[..., None], *args: Any) -> Any:
    """What the target puts into its last argument, in a child that inherits the others by fork."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=target, args=(*args, answers))
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # Python 3.12 warns of threads, whoever started them
        child.start()
    child.join(60)
    assert child.exitcode == 0
    return answers.get()


# --- Booking -------------------------------------------------------------------------------------


def test_booking_moves_the_amount(ledger: Ledger) -> None:
    """A booking takes the amount from the debit account and gives it to the credit account."""
    before = datetime.now(UTC)
    booking = ledger.book(**ORDER)
    assert booking == Booking(**ORDER, booked_at=booking.booked_at, repeated=False)
    assert before <= booking.booked_at <= datetime.now(UTC)
    assert ledger.balance("customer-1", "EUR") == Decimal("-12.50")
    assert ledger.balance("merchant-1", "EUR") == Decimal("12.50")
    assert ledger.audit() == Audit(transfers=1, entries=2, doubled=0, balanced=True)


def test_repeat_answers_the_first_booking(ledger: Ledger) -> None:
    """The same payment again answers the first booking, marked as repeated, and books nothing."""
    first = ledger.book(**ORDER)
    again = ledger.book(**ORDER | {"amount": Decimal("12.5")})
    assert again == Booking(**ORDER, booked_at=first.booked_at, repeated=True)
    assert str(again.amount) == "12.50"
    assert ledger.audit() == Audit(transfers=1, entries=2, doubled=0, balanced=True)


@pytest.mark.parametrize(
    "change",
    [
        {"amount": Decimal("12.51")},
        {"currency": "USD"},
        {"debit": "customer-2"},
        {"credit": "merchant-2"},
        {"debit": "merchant-1", "credit": "customer-1"},
    ],
    ids="+".join,
)
def test_other_content_conflicts(ledger: Ledger, change: dict[str, Any]) -> None:
    """A booked payment with any other content raises LedgerConflict, and the first booking stands."""
    ledger.book(**ORDER)
    with pytest.raises(LedgerConflict) as caught:
        ledger.book(**ORDER | change)
    assert caught.value.payment_id == "pay-1"
    assert "12.50 EUR" in caught.value.booked
    assert ledger.balance("merchant-1", "EUR") == Decimal("12.50")
    assert ledger.audit() == Audit(transfers=1, entries=2, doubled=0, balanced=True)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"payment_id": ""}, "payment id"),
        ({"payment_id": "  "}, "payment id"),
        ({"payment_id": "a\0b"}, "payment id"),
        ({"payment_id": "\ud800"}, "payment id"),
        ({"payment_id": "x" * 201}, "payment id"),
        ({"payment_id": 7}, "payment id"),
        ({"debit": ""}, "debit account"),
        ({"credit": None}, "credit account"),
        ({"credit": "customer-1"}, "credit account"),
    ],
)
def test_unfit_transfers_are_refused(ledger: Ledger, change: dict[str, Any], field: str) -> None:
    """An unfit payment id or account raises InvalidTransfer, a ValueError that names the field."""
    with pytest.raises(InvalidTransfer) as caught:
        ledger.book(**ORDER | change)
    assert caught.value.field == field
    assert isinstance(caught.value, ValueError)
    assert ledger.audit().transfers == 0


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12.50", "EUR", 1250),
        ("12.5000", "EUR", 1250),
        ("7", "JPY", 7),
        ("1E+3", "JPY", 1000),
        ("1.234", "BHD", 1234),
    ],
)
def test_minor_units(amount: str, currency: str, minor: int) -> None:
    """An amount is counted in the currency's minor unit, of ISO 4217: yen, cents or fils."""
    assert minor_units(Decimal(amount), currency) == minor
    assert major_units(minor, currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "currency", "reason"),
    [
        (Decimal("12.505"), "EUR", "more decimals"),
        (Decimal("0.5"), "JPY", "more decimals"),
        (Decimal("1.2345"), "BHD", "more decimals"),
        (Decimal("1E-999999"), "EUR", "more decimals"),
        (Decimal("123456789012345678901234567890.001"), "EUR", "larger"),
        (Decimal("1.00000000000000000000000000000000001"), "EUR", "more decimals"),
        (Decimal("1E+999999"), "EUR", "larger"),
        (Decimal(MAX_MINOR_UNITS + 1), "JPY", "larger"),
        (Decimal(0), "EUR", "not positive"),
        (Decimal("-1.00"), "EUR", "not positive"),
        (Decimal("NaN"), "EUR", "not a finite number"),
        (Decimal("sNaN"), "EUR", "not a finite number"),
        (Decimal("Infinity"), "EUR", "not a finite number"),
        (12.5, "EUR", "float"),
        (True, "EUR", "bool"),
        ("12.50", "EUR", "str"),
    ],
)
def test_unfit_amounts_are_refused(ledger: Ledger, amount: Any, currency: str, reason: str) -> None:
    """An amount that the currency cannot express raises InvalidAmount, a ValueError with the reason."""
    with pytest.raises(InvalidAmount, match=reason) as caught:
        ledger.book(**ORDER | {"amount": amount, "currency": currency})
    assert isinstance(caught.value, ValueError)
    assert ledger.audit().transfers == 0


@pytest.mark.parametrize("currency", ["XQZ", "eur", "", "EURO", None, ["EUR"]])
def test_unknown_currencies_are_refused(ledger: Ledger, currency: Any) -> None:
    """A currency that ISO 4217 does not know raises UnknownCurrency, a ValueError."""
    with pytest.raises(UnknownCurrency) as caught:
        ledger.book(**ORDER | {"currency": currency})
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(("currency", "zero"), [("EUR", "0.00"), ("JPY", "0"), ("BHD", "0.000")])
def test_balance_of_an_unused_account(ledger: Ledger, currency: str, zero: str) -> None:
    """An account without a booking has a balance of zero, with the decimals of the currency."""
    assert str(ledger.balance("nobody", currency)) == zero


def test_largest_amounts_add_up(ledger: Ledger) -> None:
    """Many bookings of the largest amount still add up exactly."""
    largest = major_units(MAX_MINOR_UNITS, "EUR")
    for number in range(20):
        ledger.book(**ORDER | {"payment_id": f"pay-{number}", "amount": largest})
    assert ledger.balance("merchant-1", "EUR") == 20 * largest
    assert ledger.audit().balanced


def test_book_outlives_its_object(url: str) -> None:
    """What one ledger object books, another at the same URL answers."""
    Ledger(url).book(**ORDER)
    assert Ledger(url).book(**ORDER).repeated


# --- Properties ----------------------------------------------------------------------------------

_ACCOUNTS = st.sampled_from(["a", "b", "c"])
_AMOUNTS = {"EUR": Decimal("0.01"), "JPY": Decimal(1), "BHD": Decimal("0.001")}


@st.composite
def _orders(draw: st.DrawFn) -> dict[str, Any]:
    debit, credit = draw(st.permutations(["a", "b", "c"]))[:2]
    currency = draw(st.sampled_from(sorted(_AMOUNTS)))
    return {
        "payment_id": draw(st.sampled_from(["p1", "p2", "p3", "p4"])),
        "debit": debit,
        "credit": credit,
        "amount": draw(st.integers(1, 3)) * _AMOUNTS[currency],
        "currency": currency,
    }


def _book_all(ledger: Ledger, orders: Sequence[dict[str, Any]]) -> list[Booking]:
    bookings = []
    for order in orders:
        with contextlib.suppress(LedgerConflict):
            bookings.append(ledger.book(**order))
    return bookings


@examples(40)
@given(orders=st.lists(_orders(), max_size=12))
def test_any_sequence_leaves_the_books_right(
    orders: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After any sequence with repeats and conflicts, the first of each payment is booked and nothing else."""
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('book')}/ledger.sqlite3")
    first: dict[str, dict[str, Any]] = {}
    for order in orders:
        stands = first.setdefault(order["payment_id"], order)
        if stands == order:
            assert ledger.book(**order).repeated == (stands is not order)
        else:
            with pytest.raises(LedgerConflict):
                ledger.book(**order)
    assert ledger.audit() == Audit(len(first), 2 * len(first), doubled=0, balanced=True)
    for account in "abc":
        for currency in _AMOUNTS:
            booked = [order for order in first.values() if order["currency"] == currency]
            expected = sum(
                order["amount"] * ((order["credit"] == account) - (order["debit"] == account))
                for order in booked
            )
            assert ledger.balance(account, currency) == expected


@examples(15)
@given(shares=st.lists(st.lists(_orders(), min_size=1, max_size=6), min_size=2, max_size=4))
def test_any_interleaving_leaves_the_books_balanced(
    shares: list[list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Threads that book overlapping payments at once leave balanced books with nothing doubled."""
    url = f"sqlite:///{tmp_path_factory.mktemp('book')}/ledger.sqlite3"
    ledger = Ledger(url, busy_timeout=PATIENT)
    with ThreadPoolExecutor(len(shares)) as threads:
        bookings = [
            booking
            for made in threads.map(lambda share: _book_all(ledger, share), shares)
            for booking in made
        ]
    payments = {order["payment_id"] for share in shares for order in share}
    assert ledger.audit() == Audit(len(payments), 2 * len(payments), doubled=0, balanced=True)
    assert sorted(booking.payment_id for booking in bookings if not booking.repeated) == sorted(payments)


@given(minor=st.integers(1, MAX_MINOR_UNITS), currency=st.sampled_from(["EUR", "JPY", "BHD"]))
def test_minor_units_lose_nothing(minor: int, currency: str) -> None:
    """From minor to main units and back is the same number, with the currency's decimals."""
    amount = major_units(minor, currency)
    assert minor_units(amount, currency) == minor
    assert -int(amount.as_tuple().exponent) == currency_exponent(currency)


# --- Threads and processes -----------------------------------------------------------------------


def test_eight_threads_book_one_payment_once(ledger: Ledger) -> None:
    """Of eight threads that book the same payment at once, one books and seven repeat."""
    barrier = threading.Barrier(8)

    def book(_: int) -> Booking:
        barrier.wait(60)
        return ledger.book(**ORDER)

    with ThreadPoolExecutor(8) as threads:
        bookings = list(threads.map(book, range(8)))
    assert [booking.repeated for booking in bookings].count(False) == 1
    assert len({booking.booked_at for booking in bookings}) == 1
    assert ledger.audit() == Audit(transfers=1, entries=2, doubled=0, balanced=True)


def test_two_processes_book_each_payment_once(ledger: Ledger, url: str) -> None:
    """Two processes that create the book and book the same payments at once book each one once."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.SimpleQueue()
    processes = [context.Process(target=_book_in_process, args=(url, barrier, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(90)
    assert [process.exitcode for process in processes] == [0, 0]
    repeats = zip(answers.get(), answers.get(), strict=True)
    assert all(sorted(pair) == [False, True] for pair in repeats)
    assert ledger.audit() == Audit(transfers=20, entries=40, doubled=0, balanced=True)


_FORKS = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)


@_FORKS
def test_ledger_works_on_both_sides_of_a_fork(ledger: Ledger) -> None:
    """A ledger that is in use when its process forks works in the child and goes on in the parent."""
    ledger.book(**ORDER)
    answer = _in_fork(_book_after_fork, ledger)
    assert answer == (True, ledger.audit())
    assert ledger.book(**ORDER | {"payment_id": "pay-2"}).repeated is False


@_FORKS
@pytest.mark.parametrize("place", ["sqlite:///unused.sqlite3", "postgresql://user@unused.invalid/name"])
def test_child_builds_its_own_engine(place: str) -> None:
    """A child process uses neither the engine nor the connection pool that it inherited by fork."""
    store = SqlStore(place, MetaData())
    assert _in_fork(_compare_engines, store, store._own().engine) == (False, True, False)


def test_no_file_stays_open_between_calls(ledger: Ledger, tmp_path: Path) -> None:
    """Between two calls no SQLite file is open, so a fork hands none to the child."""
    ledger.book(**ORDER)
    ledger.audit()
    opened = [Path(file.path) for file in psutil.Process().open_files()]
    assert not any(path.is_relative_to(tmp_path) for path in opened)


# --- Audit ---------------------------------------------------------------------------------------

_CREDIT_AGAIN = (
    "insert into entries (transfer, account, amount, currency) values ('pay-1', 'merchant-1', 1250, 'EUR')"
)
_DEBIT_AGAIN = (
    "insert into entries (transfer, account, amount, currency) values ('pay-1', 'customer-1', -1250, 'EUR')"
)


def test_audit_finds_a_double(ledger: Ledger, url: str) -> None:
    """A payment credited twice is counted as doubled although its transfer is unique and sums to zero."""
    ledger.book(**ORDER)
    _run_sql(url, _CREDIT_AGAIN, _DEBIT_AGAIN)
    assert ledger.audit() == Audit(transfers=1, entries=4, doubled=1, balanced=False)


@pytest.mark.parametrize(
    "statement",
    [
        "update entries set amount = 1249 where amount > 0",
        "update entries set amount = 2 * amount",
        "update entries set currency = 'USD'",
        "update entries set account = 'thief' where amount > 0",
        "update entries set account = 'thief' where amount < 0",
        "delete from transfers where payment_id = 'pay-2'",
        "delete from entries where amount > 0",
        "delete from entries",
        _DEBIT_AGAIN,
    ],
)
def test_audit_finds_what_is_not_balanced(ledger: Ledger, url: str, statement: str) -> None:
    """Entries that are not the two opposite ones of their transfer make the book unbalanced."""
    ledger.book(**ORDER)
    ledger.book(**ORDER | {"payment_id": "pay-2", "amount": Decimal("3.00")})
    assert ledger.audit().balanced
    _run_sql(url, statement)
    audit = ledger.audit()
    assert (audit.balanced, audit.doubled) == (False, 0)


def test_empty_book_is_balanced(ledger: Ledger) -> None:
    """A book without a booking is balanced."""
    assert ledger.audit() == Audit(transfers=0, entries=0, doubled=0, balanced=True)


# --- Outages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda ledger: ledger.book(**ORDER),
        lambda ledger: ledger.balance("merchant-1", "EUR"),
        lambda ledger: ledger.audit(),
    ],
    ids=["book", "balance", "audit"],
)
@pytest.mark.parametrize("warm", [True, False], ids=["used before", "first use"])
def test_outage_fails_every_call(url: str, call: Callable[[Ledger], object], warm: bool) -> None:
    """During an outage every call raises LedgerUnavailable with its cause, and afterwards works."""
    ledger = Ledger(url, busy_timeout=AT_ONCE)
    if warm:
        ledger.audit()
    with Ledger(url).outage(), pytest.raises(LedgerUnavailable) as caught:
        call(ledger)
    assert isinstance(caught.value.__cause__, OperationalError)
    assert "lock" in caught.value.reason
    call(ledger)
    ledger.close()


def test_outage_ends_with_an_error(ledger: Ledger) -> None:
    """An error inside the block of an outage ends the outage, and reaches the caller unchanged."""
    with pytest.raises(KeyError), ledger.outage():
        raise KeyError("mine")
    assert not ledger.book(**ORDER).repeated


def test_booking_that_failed_can_be_repeated(url: str) -> None:
    """A booking that failed in an outage left nothing behind, and the next try books it."""
    ledger = Ledger(url, busy_timeout=AT_ONCE)
    ledger.audit()
    with ledger.outage(), pytest.raises(LedgerUnavailable):
        ledger.book(**ORDER)
    assert ledger.audit().entries == 0
    assert not ledger.book(**ORDER).repeated
    ledger.close()


def test_outage_waits_for_calls_under_way(ledger: Ledger) -> None:
    """An outage can begin while other threads book, and costs none of their bookings."""
    orders = [ORDER | {"payment_id": f"pay-{number}"} for number in range(60)]
    with ThreadPoolExecutor(3) as threads:
        made = threads.map(lambda order: ledger.book(**order), orders)
        with ledger.outage():
            pass
        assert len(list(made)) == 60
    assert ledger.audit() == Audit(transfers=60, entries=120, doubled=0, balanced=True)


def test_unreachable_database(tmp_path: Path) -> None:
    """A database that cannot be opened raises LedgerUnavailable, and works as soon as it can."""
    folder = tmp_path / "missing"
    ledger = Ledger(f"sqlite:///{folder}/ledger.sqlite3")
    with pytest.raises(LedgerUnavailable, match="unable to open"):
        ledger.audit()
    folder.mkdir()
    assert ledger.audit().transfers == 0


# --- Construction and errors ---------------------------------------------------------------------


def test_construction_opens_nothing(tmp_path: Path) -> None:
    """A new ledger touches no file before its first use."""
    Ledger(f"sqlite:///{tmp_path}/ledger.sqlite3")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("unfit", ["sqlite://", "sqlite:///:memory:", "mysql://user:secret@host/name"])
def test_databases_that_cannot_be_shared_are_refused(unfit: str) -> None:
    """A database that processes cannot share is refused at construction, without naming a password."""
    with pytest.raises(ValueError, match="cannot be shared") as caught:
        Ledger(unfit)
    assert "secret" not in str(caught.value)


def test_negative_timeout_is_refused(url: str) -> None:
    """A negative busy timeout is refused at construction."""
    with pytest.raises(ValueError, match="negative"):
        Ledger(url, busy_timeout=timedelta(seconds=-1))


def test_text_of_a_ledger_hides_the_password() -> None:
    """The text of a ledger names its database without the password."""
    shown = repr(Ledger("postgresql://user:secret@host/name"))
    assert "host/name" in shown
    assert "secret" not in shown


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_survive_pickling(error: Exception) -> None:
    """An error keeps its type, message and attributes through pickle, and through its own arguments."""
    for copy in (pickle.loads(pickle.dumps(error)), type(error)(*error.args)):
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert vars(copy) == vars(error)


def test_ledger_errors_have_one_base() -> None:
    """All errors of the ledger itself are LedgerError; those of the money are ValueError."""
    assert all(isinstance(error, (LedgerError, ValueError)) for error in ERRORS)
