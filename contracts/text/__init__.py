"""Text that needs care: from outside, for people's eyes, or to be hidden. See docs/text.md."""

from handoffs.contracts.text.hygiene import Finding, Policy, clean, findings
from handoffs.contracts.text.printable import escaped_json, is_plain, is_utf8, luhn, named, printable, quoted
from handoffs.contracts.text.sensitive import MASK, REVEAL, Sensitive
from handoffs.contracts.text.suspicion import Suspicion, suspicions
from handoffs.contracts.text.untrusted import Hygiene, UntrustedText

__all__ = [
    "MASK",
    "REVEAL",
    "Finding",
    "Hygiene",
    "Policy",
    "Sensitive",
    "Suspicion",
    "UntrustedText",
    "clean",
    "escaped_json",
    "findings",
    "is_plain",
    "is_utf8",
    "luhn",
    "named",
    "printable",
    "quoted",
    "suspicions",
]
