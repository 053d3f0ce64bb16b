"""The page and the Markdown: complete, escaped, and needing nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources

import pytest
from jsonschema import Draft7Validator
from markdown_it import MarkdownIt
from pydantic import Field

from handoffs import Contract, agent
from handoffs.contracts.errors import ContractError
from handoffs.coordinator.docs.asyncapi import asyncapi
from handoffs.coordinator.docs.files import documents
from handoffs.coordinator.docs.model import Landscape
from handoffs.coordinator.docs.text import code, escaped, prose
from handoffs.coordinator.render.flow_mermaid import flow_mermaid
from tests.unit.docs.described import (
    HOSTILE,
    Page,
    entry,
    faults,
    landscape,
)


@pytest.mark.parametrize("name", ["payments", "shop"])
def test_everything_is_in_every_document(name: str, request: pytest.FixtureRequest) -> None:
    """Each agent, queue, contract version and flow is in each document."""
    found = request.getfixturevalue(name)
    for text in documents(found).values():
        for part in (*found.agents, *found.queues, *found.contracts, *found.flows):
            assert part.name in text
        for contract in found.contracts:
            for version in contract.versions:
                assert version.fingerprint in text


@pytest.mark.parametrize("name", ["payments", "shop"])
def test_every_anchor_exists(name: str, request: pytest.FixtureRequest) -> None:
    """Each link within the page and the Markdown leads to an anchor, and no anchor is there twice."""
    made = documents(request.getfixturevalue(name))
    page = Page(made["catalogue.html"])
    anchors = page.all("id")
    assert len(anchors) == len(set(anchors))
    assert {link.removeprefix("#") for link in page.all("href")} <= set(anchors)
    text = made["catalogue.md"]
    known = {*re.findall(r'<a id="([^"]+)">', text), "queues", "the-envelope"}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= known


def test_the_page_needs_nothing_else(payments: Landscape) -> None:
    """It loads no script, style, font or image, and its own policy forbids it."""
    text = documents(payments)["catalogue.html"]
    page = Page(text)
    assert not {"script", "img", "link", "iframe", "object"} & set(page.tags)
    assert not page.all("src")
    assert "url(" not in text
    assert "@import" not in text
    assert all(link.startswith("#") for link in page.all("href"))
    assert "default-src 'none'" in page.all("content")[1]
    for query in ("prefers-color-scheme: dark", "@media print", "max-width"):
        assert query in text


def test_hostile_texts_are_text(official: Draft7Validator) -> None:
    """What a docstring, a description, an owner or a lossy note says is shown as it is, and is markup nowhere."""

    class Bad(Contract, name="x.bad", version=1):
        field: str = Field(description=HOSTILE, default=HOSTILE, pattern="^<b>|`$")

    Bad.__doc__ = HOSTILE

    def function(value: Bad) -> Bad:
        return value

    function.__doc__ = HOSTILE
    function.__annotations__ = {"value": Bad, "return": Bad}
    old = entry(Bad, owner=HOSTILE, mode=HOSTILE, downcast=HOSTILE, description=HOSTILE)
    found = landscape(agent("x.bad")(function), published=(old,))
    made = documents(found)
    page = Page(made["catalogue.html"])
    assert not {"script", "img", "b"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text
    assert "<b>" in page.text
    for text in made.values():
        assert "\u202e" not in text
    inline = [
        child
        for token in MarkdownIt("commonmark").enable("table").parse(made["catalogue.md"])
        for child in (token, *(token.children or ()))
    ]
    raw = {token.content for token in inline if token.type.startswith("html")}
    assert all(re.fullmatch(r'<a id="[a-z0-9.-]+">|</a>', html) for html in raw), raw
    assert all(str(token.attrs["href"]).startswith("#") for token in inline if token.type == "link_open")
    assert not [token for token in inline if token.type == "image"]
    assert any("<script>alert(1)</script>" in token.content for token in inline if token.type == "text")
    rows = [line for line in made["catalogue.md"].splitlines() if line.startswith("| `field`")]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 6 for row in rows)
    document = asyncapi(found)
    assert faults(official, document) == []
    assert "<script" not in document["components"]["messages"]["x.bad.v1"]["description"]


def test_the_template_trusts_no_value() -> None:
    """Nothing in the template of the page is marked as safe, and escaping is turned off nowhere."""
    template = resources.files("handoffs.coordinator.docs").joinpath("page.html.j2").read_text("utf-8")
    assert not re.search(r"\bsafe\b|Markup|autoescape false", template)


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("a_b _c_ *d*", r"a_b \_c\_ \*d\*"),
        ("<b> & $x$", r"&lt;b&gt; &amp; \$x\$"),
        ("- no list", r"\- no list"),
        ("1. no list", r"1\. no list"),
        ("# no heading", r"\# no heading"),
        ("a ``code_<b>`` b", "a `code_<b>` b"),
    ],
)
def test_prose(text: str, markdown: str) -> None:
    """Markdown's own characters are escaped; what stands between double backticks is code."""
    assert prose(text) == markdown


def test_code_spans_hold_backticks() -> None:
    """A code span's fence is longer than any run of backticks in it."""
    assert code("a`b``c") == "```a`b``c```"
    assert code("`a") == "`` `a ``"
    assert escaped("`") == "\\`"


def test_mermaid(shop: Landscape) -> None:
    """A diagram has a box for each step, an arrow for each handoff, and the part that a branch fills in a join."""
    flow = next(flow for flow in shop.flows if flow.name == "shop.header")
    text = flow_mermaid(flow.outline)
    assert text.count('["') - 1 == len(flow.steps)
    assert text.count("-->") == 1 + 2 + 2 + 1 + 1
    assert '|"left: shop.thing/1"| s4' in text


def test_a_contract_without_a_schema_is_a_typed_error() -> None:
    """A field for which there is no JSON Schema ends in an error that names the contract."""

    class Odd(Contract, name="x.odd", version=1):
        call: Callable[[], int]

    @agent("x.odd")
    def odd(value: Odd) -> Odd:
        return value

    with pytest.raises(ContractError, match=r"x\.odd/1 has no JSON Schema"):
        landscape(odd)
