"""The payments flow on real servers: never a double credit, and a card number is seen by nobody."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.tasks.payments.cards import CARD_APPROVED, CARD_INSUFFICIENT_FUNDS, CARD_TIMEOUT
from handoffs.tasks.payments.flow import payment
from handoffs.tasks.payments.gateway import CardGateway
from handoffs.tasks.payments.ledger import Ledger
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import Installation, open_installation

_CARDS = (CARD_APPROVED, CARD_TIMEOUT, CARD_INSUFFICIENT_FUNDS, CARD_APPROVED, CARD_APPROVED)
_PAYMENTS, _IN_OUTAGE = 100, 15


def test_a_hundred_payments(servers: Servers, postgres_database: str, tmp_path: Path) -> None:
    """With gateway timeouts after the charge and a ledger that fails for a while, each payment is booked exactly once."""
    with open_installation(
        servers,
        tmp_path,
        AGENTS="handoffs.tasks.payments",
        PAYMENTS__LEDGER_URL=postgres_database,
        PAYMENTS__GATEWAY_URL=postgres_database,
    ) as installation:
        front = installation.worker(
            "payments.fraud", "payments.authorisation", "payments.notification", concurrency=4, wait=False
        )
        back = installation.worker("payments.ledger", concurrency=4, wait=False)
        installation.coordinator_process()
        front.wait_ready()
        back.wait_ready()
        ledger, gateway = Ledger(postgres_database), CardGateway(postgres_database)
        try:
            with installation.client() as client, _events(client) as events:
                runs = _pay(client, ledger, installation)
                _check_outcomes(runs)
                _check_books(ledger, gateway)
                _check_secrecy(client, runs, installation, events)
        finally:
            ledger.close()
            gateway.close()


def _pay(client: Coordinator, ledger: Ledger, installation: Installation) -> list[Run]:
    """Start payments, the last of them while the ledger is out; replay what that parked."""
    runs = [client.start(payment, _payment(number)) for number in range(_PAYMENTS - _IN_OUTAGE)]
    for run in runs:
        assert run.wait(60) == "completed", installation.logs()[-4000:]
    with ledger.outage():
        hit = [client.start(payment, _payment(number)) for number in range(_PAYMENTS - _IN_OUTAGE, _PAYMENTS)]
        for run in hit:
            assert run.wait(60) in {"parked", "completed"}
    parked = [run for run in hit if run.status() == "parked"]
    approved = [number for number in range(_PAYMENTS - _IN_OUTAGE, _PAYMENTS) if number % 5 != 2]
    assert len(parked) == len(approved)
    wait_until(lambda: len(client.dead_letters()) == len(parked), description="each has its letter")
    for letter in client.dead_letters():
        assert (letter.row.kind, letter.row.step, letter.row.agent) == ("error", "3", "payments.ledger")
        assert (letter.row.error, letter.row.attempt) == ("LedgerUnavailable", 4)
        assert letter.row.contract == "payments.payment-authorised/1"
        letter.replay()
        letter.replay()
    for run in hit:
        assert run.wait(60) == "completed", installation.logs()[-4000:]
    return runs + hit


def _payment(number: int) -> dict[str, Any]:
    return {
        "payment_id": f"pay-{number:04}",
        "amount": f"{number + 1}.50",
        "currency": "EUR",
        "card_number": _CARDS[number % 5],
        "card_country": "DE",
        "debtor": f"customer-{number % 7}",
        "creditor": "merchant-1",
        "country": "DE",
        "submitted_at": "2026-01-05T08:00:40Z",
    }


def _check_outcomes(runs: list[Run]) -> None:
    for number, run in enumerate(runs):
        assert run.result().outcome == ("declined" if number % 5 == 2 else "booked")


def _check_books(ledger: Ledger, gateway: CardGateway) -> None:
    approved = _PAYMENTS * 4 // 5
    audit, charges = ledger.audit(), gateway.charges()
    assert (audit.transfers, audit.entries, audit.doubled, audit.balanced) == (
        approved,
        2 * approved,
        0,
        True,
    )
    assert (charges.count, charges.approved) == (_PAYMENTS, approved)


def _check_secrecy(
    client: Coordinator, runs: list[Run], installation: Installation, events: list[dict[str, Any]]
) -> None:
    wait_until(lambda: _succeeded(events) >= 4 * _PAYMENTS, description="all events have come")
    shown = [asdict(letter.row) | {"message": None} for letter in client.dead_letters(state=None)]
    history = [entry for run in runs for entry in run.history()]
    assert len(history) >= 5 * _PAYMENTS
    for place, text in {
        "logs": installation.logs(),
        "events": json.dumps(events, default=str),
        "dead letters": json.dumps(shown),
        "history": json.dumps([entry.to_json() for entry in history]),
    }.items():
        for card in _CARDS:
            assert card not in text, f"a card number is in the {place}"


def _succeeded(events: list[dict[str, Any]]) -> int:
    return sum(event["type"] == "task-succeeded" for event in events)


@contextmanager
def _events(client: Coordinator) -> Iterator[list[dict[str, Any]]]:
    """Celery's events, as Flower would get them, while the block runs."""
    events: list[dict[str, Any]] = []
    ready = threading.Event()
    with client.engine.app.connection_for_read() as connection:
        receiver = client.engine.app.events.Receiver(connection, handlers={"*": events.append})
        receiver.on_consume_ready = lambda *_args, **_options: ready.set()
        thread = threading.Thread(target=receiver.capture, kwargs={"wakeup": False}, daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield events
        finally:
            receiver.should_stop = True
            thread.join(10)
