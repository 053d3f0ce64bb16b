"""The effects: every line that was written is counted, and what was written twice is seen."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from handoffs.tasks.media.effects import Effects, EffectsUnavailable, Tally


@pytest.fixture
def effects(tmp_path: Path) -> Effects:
    """None yet."""
    return Effects(tmp_path / "new" / "effects.jsonl")


def test_nothing_was_done(effects: Effects) -> None:
    """Without a file there was no effect."""
    assert effects.tally() == Tally()


def test_counts(effects: Effects) -> None:
    """Each kind is counted, and each thing once."""
    for effect, key in (("written", "a"), ("written", "b"), ("found", "a"), ("differs", "b"), ("found", "c")):
        effects.record(effect, key)  # type: ignore[arg-type]
    assert effects.tally() == Tally(keys=3, written=2, found=2, differing=1)


def test_doubled(effects: Effects) -> None:
    """What is written twice is doubled; what another finds before its writer has said so is not."""
    for effect, key in (
        ("written", "a"),
        ("written", "a"),
        ("written", "a"),
        ("found", "b"),
        ("written", "b"),
    ):
        effects.record(effect, key)  # type: ignore[arg-type]
    assert effects.tally() == Tally(keys=2, written=4, doubled=2, found=1)


def test_purged(effects: Effects) -> None:
    """What was purged may be written again, once."""
    for effect in ("written", "purged", "written", "written"):
        effects.record(effect, "a")
    assert effects.tally() == Tally(keys=1, written=3, doubled=1, purged=1)


def test_lines_of_many(effects: Effects) -> None:
    """Lines that many write at once are all there, none in another."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: effects.record("written", f"{number}" * 50), range(400)))
    assert effects.tally() == Tally(keys=400, written=400)


@pytest.mark.parametrize(
    "line", [b'["written", "b', b"\xff", b"7", b"[]", b'["written"]', b'["burnt", "b"]', b'["written", 7]', b'{"a": 1, "b": 2}']
)  # fmt: skip
def test_lines_that_are_none(effects: Effects, line: bytes) -> None:
    """A line that was cut off, or is none, is counted as such and hides no other."""
    effects.record("written", "a")
    with effects.path.open("ab") as file:
        file.write(line + b"\n")
    effects.record("written", "c")
    assert effects.tally() == Tally(keys=2, written=2, unreadable=1)


def test_an_empty_line(effects: Effects) -> None:
    """An empty line is none: it is written where another process was just writing and its line seemed to be cut off."""
    effects.record("written", "a")
    with effects.path.open("ab") as file:
        file.write(b"\n")
    effects.record("written", "c")
    assert effects.tally() == Tally(keys=2, written=2)


def test_a_line_that_was_cut_off(effects: Effects) -> None:
    """What a full disk has cut off takes no later line with it: that effect is counted."""
    effects.record("written", "a")
    with effects.path.open("ab") as file:
        file.write(b'["writ')
    effects.record("written", "b")
    effects.record("found", "b")
    assert effects.tally() == Tally(keys=2, written=2, found=1, unreadable=1)


def test_file_that_cannot_be_used(tmp_path: Path, effects: Effects, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be written or read is an error that may pass, and so is a line that was cut off."""
    for call in (lambda: Effects(tmp_path).record("written", "a"), Effects(tmp_path).tally):
        with pytest.raises(EffectsUnavailable):
            call()
    monkeypatch.setattr("os.write", lambda _descriptor, data: len(data) - 1)
    with pytest.raises(EffectsUnavailable):
        effects.record("written", "a")
