"""What has happened is written as a test, which makes it happen again."""

from __future__ import annotations

import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handoffs import Contract, Coordinator, ExportedCase, Flow, Key, Run, agent
from handoffs.config.settings import Settings
from handoffs.coordinator.cases.literal import assigned
from handoffs.coordinator.errors import ExportRefused, LoadError
from tests.defaults import default_settings
from tests.eager import bakery
from tests.eager.bakery import Answer, Baked, Order
from tests.eager.command import Command
from tests.python import python
from tests.unit.cases.payloads import PAYLOADS

BAKERY = "tests.eager.bakery"


@pytest.fixture
def coordinator_settings() -> Settings:
    """Settings with the bakery's agents."""
    return default_settings(agents=(BAKERY,))


@pytest.fixture(autouse=True)
def _nobody_called() -> None:
    bakery.CALLED.clear()


def order(number: str = "17", **fields: Any) -> Order:
    return Order(number=number, price=Decimal("9.90"), **fields)


def formatted(text: str) -> str:
    """A module as ``ruff format`` lays it out in lines of 100 columns."""
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "100", "-"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    return done.stdout.decode()


def redo(case: ExportedCase, secret: str = "4711") -> dict[str, Any]:
    """Call the test that was written, once its secrets are filled in; gives its module."""
    assert formatted(case.text) == case.text
    module: dict[str, Any] = {}
    exec(re.sub(r"^(SECRET_\d+) = None", rf"\1 = {secret!r}", case.text, flags=re.MULTILINE), module)
    [test] = [value for name, value in module.items() if name.startswith("test_")]
    bakery.CALLED.clear()
    with Coordinator(default_settings(eager=True, agents=tuple(module["MODULES"]))) as coordinator:
        test(coordinator)
    return module


class TestLetters:
    """A dead letter as a test."""

    def test_it_fails_again(self, coordinator: Coordinator) -> None:
        """The agent alone, given the same input, is parked for the same reason and by the same error; nobody else is called."""
        note = "an \"odd\" 'note' {\n\u202e 漢字 \\ " + "x" * 200
        run = coordinator.start(bakery.BAKING, order(loaves=-1, note=note))
        module = redo(run.letters().only().as_test())
        assert module["PARKED"] == ["bakery.bake", "error", "ValueError"]
        assert module["INPUT"]["note"] == note
        assert bakery.CALLED == ["bake", "bake"]

    def test_it_fails_once_the_fault_is_mended(
        self, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Once the agent does what it should, the test says so."""
        case = coordinator.start(bakery.BAKING, order(loaves=-1)).letters().only().as_test()
        monkeypatch.setattr(bakery, "_baked", lambda order, word: Baked(number="1", loaves=0))
        with pytest.raises(AssertionError):
            redo(case)

    def test_an_output_that_is_none(self, coordinator: Coordinator) -> None:
        """An agent that emits what its contract does not say does so again."""
        module = redo(coordinator.start(bakery.WRONG, order()).letters().only().as_test())
        assert module["PARKED"] == ["bakery.wrong", "invalid-output", "InvalidData"]

    def test_an_agent_that_hears_events(self, coordinator: Coordinator) -> None:
        """The letter of an event's subscriber is one of its agent alone as well."""
        letters = coordinator.emit(Baked(number="1", loaves=-1)).letters()
        assert redo(letters.of(bakery.smell).only().as_test())["PARKED"] == [
            "bakery.smell",
            "error",
            "KeyError",
        ]

    def test_what_is_masked(self, coordinator: Coordinator) -> None:
        """A sensitive value is not in the file; it says where one was, and its test fails until it is filled in."""
        case = (
            coordinator.start(bakery.BAKING, order(loaves=-1, card="correct horse"))
            .letters()
            .only()
            .as_test()
        )
        assert case.masked == ("INPUT /card",)
        assert "correct horse" not in case.text
        module: dict[str, Any] = {}
        exec(case.text, module)
        with pytest.raises(AssertionError, match="fill in the SECRET"):
            module["test_bakery_bake_is_parked"](coordinator)
        assert redo(case, "another")["INPUT"]["card"] == "another"

    def test_what_no_agent_may_get(self, coordinator: Coordinator) -> None:
        """An input that is refused before the agent has it is refused again."""

        class Odd(Contract, name="bakery.baked", version=1):
            number: str = Key()
            loaves: str

        letter = (
            coordinator.emit(Odd(number="1", loaves="many")).letters().of(bakery.smell).only("invalid-input")
        )
        assert redo(letter.as_test())["REFUSED"] == letter.error_class == "InvalidData"


class TestRuns:
    """A run as a test."""

    def test_one_that_has_completed(self, coordinator: Coordinator) -> None:
        """It takes the same steps to the same result, and no function of an agent is called."""
        case = coordinator.start(bakery.BAKING, order(loaves=3, card="correct horse")).as_test()
        module = redo(case)
        assert module["STEPS"] == ["bakery.take", "bakery.bake"]
        assert module["RESULT"] == {"number": "17", "loaves": 3}
        assert bakery.CALLED == []
        assert set(case.masked) == {"START /card", "OUTCOME of bakery.take /card"}

    @pytest.mark.parametrize("whole", [True, False], ids=["with a payload of its own", "without"])
    def test_one_that_began_in_the_middle(self, coordinator: Coordinator, whole: bool) -> None:
        """It begins at the same step, with what that was given."""
        payload = order("1") if whole else None
        given_to_it = order("2", loaves=5)
        run = coordinator.start(bakery.BAKING, payload, at_step=bakery.bake, given=given_to_it)
        module = redo(run.as_test())
        assert module["STEPS"] == ["bakery.bake"]
        assert module["START"]["number"] == "2"
        assert module["RESULT"] == {"number": "2", "loaves": 5}

    @pytest.mark.parametrize("flow", [bakery.JOINED, bakery.BRANCHES], ids=["joined", "branches"])
    def test_one_with_branches(self, coordinator: Coordinator, flow: Flow) -> None:
        """Branches end in the same, in whatever order they are done."""
        redo(coordinator.start(flow, order(loaves=3)).as_test())
        assert bakery.CALLED == []

    def test_one_that_is_parked(self, coordinator: Coordinator) -> None:
        """What is parked is parked again, and only its agent is called."""
        run = coordinator.start(bakery.BAKING, order(loaves=-1))
        assert redo(run.as_test())["PARKED"] == [["bakery.bake", "error", "ValueError"]]
        assert bakery.CALLED == ["bake", "bake"]

    def test_one_of_many_items(self, coordinator: Coordinator) -> None:
        """Of an agent that is called for several items, each has its own outcome, and what is parked is called."""
        orders = [order(str(number), loaves=number) for number in (1, 2, -1, 4)]
        run = coordinator.start(bakery.TRAYS, bakery.Tray(number="1", orders=orders))
        assert run.status() == "parked"
        module = redo(run.as_test())
        assert len(module["OUTCOMES"]["bakery.bake-later"]) == 3
        assert bakery.CALLED == ["bake-later"] * 2

    def test_one_that_was_mended_by_hand(self, coordinator: Coordinator) -> None:
        """An outcome that a person gave is given again."""
        run = coordinator.start(bakery.BAKING, order(loaves=-1))
        coordinator.skip(run.letters().only(), Baked(number="17", loaves=0), why="no bread today")
        assert redo(run.as_test())["RESULT"] == {"number": "17", "loaves": 0}
        assert bakery.CALLED == []

    def test_one_with_a_fallback(self, coordinator: Coordinator) -> None:
        """Where a fallback took the place of a step, it does so again, and the step's agent is not called."""
        run = coordinator.start(bakery.COLD, order())
        assert redo(run.as_test())["RESULT"] == {"number": "cold", "loaves": 0}
        assert bakery.CALLED == []

    @pytest.mark.parametrize("when", ["waiting", "answered", "too late"])
    def test_one_that_waits(self, when: str) -> None:
        """A signal comes when it came; a run that waits for one waits, and one for which none came takes the timeout's way."""
        with Coordinator(default_settings(eager=True, agents=(BAKERY,))) as coordinator:
            coordinator.hold_time()
            run = coordinator.start(bakery.ASKED, order())
            coordinator.advance(hours=3)
            if when == "answered":
                run.signal("answer", Answer(yes=True))
            elif when == "too late":
                coordinator.advance(days=3)
            case = run.as_test()
        result = {"waiting": None, "answered": {"yes": True}, "too late": {"yes": False}}[when]
        assert redo(case).get("RESULT") == result


class TestRefused:
    """What cannot be exported is refused with one error, that says what to do."""

    def test_letters(self, coordinator: Coordinator) -> None:
        """A letter that is not parked for its agent and its input."""
        letter = coordinator.start(bakery.BUSY, order()).letters().only()
        with pytest.raises(
            ExportRefused, match=r"is allowance-spent, .*; nothing was written; export those that"
        ):
            letter.as_test()

    def test_an_agent_that_is_not_loaded(self, coordinator: Coordinator) -> None:
        """A letter whose agent no module that a test could load declares."""

        @agent("bakery.local")
        def local(order: Order) -> Baked:
            raise ValueError

        run = coordinator.start(Flow("bakery.local-flow", local), order())
        with pytest.raises(
            LoadError, match=r"no module has bakery.local, .*; nothing was written; name the module"
        ):
            run.letters().only().as_test()
        with pytest.raises(LoadError, match=r"no module has bakery.local-flow"):
            run.as_test()

    def test_runs(self, coordinator: Coordinator) -> None:
        """A run that is still at work, or was cancelled; the story of an event; a run whose flow is not loaded."""
        coordinator.hold_time()
        run = coordinator.start(bakery.ASKED, order())
        with pytest.raises(ExportRefused, match="it is running, and steps of it are delayed"):
            run.as_test()
        run.cancel()
        with pytest.raises(ExportRefused, match="it is cancelled"):
            run.as_test()
        with pytest.raises(ExportRefused, match="is the story of an event"):
            coordinator.emit(Baked(number="2", loaves=1)).as_test()
        nameless = Run(coordinator.start(bakery.BAKING, order("18")).id, run._access, None)
        with pytest.raises(LoadError, match=r"the flow bakery.baking is not loaded here"):
            nameless.as_test()


class TestCommands:
    """``dead-letters export`` and ``runs export``."""

    def test_the_file_passes_as_it_is(
        self, coordinator: Coordinator, command: Command, tmp_path: Path
    ) -> None:
        """Both write a file that pytest passes, with the plugin of the package and nothing else."""
        run = coordinator.start(bakery.BAKING, order(loaves=-1))
        letter = run.letters().only()
        one, other = tmp_path / "test_letter.py", tmp_path / "test_run.py"
        status, out, _ = command(coordinator, "dead-letters", "export", letter.id[:8], "--as-test", str(one))
        assert (status, "is written: pytest" in out) == (0, True)
        told = command.json(coordinator, "runs", "export", run.id, "--as-test", str(other))
        assert told == {"file": str(other), "masked": []}
        assert str(tmp_path) not in one.read_text("utf-8") + other.read_text("utf-8")
        plugins = ["-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]
        done = python("-m", "pytest", "-q", *plugins, str(one), str(other), PYTHONPATH=":".join(sys.path))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 passed" in done.stdout

    def test_what_is_masked_is_said(self, coordinator: Coordinator, command: Command, tmp_path: Path) -> None:
        """What has to be filled in is listed."""
        run = coordinator.start(bakery.BAKING, order(loaves=-1, card="correct horse"))
        _, out, _ = command(coordinator, "runs", "export", run.id, "--as-test", str(tmp_path / "test_run.py"))
        assert "fill in first what is masked, 2 in all: OUTCOME of bakery.take /card, START /card" in out

    def test_a_file_that_is_there(self, coordinator: Coordinator, command: Command, tmp_path: Path) -> None:
        """It is written over only where that is said; a folder that is not there is an error in one line."""
        run = coordinator.start(bakery.BAKING, order())
        file = tmp_path / "test_run.py"
        file.write_text("mine", "utf-8")
        status, _, err = command(coordinator, "runs", "export", run.id, "--as-test", str(file))
        assert (status, file.read_text("utf-8")) == (1, "mine")
        assert "is there already; nothing was written; name another file, or say --force" in err
        assert command(coordinator, "runs", "export", run.id, "--as-test", str(file), "--force")[0] == 0
        assert file.read_text("utf-8") == run.as_test().text
        status, _, err = command(
            coordinator, "runs", "export", run.id, "--as-test", str(tmp_path / "no" / "x.py")
        )
        assert (status, "cannot be written: No such file or directory" in err) == (1, True)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PAYLOADS, min_size=1, max_size=8))
def test_payloads_are_laid_out(payloads: list[dict[str, Any]]) -> None:
    """Whatever is in a payload, it is written as ``ruff format`` would write it in lines of 100 columns."""
    text = "".join(f"{assigned(f'VALUE_{number}', one)}\n" for number, one in enumerate(payloads))
    assert formatted(text) == text
