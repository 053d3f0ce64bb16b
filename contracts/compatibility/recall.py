"""Recall: what was answered already, and what rests on an answer that is not there yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from handoffs.contracts.compatibility.budget import Exhausted
from handoffs.contracts.compatibility.state import NONE, Answer, State

_DEEPEST: Final = 50


class Recall:
    """Answers by state. A question that comes back while it is being answered is answered "none" there.

    What rests on such an assumption is provisional: it is known for good when the question that it was made for turns out
    to have the answer "none", and forgotten otherwise.
    """

    def __init__(self) -> None:
        self._known: dict[State, Answer] = {}
        self._provisional: dict[State, int] = {}
        self._open: dict[State, int] = {}
        self._lowest: list[int] = []

    def answer(self, state: State, find: Callable[[State], Answer]) -> Answer:
        """What is known of a state, or else what ``find`` finds.

        Raises :class:`~handoffs.contracts.compatibility.budget.Exhausted` where questions are nested too deep.
        """
        found = self._known.get(state)
        if found is not None:
            return found
        if state in self._provisional:
            self._depends_on(self._provisional[state])
            return NONE
        if state in self._open:
            self._depends_on(self._open[state])
            return NONE
        return self._find(state, find)

    def _depends_on(self, depth: int) -> None:
        if self._lowest:
            self._lowest[-1] = min(self._lowest[-1], depth)

    def _find(self, state: State, find: Callable[[State], Answer]) -> Answer:
        depth = len(self._open)
        if depth > _DEEPEST:
            raise Exhausted(f"instances nested more than {_DEEPEST} deep")
        self._open[state] = depth
        self._lowest.append(depth)
        before = len(self._provisional)
        try:
            answer = find(state)
        finally:
            lowest = self._lowest.pop()
            del self._open[state]
        if answer.status != "none":
            self._forget(before)
            if answer.status == "found" or lowest >= depth:
                self._known[state] = answer
            else:
                self._depends_on(lowest)
            return answer
        if lowest < depth:
            self._provisional[state] = lowest
            for assumed in list(self._provisional)[before:]:
                self._provisional[assumed] = min(self._provisional[assumed], lowest)
            self._depends_on(lowest)
        else:
            for settled in list(self._provisional)[before:]:
                self._known[settled] = NONE
            self._forget(before)
            self._known[state] = NONE
        return answer

    def _forget(self, before: int) -> None:
        while len(self._provisional) > before:
            self._provisional.popitem()
