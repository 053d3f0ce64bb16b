"""What agents say to one another: contracts, their migrations, and the envelope that carries them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ != "handoffs.contracts":
    raise ImportError(
        f"{__name__} is a folder of the package handoffs, and is imported under that name: "
        "write `from handoffs import Contract`, or `from handoffs.contracts import ...`"
    )

if TYPE_CHECKING:
    from handoffs.contracts.contract import Contract, ContractRef, Key
    from handoffs.contracts.envelope import Envelope
    from handoffs.contracts.errors import CoordinationError
    from handoffs.contracts.migration import downcast, upcast
    from handoffs.contracts.numbers import ExactDecimal
    from handoffs.contracts.prompt import render_for_prompt
    from handoffs.contracts.searchable import Searchable
    from handoffs.contracts.text import Hygiene, Sensitive, UntrustedText

_WHERE = {
    "Contract": "handoffs.contracts.contract",
    "ContractRef": "handoffs.contracts.contract",
    "CoordinationError": "handoffs.contracts.errors",
    "Envelope": "handoffs.contracts.envelope",
    "ExactDecimal": "handoffs.contracts.numbers",
    "Hygiene": "handoffs.contracts.text",
    "Key": "handoffs.contracts.contract",
    "Searchable": "handoffs.contracts.searchable",
    "Sensitive": "handoffs.contracts.text",
    "UntrustedText": "handoffs.contracts.text",
    "downcast": "handoffs.contracts.migration",
    "render_for_prompt": "handoffs.contracts.prompt",
    "upcast": "handoffs.contracts.migration",
}
"""Where each public name lives. It is loaded when it is first asked for (PEP 562), so that an agent's module costs no server's
client, no database and no worker."""

__all__ = [
    "Contract",
    "ContractRef",
    "CoordinationError",
    "Envelope",
    "ExactDecimal",
    "Hygiene",
    "Key",
    "Searchable",
    "Sensitive",
    "UntrustedText",
    "downcast",
    "render_for_prompt",
    "upcast",
]


if not TYPE_CHECKING:  # or type checkers would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name not in _WHERE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_WHERE[name]), name)
        return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
