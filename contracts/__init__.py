"""What agents say to one another: contracts, their migrations, and the envelope that carries them."""

from contracts.contract import Contract, ContractRef, Key
from contracts.envelope import Envelope
from contracts.errors import CoordinationError
from contracts.migration import downcast, upcast
from contracts.numbers import ExactDecimal
from contracts.prompt import render_for_prompt
from contracts.text import Hygiene, Sensitive, UntrustedText

__all__ = [
    "Contract",
    "ContractRef",
    "CoordinationError",
    "Envelope",
    "ExactDecimal",
    "Hygiene",
    "Key",
    "Sensitive",
    "UntrustedText",
    "downcast",
    "render_for_prompt",
    "upcast",
]
