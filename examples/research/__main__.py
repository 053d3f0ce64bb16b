"""A report, in embedded mode: ``python -m examples.research``."""

from __future__ import annotations

import time

from examples.research import StubModel, Topic, research_flow
from handoffs import Coordinator, Run
from handoffs.coordinator.letters.letter import Letter


def main() -> None:
    """Print how a run waits for a busy model, how far it is, what it has used up, and how it stops at its limit and goes on."""
    model = StubModel(busy=2, seconds=0.4)
    with Coordinator() as coordinator:
        flow = research_flow(model, tokens=4_500)
        run = coordinator.start(flow, Topic(name="tides", pages=5))
        print("1. The model is busy twice. The step waits as it is asked, and that is no attempt:")
        print(f"   how far it is: {_progress(run)}")
        print(f"   {run.wait(timeout=60)}")
        for entry in run.history():
            if entry["kind"] == "waits":
                print(
                    f"   attempt {entry['attempt']} {entry['kind']} {entry['wait_ms']} ms: {entry['error']}"
                )
        print(
            "2. It may use up 4,500 tokens, and each page costs 1,000. The fifth is read, and nothing after that:"
        )
        letter = _letter(run)
        print(f"   {letter.agent}: {letter.kind}; {run.usage()} of at most {run.spending()}")
        print("3. A person allows it more, and replays. No page is paid for twice:")
        run.allow(tokens=10_000, by="example")
        letter.replay()
        print(f"   {run.result(timeout=60).text}: {run.usage()}, {len(model.asked)} calls")
        print(f"   all runs of its flow: {coordinator.usage(flow)}")


def _progress(run: Run) -> str:
    """What its agent says of how far it is, as soon as it does."""
    for _ in range(400):
        if found := [one.words() for one in run.current() if one.progress]:
            return found[0]
        time.sleep(0.05)
    raise TimeoutError("the agent has said nothing")


def _letter(run: Run) -> Letter:
    """The run's dead letter, as soon as it has come from the broker into the journal."""
    for _ in range(200):
        if letters := run.letters():
            return letters[0]
        time.sleep(0.05)
    raise TimeoutError("the dead letter did not arrive")


if __name__ == "__main__":
    main()
