"""What is written as a test is a module, whatever was in the payload, and has the same payload in it."""

from __future__ import annotations

import ast
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from handoffs.contracts.text import MASK
from handoffs.coordinator.cases.case import test_name as name_of_test
from handoffs.coordinator.cases.letter_case import LetterStory, letter_case
from handoffs.coordinator.cases.literal import assigned, plain, text_of
from handoffs.coordinator.cases.run_case import RunStory, Signal, run_case
from tests.unit.cases.payloads import JSON, PAYLOADS

TEXTS = st.text(max_size=200)


def constants(text: str) -> dict[str, Any]:
    """The constants of a module by their names, without a call of anything in it."""
    found: dict[str, Any] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            value = ast.fix_missing_locations(ast.Expression(statement.value))
            found[statement.targets[0].id] = eval(compile(value, "case", "eval"), {}, found)
    return found


def same(one: object, other: object) -> bool:
    """Whether values are equal and of the same types, at any depth: 1 is not 1.0, and not true."""
    return repr(one) == repr(other)


@given(JSON)
def test_a_value_is_the_same_again(value: Any) -> None:
    """Any JSON value is written so that Python reads the same one."""
    assert same(constants(assigned("VALUE", value))["VALUE"], value)


@given(TEXTS)
def test_a_text_is_one_line_that_can_be_printed(text: str) -> None:
    """A literal of a text has no line ends in it, nothing that turns the reading order, and can be written as UTF-8."""
    literal = text_of(text)
    assert literal.isprintable()
    literal.encode()
    assert ast.literal_eval(literal) == text


def test_how_it_is_laid_out() -> None:
    """What fits into a line of 100 columns is in one line; what does not has a line for each member."""
    assert assigned("A", {"a": 1, "b": [1.5, None]}) == 'A = {"a": 1, "b": [1.5, None]}'
    long = "x" * 60
    assert assigned("A", {"a": [long, {}], "b": {"c": long}}) == "\n".join(
        ["A = {", f'    "a": ["{long}", {{}}],', f'    "b": {{"c": "{long}"}},', "}"]
    )
    assert assigned("A", [long + long]) == "\n".join(["A = [", f'    "{long}{long}",', "]"])
    assert assigned("A", 'say "no"') == "A = 'say \"no\"'"
    assert assigned("A", 1e300) == "A = 1e300"


@settings(max_examples=60, deadline=None)
@given(PAYLOADS, TEXTS, TEXTS, st.sampled_from(["error", "invalid-input", "invalid-output"]), st.booleans())
def test_a_letter(payload: dict[str, Any], text: str, name: str, reason: str, refused: bool) -> None:
    """Whatever a letter says and carries, its test is a module that has its input, its reason and its error in it."""
    story = LetterStory("0ae2", "shop.order", "1", "shop.price", reason, name, text, payload, refused)
    case = letter_case(story, ["shop"])
    found = constants(case.text)
    assert same(found["INPUT"], payload)
    assert found["MODULES"] == ["shop"]
    assert found["REFUSED"] == name if refused else found["PARKED"] == ["shop.price", reason, name]


@settings(max_examples=40, deadline=None)
@given(PAYLOADS, st.lists(st.tuples(PAYLOADS, PAYLOADS), min_size=1, max_size=3), PAYLOADS, st.booleans())
def test_a_run(
    payload: dict[str, Any], pairs: list[tuple[Any, Any]], said: dict[str, Any], branches: bool
) -> None:
    """Whatever a run was given and made, its test is a module that has that in it."""
    story = RunStory(
        "2af7", "shop.order", "completed", payload, ["shop.price"], ordered=True, outcomes={"shop.price": pairs},
        signals=[Signal(1.5, "approval", said)], held=True, result=payload, branches=branches,
    )  # fmt: skip
    found = constants(run_case(story, ["shop"]).text)
    assert same(found["START"], payload)
    assert same(found["RESULT"], payload)
    assert same(found["SIGNALS"], [[1.5, "approval", said]])
    assert found["STEPS"] == ["shop.price"]
    made = {"shop.price": [list(pair) for pair in pairs]}
    assert same(found.get("OUTCOMES"), made) or same(found.get("OUTCOME"), {"shop.price": pairs[0][1]})


def test_what_is_masked() -> None:
    """Each masked value is a constant that has to be filled in, wherever it is; what is not masked is as it was."""
    given = {"card": MASK, "a/b": [{"~": MASK}, "x"], MASK: 1}
    story = LetterStory("0ae2", "shop.order", "1", "shop.price", "error", "ValueError", "no", given)
    case = letter_case(story, ["shop"])
    assert case.masked == ("INPUT /card", "INPUT /a~1b/0/~0")
    found = constants(case.text)
    assert found["SECRETS"] == [None, None]
    filled = constants(
        case.text.replace("SECRET_1 = None", "SECRET_1 = 1").replace("SECRET_2 = None", "SECRET_2 = 2")
    )
    assert filled["INPUT"] == {"card": 1, "a/b": [{"~": 2}, "x"], MASK: 1}
    assert "assert None not in SECRETS" in case.text


@given(TEXTS)
def test_texts_of_others(text: str) -> None:
    """What others have written stands in a comment as one line of plain signs, and in the name of a test as one."""
    assert plain(text, 50).isascii()
    assert plain(text, 50).isprintable()
    assert len(plain(text, 50)) <= 50
    assert '"' not in plain(text)
    assert name_of_test(text).isidentifier()
