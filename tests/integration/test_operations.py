"""An operation outlives its processes: killed with SIGKILL at any moment and resumed, it replays each letter once."""

from __future__ import annotations

import random
from collections import Counter

from handoffs.coordinator.client.run import Run
from tests.integration import shop
from tests.integration.bench import Bench, new_order
from tests.waiting import wait_until

_LETTERS, _DEATHS = 40, 3


def test_a_replayer_that_is_killed_and_resumed_replays_each_letter_once(bench: Bench) -> None:
    """Three processes die at it, each at another moment; the fourth ends it. Each agent of each run has taken effect once, and each
    letter was replayed under one number."""
    chance = random.SystemRandom()
    orders = [new_order() for _ in range(_LETTERS)]
    runs: list[Run] = [bench.start(shop.chain, order, two="fail") for order in orders]
    letters = [bench.letter(run) for run in runs]
    for order in orders:
        bench.mend(order)
    client = bench.client

    def done() -> int:
        found = client.operations(limit=1)
        return found[0].done if found else 0

    arguments = ["dead-letters", "replay", *(letter.id for letter in letters), "--rate", "40", "--by", "ann"]
    operation = ""
    for death in range(_DEATHS):
        until = done() + chance.randint(1, _LETTERS // (_DEATHS + 1) - 2)
        replayer = bench.installation.program(f"replayer-{death}", *arguments)

        def far_enough(until: int = until, ended: object = replayer) -> bool:
            return done() >= until or not ended.running  # type: ignore[attr-defined]

        wait_until(far_enough, timeout=60, description=f"it has replayed {until}")
        assert replayer.running, replayer.last_words()
        replayer.kill()
        [found] = client.operations()
        assert found.state == "running"
        operation = found.id
        arguments = ["operations", "resume", operation]
    resumed = client.resume_operation(operation)
    assert (resumed.state, resumed.done, resumed.refused, resumed.gone) == ("done", _LETTERS, 0, 0)
    for run in runs:
        bench.completed(run, 60)
        assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}
    assert {letter.id for letter in letters} == {one.letter for one in client.operation_letters(operation)}
    for letter in letters:
        assert client.desk.letter(letter.id).replays == 1
    told = Counter((one.action, one.letter) for one in client.actions() if one.action == "replay")
    assert told == {("replay", letter.id): 1 for letter in letters}
    assert Counter(one.action for one in client.actions())["resume-operation"] == _DEATHS
