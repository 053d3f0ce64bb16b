"""References in schemas: what is not in the document is never fetched, from a network or a disk, whoever asks and however it is said."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import WithJsonSchema

from handoffs import Contract, Key
from handoffs.contracts.compatibility import compare
from handoffs.contracts.conformity import Conformity
from handoffs.contracts.errors import ContractError, InvalidData
from handoffs.contracts.fields import changes, fields
from handoffs.contracts.judgeable import unjudged
from handoffs.contracts.registry.publishing import decide
from handoffs.contracts.registry.registry import Registry
from handoffs.contracts.samples import samples
from handoffs.contracts.versions import Known, Versions

ELSEWHERE: dict[str, dict[str, Any]] = {
    "http": {"$ref": "http://127.0.0.1:9/schema.json"},
    "https and a fragment": {"$ref": "https://example.com/schema.json#/$defs/a"},
    "a file": {"$ref": "file:///etc/hostname"},
    "ftp": {"$ref": "ftp://127.0.0.1:9/schema.json"},
    "a relative name": {"$ref": "other.json"},
    "a network path": {"$ref": "//127.0.0.1:9/schema.json"},
    "a urn": {"$ref": "urn:example:schema"},
    "an anchor": {"$ref": "#there"},
    "a base": {"$id": "http://127.0.0.1:9/base/", "$ref": "other.json"},
    "a base around": {"$id": "http://127.0.0.1:9/base/", "properties": {"x": {"$ref": "other.json"}}},
    "dynamic": {"$dynamicRef": "http://127.0.0.1:9/schema.json#there"},
    "a dialect": {"$schema": "http://127.0.0.1:9/dialect.json", "$ref": "http://127.0.0.1:9/schema.json"},
    "in a list": {"anyOf": [{"type": "null"}, {"items": {"$ref": "http://127.0.0.1:9/schema.json"}}]},
}


@pytest.fixture(autouse=True)
def nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **_: Any) -> None:
        raise AssertionError(f"{arguments[-1]} was fetched")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)


@pytest.mark.parametrize("place", ELSEWHERE)
def test_data_is_refused(place: str) -> None:
    """Data of a published version whose schema refers to somewhere else cannot be judged, and is refused with that reason, not with
    a traceback; what is said of such a schema beside that asks nobody either."""
    part = ELSEWHERE[place]
    schema = {"type": "object", "properties": {"x": part}, "required": ["x"]}
    conformity = Conformity("test.elsewhere/1", schema, schema)
    assert "cannot be judged" in _refusals(conformity.checked)
    conformity.content({"x": [{"b": 1, "a": [2, 1]}]})
    assert [*unjudged(schema)]
    assert compare(schema, {"type": "object", "maxProperties": 0}).verdict != "compatible"
    fields(schema)
    changes(schema, schema)
    samples(schema, most=2)
    versions = Versions([Known(Elsewhere.ref(), schema, schema, "sha256:" + "0" * 64)])
    assert "cannot be judged" in _refusals(lambda data: versions.checked(Elsewhere.ref(), data))


def _refusals(check: Callable[[dict[str, Any]], Any]) -> str:
    """Why data of several forms is refused."""
    said = []
    for data in ({"x": [1]}, {"x": {"x": [1]}}, {"x": 1}):
        with contextlib.suppress(InvalidData):
            check(data)
            continue
        with pytest.raises(InvalidData) as refused:
            check(data)
        said.append(str(refused.value))
    return "; ".join(said)


class Elsewhere(Contract, name="test.elsewhere", version=1):
    x: int


@pytest.mark.parametrize(
    "place", [place for place in ELSEWHERE if place not in ("a base", "a base around", "a dialect")]
)
def test_it_is_not_published(place: str, tmp_path: Path) -> None:
    """A contract whose schema refers to somewhere else is refused before it is published."""

    class Made(Contract, name="test.refers", version=1):
        order: str = Key(examples=["o-1"])
        x: Annotated[Any, WithJsonSchema(ELSEWHERE[place])] = None

    try:
        decision = decide(Made, Registry(tmp_path), owner="us")
    except ContractError:
        return
    assert "schema" in {problem.rule for problem in decision.problems}


def test_what_is_in_the_document_is_followed() -> None:
    """References within the document are followed, as they are written by Pydantic."""
    schema = {
        "type": "object",
        "properties": {"x": {"$ref": "#/$defs/d1"}},
        "$defs": {"d1": {"type": "integer"}},
    }
    assert not [*unjudged(schema)]
    conformity = Conformity("x", schema, schema)
    assert conformity.checked({"x": 1}) == {"x": 1}
    with pytest.raises(InvalidData, match="x: does not fit type integer"):
        conformity.checked({"x": "1"})
