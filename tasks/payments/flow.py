"""The flow of the reference system *payments*."""

from coordinator.flow import Flow
from tasks.payments.agents import authorisation, book, fraud, notification

payment = Flow("payments.payment", fraud >> authorisation >> book >> notification)
