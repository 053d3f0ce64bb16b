"""What is told of an exception: whatever it is, in a line that fits."""

import pytest

from handoffs.coordinator.handoff.failure import REMEDIES, FailureKind, describe, remedy_of
from handoffs.coordinator.handoff.interruption import Escaped


class Mute(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise KeyboardInterrupt

    def __repr__(self) -> str:
        raise SystemExit(1)


class Long(Exception):
    def __str__(self) -> str:
        return "x" * 1_000_000


class Broken(Exception):
    def __str__(self) -> str:
        return "\ud800 is \x1b[31m no text"


class NoText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307 - that is what is tried


@pytest.mark.parametrize(
    ("error", "name", "text"),
    [
        (Mute(), "Mute", "(its text cannot be had: KeyboardInterrupt)"),
        (NoText(), "NoText", "(its text cannot be had: TypeError)"),
        (Long(), "Long", "x" * 499 + "…"),
        (Broken(), "Broken", r"\ud800 is \u001b[31m no text"),
        (SystemExit(-15), "SystemExit", "-15"),
        (GeneratorExit(), "GeneratorExit", "(no text)"),
        (Escaped(SystemExit("bye")), "SystemExit", "bye"),
        (
            BaseExceptionGroup("two", [ExceptionGroup("in it", [ValueError("a"), Mute()]), SystemExit(3)]),
            "BaseExceptionGroup",
            "two (2 sub-exceptions): ValueError: a; Mute: (its text cannot be had: KeyboardInterrupt); SystemExit: 3",
        ),
    ],
)
def test_whatever_it_is(error: BaseException, name: str, text: str) -> None:
    """The name of its type and its text are told, bounded and escaped, also where its text cannot be had; of a group what is
    in it."""
    assert describe(error) == (name, text)


def test_a_group_of_many_is_bounded() -> None:
    """Of a group that has a million exceptions, or the same ones many times over, the first are told."""
    group: ExceptionGroup[Exception] = ExceptionGroup("many", [ValueError("no")] * 1000)
    for _ in range(50):
        group = ExceptionGroup("many", [group, group])
    _, text = describe(group)
    assert text == "many (2 sub-exceptions): ValueError: no"


@pytest.mark.parametrize("name", ["lost:0f", "stranded:0f", "garbled:0f", "history:x0/1-0"])
def test_what_to_do_where_there_is_no_message(name: str) -> None:
    """Nobody is told to replay a letter that has no message."""
    for kind in FailureKind:
        assert remedy_of(kind, name)
        assert "replay" not in remedy_of(kind, name)
        assert remedy_of(kind, "4f3c") == REMEDIES[kind]
    assert remedy_of("\x1b[2J", "4f3c") == ""
