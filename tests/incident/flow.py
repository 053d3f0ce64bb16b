"""The flow that the bank runs, as its starter knows it: the release that everything began with."""

from handoffs.coordinator.flow.flow import Flow
from tests.incident.authorisation_1 import authorisation
from tests.incident.fraud_1 import fraud

payment = Flow("bank.payment", fraud >> authorisation)
