"""Texts: what people could give in the place of a name, a number, a time or a value."""

from __future__ import annotations

from random import Random

_ODD = (
    "", " ", "-", "--", "@", "@-", "@/", "/", "..", "[/x]", "[red]x[/red]", ":smile:", "\x1b[2J", "a\nb", "a\rb", "\x00"[:0], "\x7f", "\x85", "\u202e",
    "\u2028", "\u200b", "\ufe0f", "\udcff", "\U000e0041", "%", "%s", "{0}", "{}", "$HOME", "null", "true", "[]", '""', '{"a": 1}', '{"a": 1, "a": 2}',
    "NaN", '{"a": NaN}', "[" * 50_000, '{"a":' * 5_000, "9" * 400, '"' + "x" * 100_000 + '"', "nan", "inf", "-inf", "1e400", "1_000", "0x10", "\u0661\u0662",
    "\uff15", "-1", "0", "1", "50", "1.5", "+5", "5s", "250ms", "1.5h", "-5m", "999999999d", "2026-01-01T00:00:00+00:00", "2026-13-01", "+90m", "+999999d",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "payments.payment", "payments.fraud", "payments.payment-submitted/1",
    "payments.fraud-scored/99", "payments.fraud-scored/x", "x" * 300, "caf\u00e9", "\u65e5\u672c", "a" * 20_000,
)  # fmt: skip
_SIGNS = "abcXYZ0189 -_./:@%[]{}()<>\"'\\,;=&?#*+~$!|\n\t\x00\x1b\x7f\x85\u00a0\u0661\u200b\u202e\ud800\udcff\ufeff\U0001f600"


def text(random: Random) -> str:
    """Any text; the empty one as well. It has no NUL, which no argument and no variable can have."""
    made = (
        random.choice(_ODD)
        if random.random() < 0.7
        else "".join(random.choices(_SIGNS, k=random.randrange(30)))
    )
    return "".join(sign for sign in made if sign not in "\0\ud800")


def damaged(random: Random, good: str) -> str:
    """A text that was right, with a part that is gone, doubled or something else."""
    at, end = sorted((random.randrange(len(good) + 1), random.randrange(len(good) + 1)))
    return good[:at] + random.choice(("", good[at:end] * 2, text(random))) + good[end:]
