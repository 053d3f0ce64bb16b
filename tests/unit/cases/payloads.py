"""Payloads of every kind that a message can carry, for tests of what is written of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_TEXTS = (
    st.text(max_size=60)
    | st.sampled_from(
        [
            "12.50", "2026-12-01T10:00:00+01:00", "{", "}", "{{x}}", "%s", "\\", '"""', "'''", "\"'", "it's", 'say "no"', "\x00",
            "\r\n", "\u2028", "\u202e", "e\u0301", "\u1160", "漢字", "😀", "👩\u200d🚀", "\ud800", "\\N{DIGIT ONE}", "#", "x" * 500, "漢" * 49,
        ]
    )
)  # fmt: skip
_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS
)
JSON: st.SearchStrategy[Any] = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(_TEXTS, inner, max_size=6),
    max_leaves=30,
)
"""JSON values, also such as no strict JSON has (half of a surrogate pair)."""

PAYLOADS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(_TEXTS, JSON, max_size=8)
