"""Where what was seen of a run is not what the interpreter says of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.flows.memory import Memory, is_fact
from tests.flows.observed import Observed


def differences(said: Memory, seen: Observed, operated: Counter[str], *, once: bool) -> list[str]:
    """Where they do not agree, a line each. ``operated`` is what was done to the run; ``once``: each message comes once.

    What is in a budget that was spent may have begun less, or ended after the run, where there is a clock; an async agent that is
    held there, or in a run that is cancelled, for a second is told to end, and what it makes then does not count.
    """
    found = []
    loose = tuple(said.loose)
    hurried = {path for path in seen.late if path.startswith(loose) and path not in seen.settled}

    def compare(what: str, meant: Any, got: Any) -> None:
        if isinstance(meant, set):
            meant, got = dict.fromkeys(meant), dict.fromkeys(got)
        wrong = {
            path: f"{got.get(path, 'nothing')}, not {meant.get(path, 'nothing')}"
            for path in {**meant, **got}
            if meant.get(path, ...) != got.get(path, ...)
            and not (
                path.startswith(loose) and path not in got and (what == "late" or path not in seen.effects)
            )
            and path not in hurried
            and not (path not in got and path.removesuffix(".undo") in said.told_to_end)
        }
        if wrong:
            found.append(f"{what}: {wrong}")

    if (seen.status, seen.result) != (said.status, said.result):
        found.append(f"it is {seen.status} with {seen.result}, not {said.status} with {said.result}")
    compare("settled", said.settled, seen.settled)
    compare("at work", said.hand, seen.hand)
    compare("held", said.held, seen.held & said.held)
    compare("edits", said.edits, seen.edits)
    compare("attempts", said.attempts, _attempts(said, seen, loose, once=once))
    compare("failed", said.failed, seen.failed)
    compare("late", said.late, seen.late)
    compare("fallbacks", said.fallbacks, seen.fallbacks)
    compare("effects", {**said.undecided, **said.effects}, seen.effects)
    if len(seen.told) != len(said.emitted) and not any(path.startswith(loose) for path in said.emitted):
        found.append(f"told: {len(seen.told)} events, not those at {sorted(said.emitted)}")
    taken = tuple(f"{path}.{name}." for path in said.taken for name in "bf")
    letters = {
        path: one
        for path, one in seen.parked.items()
        if not path.startswith(taken) or path.endswith(".undo") or is_fact(path)
    }
    compare("parked", said.parked, letters)
    compare("marked", set(said.parked), seen.marked)
    compare("waits", said.waits, seen.waits)
    if seen.operated != +operated:
        found.append(f"operated: {seen.operated}, not {operated}")
    for chain in said.undoing:
        undone = [path.removesuffix(".undo") for path in seen.order if path.endswith(".undo")]
        in_order = [path for path in undone if path in chain]
        if in_order != chain[: len(in_order)]:
            found.append(f"undone: {in_order}, not {chain}")
    return found


def _attempts(said: Memory, seen: Observed, loose: tuple[str, ...], *, once: bool) -> dict[str, list[str]]:
    """The attempts at each step, as they were meant where they are as good: there are fewer where perhaps not all of them came
    about, and each copy of a message may fail."""
    found = {}
    for path, got in seen.attempts.items():
        meant = said.attempts.get(path, [])
        more = {*got} == {*meant} and all(got.count(one) >= meant.count(one) for one in meant)
        fewer = path.startswith(loose) and got == meant[: len(got)]
        found[path] = meant if fewer or (more and not once) else got
    return found
