"""Fields: a schema in words, what changed in it, and what must not be shown."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, SecretStr, create_model

from handoffs import Contract, Sensitive
from handoffs.contracts.fields import changes, fields, masked, sensitive_paths
from handoffs.contracts.schema import normal


class Card(BaseModel):
    number: Sensitive
    holder: str = ""


class Tree(BaseModel):
    pin: Sensitive
    inner: list[Tree] = []


def read(**named: Any) -> dict[str, Any]:
    """The schema that a model with these fields reads."""
    return normal(create_model("Model", **named).model_json_schema())


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (str, "string, required"),
        (int, "integer, required"),
        (Annotated[int, Field(ge=0, lt=9)], "integer, from 0, below 9, required"),
        (Annotated[str, Field(max_length=5, pattern="^a")], "string, to 5 characters, like ^a, required"),
        (Literal["b", "a"], 'one of "a", "b", required'),
        (Literal["a"], '"a", required'),
        (str | None, "string or null, required"),
        (Annotated[int, Field(gt=1)] | None, "integer above 1 or null, required"),
        (list[int], "array of integer, required"),
        (dict[str, int], "object of integer, required"),
        (Card, "object, required"),
        (Any, "anything, required"),
    ],
)
def test_in_words(hint: Any, said: str) -> None:
    """Type, bounds, and whether it is required: one line."""
    assert str(fields(read(x=(hint, ...)))["/x"]) == said


def test_paths() -> None:
    """Fields at every depth are named by their path; a tree ends."""
    found = fields(read(cards=(dict[str, list[Card]], ...), tree=(Tree, ...), last=(bool, False)))
    assert {"/cards/*/*/number", "/tree/pin", "/tree/inner", "/tree/inner/*"} <= found.keys()
    assert found["/tree/inner/*"].kind == "the same again"
    assert str(found["/last"]) == "boolean, optional"


def test_changes() -> None:
    """What is gone, new, or said otherwise, each once; nothing of what stayed."""
    old, new = read(a=(str, ...), b=(int, ...), c=(int, 1)), read(b=(float, ...), c=(int, 1), d=(str, ""))
    assert [(change.path, change.was, change.now) for change in changes(old, new)] == [
        ("/a", "string, required", ""),
        ("/b", "integer, required", "number, required"),
        ("/d", "", "string, optional"),
    ]
    assert changes(old, old) == ()


@pytest.mark.parametrize(
    ("hint", "value", "shown"),
    [
        (Sensitive, "s", "*"),
        (Sensitive | None, "s", "*"),
        (Sensitive | None, None, None),
        (SecretStr, "s", "*"),
        (list[Sensitive], ["s", "s"], ["*", "*"]),
        (dict[str, Sensitive], {"a": "s"}, {"a": "*"}),
        (Card, {"number": "s", "holder": "h"}, {"number": "*", "holder": "h"}),
        (list[Card | int], [{"number": "s"}, 7], [{"number": "*"}, 7]),
        (tuple[int, Sensitive], [1, "s"], [1, "*"]),
        (str, "h", "h"),
    ],
)
def test_masked(hint: Any, value: Any, shown: Any) -> None:
    """A sensitive value is masked wherever it is, and nothing else is."""
    model = create_model("Model", __base__=Contract, **{"a/b": (hint, ...)})  # type: ignore[call-overload]
    paths = sensitive_paths(model.model_json_schema())
    stars = str(masked({"a/b": value}, paths)).replace("**********", "*")
    assert stars == str({"a/b": shown})


def test_a_tree_hides_its_depths() -> None:
    """Where a secret is in a tree, what is deeper is masked as a whole."""
    paths = sensitive_paths(Tree.model_json_schema())
    value = {"pin": "s", "inner": [{"pin": "s", "inner": [{"pin": "s"}]}]}
    assert "s" not in str(masked(value, paths)).replace("'pins'", "").replace("'pin'", "").replace(
        "inner", ""
    ).split("'")
