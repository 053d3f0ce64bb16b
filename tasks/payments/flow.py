"""The flow of the reference system *payments*."""

from handoffs.coordinator import Flow
from handoffs.tasks.payments.agents import authorisation, book, fraud, notification

payment = Flow("payments.payment", fraud >> authorisation >> book >> notification)
