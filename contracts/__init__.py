"""What agents say to one another: contracts, their migrations, and the envelope that carries them."""

from contracts.contract import Contract, ContractRef, Key
from contracts.envelope import Envelope
from contracts.errors import CoordinationError
from contracts.migration import upcast
from contracts.numbers import ExactDecimal
from contracts.text import Sensitive

__all__ = [
    "Contract",
    "ContractRef",
    "CoordinationError",
    "Envelope",
    "ExactDecimal",
    "Key",
    "Sensitive",
    "upcast",
]
