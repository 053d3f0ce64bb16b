"""The documents on contracts, agents, queues and flows: complete, valid, escaped, and always the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft7Validator
from markdown_it import MarkdownIt
from pydantic import BaseModel, Field, SecretStr, TypeAdapter

from handoffs import Contract, Flow, Key, Sensitive, UntrustedText, agent, parallel
from handoffs.config.settings import Settings
from handoffs.config.topology import Topology
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import ContractError
from handoffs.contracts.migration import downcast, upcast
from handoffs.contracts.numbers import ExactDecimal
from handoffs.contracts.reference.payments import FraudScored
from handoffs.contracts.schema import fingerprint, reads, writes
from handoffs.contracts.versions import Known
from handoffs.coordinator.docs.asyncapi import asyncapi
from handoffs.coordinator.docs.envelope import ATTRIBUTES
from handoffs.coordinator.docs.files import UnwritableFolder, documents, write
from handoffs.coordinator.docs.gather import gather
from handoffs.coordinator.docs.model import CHANGED, PUBLISHED, UNPUBLISHED, Landscape
from handoffs.coordinator.docs.schema_words import bounds, kind
from handoffs.coordinator.docs.servers import servers
from handoffs.coordinator.docs.text import code, escaped, prose
from handoffs.coordinator.flow.loading import Definitions, load_modules
from handoffs.coordinator.render.flow_mermaid import flow_mermaid
from tests.eager.shop import Shop

OFFICIAL = Path(__file__).parent / "asyncapi" / "asyncapi-3.0.0.json"
HOSTILE = '<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) | a `b ``<b>`` &amp; "q" \u202e'
SECRET = "hunter2-hunter2"


@dataclass(frozen=True)
class PublishedRow:
    """A published version, as a registry gives it."""

    ref: ContractRef
    fingerprint: str
    reads: dict[str, Any]
    writes: dict[str, Any]
    owner: str = "risk team"
    mode: str = "FULL_TRANSITIVE"
    keys: tuple[str, ...] = ()
    description: str = "A published text."
    sensitive: tuple[str, ...] = ()
    upcast: bool = False
    downcast: str | None = None

    def known(self) -> Known:
        return Known(self.ref, self.writes, self.reads, self.fingerprint)


class Level(Contract, name="payments.fraud-scored", version=1):
    """The first version: a level."""

    payment_id: str = Key()
    risk_level: Literal["low", "high"]


def entry(contract: type[Contract], **more: Any) -> PublishedRow:
    """What a registry says of a class."""
    return PublishedRow(contract.ref(), fingerprint(contract), reads(contract), writes(contract), **more)


def landscape(
    *found: Any, published: tuple[PublishedRow, ...] = (), settings: Settings | None = None
) -> Landscape:
    """What is told of agents and flows."""
    catalogue = Definitions()
    for value in found:
        catalogue.add(value)
    return gather(catalogue, settings or Settings(), published)


@pytest.fixture(scope="module")
def payments() -> Landscape:
    """The reference system, with one contract published in two versions."""
    published = (
        entry(Level, keys=("payment_id",)),
        entry(FraudScored, upcast=True, downcast="the score within its level"),
    )
    return gather(load_modules(["handoffs.tasks.payments"]), Settings(), published)


@pytest.fixture(scope="module")
def shop() -> Landscape:
    """Flows of every shape: chains, branches, branches within branches, joins."""
    return landscape(*Shop().flows.values())


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    """The schema that the AsyncAPI Initiative publishes."""
    return Draft7Validator(json.loads(OFFICIAL.read_text("utf-8")))


class Page(HTMLParser):
    """What a browser would find: elements, anchors, links, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, attribute: str) -> list[str]:
        return [value for name, value in self.attributes if name == attribute]


def faults(validator: Draft7Validator, document: Any) -> list[str]:
    return [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in validator.iter_errors(document)
    ]


# AsyncAPI


@pytest.mark.parametrize("name", ["payments", "shop"])
def test_asyncapi_is_valid(name: str, official: Draft7Validator, request: pytest.FixtureRequest) -> None:
    """The document is valid by the official schema of AsyncAPI 3.0, and each payload schema by JSON Schema draft 7."""
    document = asyncapi(request.getfixturevalue(name))
    assert faults(official, document) == []
    for schema in document["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)


def test_the_official_schema_would_object(payments: Landscape, official: Draft7Validator) -> None:
    """A document that is wrong is refused: the check above proves something."""
    document = asyncapi(payments)
    document["channels"]["payments.fraud"]["bindings"]["amqp"]["is"] = "pipe"
    assert faults(official, document)


@pytest.mark.parametrize("name", ["payments", "shop"])
def test_every_reference_leads_somewhere(name: str, request: pytest.FixtureRequest) -> None:
    """Each ``$ref`` is a place in the document, and an operation names messages of its own channel only."""
    document = asyncapi(request.getfixturevalue(name))
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        place = document
        for part in reference.split("/"):
            place = place[part]
    for operation in document["operations"].values():
        assert operation["messages"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{operation['channel']['$ref']}/messages/")


def test_payload_schemas_judge_real_data(payments: Landscape) -> None:
    """A payload schema takes what the contract writes, and refuses what it does not."""
    document = asyncapi(payments)
    schema = {
        **document["components"]["schemas"]["payments.fraud-scored.v2"],
        "components": document["components"],
    }
    scored = FraudScored(
        payment_id="p-1", amount=Decimal("12.50"), currency="EUR", debtor="a", creditor="b",
        card_number=SecretStr("4111111111111111"), risk_score=50,
    ).to_data()  # fmt: skip
    validator = Draft7Validator(schema)
    assert validator.is_valid(scored)
    assert not validator.is_valid({**scored, "risk_score": 101})


def test_headers_are_those_of_the_envelope(payments: Landscape) -> None:
    """Each attribute of an envelope is told, and a message's headers take its own envelopes and no other's."""
    assert {info.alias or name for name, info in Envelope.model_fields.items()} == {*ATTRIBUTES, "data"}
    document = asyncapi(payments)
    headers = document["components"]["messages"]["payments.fraud-scored.v2"]["headers"]
    validator = Draft7Validator({**headers, "components": document["components"]})
    ref = FraudScored.ref()
    envelope = Envelope(
        id="1", source="/agents/payments.fraud", type=ref.name, data_schema=ref.uri, time=datetime.now(UTC),
        correlation_id="r", idempotency_key="k", trace_parent=f"00-{'0' * 32}-{'1' * 16}-01", data={},
    )  # fmt: skip
    written = {name: value for name, value in json.loads(envelope.encode()).items() if name != "data"}
    assert faults(validator, written) == []
    assert not validator.is_valid({**written, "dataschema": "urn:contract:payments.fraud-scored:1"})
    assert not validator.is_valid({name: value for name, value in written.items() if name != "correlationid"})


def test_queues_are_as_the_topology_declares_them(payments: Landscape) -> None:
    """Queues, exchanges and their names come from the topology, with the namespace."""
    spaced = gather(load_modules(["handoffs.tasks.payments"]), Settings(namespace="blue"))
    channels = asyncapi(spaced)["channels"]
    topology = Topology("blue.")
    for name in ("payments.fraud", "payments.ledger"):
        binding = channels[f"blue.{name}"]["bindings"]["amqp"]
        assert binding["queue"]["name"] == topology.queue_name(name)
        assert binding["queue"]["durable"] is True
        assert binding["x-exchange"] == topology.agents.name
        assert binding["x-arguments"] == vars(topology.queue(name))["queue_arguments"]
    assert channels[topology.agents.name]["bindings"]["amqp"]["exchange"]["type"] == "direct"
    assert len(channels[topology.dead_letters.name]["messages"]) == 4
    assert topology.dead.name in channels
    assert "payments.fraud" in asyncapi(payments)["channels"]


def test_who_sends_what_to_whom(shop: Landscape) -> None:
    """Agents receive what they accept; a branch sends the joined contract to the step that joins; the start sends too."""
    operations = asyncapi(shop)["operations"]
    assert operations["shop.pair.receive"]["messages"] == [
        {"$ref": "#/channels/shop.pair/messages/shop.pair.v1"}
    ]
    assert operations["shop.b.send.shop.pair"]["x-flows"] == ["shop.chain-in-header", "shop.header"]
    assert operations["shop.nested.start.shop.d"]["action"] == "send"
    assert "shop.d.send.shop.a" not in operations


def test_flows_are_told_step_by_step(shop: Landscape) -> None:
    """x-flows has each step with its path, agent, what it accepts and emits, and where its input comes from."""
    flow = asyncapi(shop)["x-flows"]["shop.nested"]
    assert [step["path"] for step in flow["steps"]] == [
        "1.left.1",
        "1.left.2.up.1",
        "1.left.2.down.1",
        "1.right.1",
        "2",
    ]
    assert [giver["part"] for giver in flow["steps"][-1]["from"]] == ["left.up", "left.down", "right"]
    assert flow["steps"][0] == {
        "path": "1.left.1", "agent": "shop.a", "accepts": "shop.thing/1", "emits": "shop.thing/1",
        "from": [{"path": "", "contract": "shop.thing/1", "part": ""}],
    }  # fmt: skip
    assert flow["results"] == [{"path": "2", "contract": "shop.thing/1", "part": ""}]


def test_the_version_changes_with_the_content(payments: Landscape, shop: Landscape) -> None:
    """info.version is a digest: the same for the same content, another for another."""
    versions = [asyncapi(found)["info"]["version"] for found in (payments, payments, shop)]
    assert versions[0] == versions[1] != versions[2]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://zelda:pass@rabbit:5673/handoff", [("rabbit:5673", "amqp", "handoff")]),
        ("amqps://zelda:pass@rabbit", [("rabbit:5671", "amqps", "")]),
        ("pyamqp://rabbit//", [("rabbit:5672", "amqp", "")]),
        ("amqp://a;amqp://zelda:pass@b", [("a:5672", "amqp", ""), ("b:5672", "amqp", "")]),
        ("amqp://zelda:pass@[::1]:5672/", [("[::1]:5672", "amqp", "")]),
        ("amqp://zelda:pa/ss@rabbit/", []),
        ("amqp://zelda:pa#ss@rabbit/", []),
        ("amqp://zelda:pa?ss@rabbit/", []),
        ("amqp://zelda:pa@ss@rabbit/", []),
        ("amqp://zelda:99999/ss", []),
        (None, []),
    ],
)
def test_servers_have_no_credentials(url: str | None, shown: list[tuple[str, str, str]]) -> None:
    """Host, protocol and virtual host are shown; where a password may be mistaken for one of them, nothing is."""
    found = servers(url)
    if url != "pyamqp://rabbit//":
        assert [(server.host, server.protocol, server.vhost) for server in found] == shown
    settings = Settings(broker_url=url, redis_url="redis://r" if url else None)
    text = "".join(documents(gather(load_modules(["handoffs.tasks.payments"]), settings)).values())
    assert not re.search(r"zelda|pass@|ss@rabbit|99999", text)
    assert ("protocolVersion" in text) is bool(found)


# The model


def test_a_registry_adds_versions_owners_and_modes(payments: Landscape) -> None:
    """With a registry, older versions are told without a class, and so is who owns a contract."""
    scored = next(found for found in payments.contracts if found.name == "payments.fraud-scored")
    assert [version.ref.version for version in scored.versions] == [2, 1]
    assert (scored.owner, scored.mode) == ("risk team", "FULL_TRANSITIVE")
    assert [version.state for version in scored.versions] == [PUBLISHED, PUBLISHED]
    assert scored.versions[1].description == ("A published text.",)
    assert [(field.name, field.key) for field in scored.versions[1].fields] == [
        ("payment_id", True),
        ("risk_level", False),
    ]
    text = documents(payments)["catalogue.md"]
    assert max(map(len, documents(payments)["catalogue.html"].splitlines())) < 2000
    assert "downcast 2 to 1, loses: the score within its level" in text
    assert "upcast 1 to 2" in text
    assert {
        version.state for found in payments.contracts if found is not scored for version in found.versions
    } == {UNPUBLISHED}


def test_what_is_not_as_published_says_so() -> None:
    """A class that differs from what is published under its version is marked."""
    catalogue = load_modules(["handoffs.tasks.payments"])
    other = PublishedRow(FraudScored.ref(), "sha256:0", {"type": "object"}, {"type": "object"})
    found = gather(catalogue, Settings(), [other])
    states = {version.ref: version.state for contract in found.contracts for version in contract.versions}
    assert states[FraudScored.ref()] == CHANGED
    assert CHANGED in documents(found)["catalogue.html"]


def test_producers_and_consumers_name_their_versions() -> None:
    """Who writes and reads which versions is what their migrations allow; a join's parts have their readers too."""

    class Old(Contract, name="x.note", version=1):
        text: str

    class New(Contract, name="x.note", version=2):
        body: str

    @upcast(New, 1, 2)
    def up(data: dict[str, Any]) -> dict[str, Any]:
        return {"body": data["text"]}

    @downcast(New, 2, 1)
    def down(data: dict[str, Any]) -> dict[str, Any]:
        return {"text": data["body"]}

    class Both(Contract, name="x.both", version=1):
        one: New
        two: New

    @agent("x.write")
    def write_it(note: New) -> New:
        return note

    @agent("x.join")
    def join_it(both: Both) -> New:
        return both.one

    flow = Flow("x.flow", parallel(one=write_it, two=write_it) >> join_it)
    found = {
        contract.name: contract for contract in landscape(flow, published=(entry(Old), entry(New))).contracts
    }
    note = found["x.note"]
    assert [(party.agent, party.versions, str(party.within or "")) for party in note.consumers] == [
        ("x.join", (2, 1), "x.both/1"),
        ("x.write", (2, 1), ""),
    ]
    assert [(party.agent, party.versions) for party in note.producers] == [
        ("x.join", (2, 1)),
        ("x.write", (2, 1)),
    ]
    assert [step.word for step in note.versions[0].migrations] == ["upcast", "downcast"]
    assert found["x.both"].joins == ("x.flow",)
    assert (note.starts, note.ends) == (("x.flow",), ("x.flow",))


class Line(BaseModel):
    """A part without a name of its own."""

    code: str = Field(pattern="^[A-Z]+$")
    pin: Sensitive = Field(examples=[SECRET])


class Everything(Contract, name="x.everything", version=1):
    """All that a field can be."""

    order: str = Key(min_length=1, max_length=8, description="Whose ``order`` it is.")
    amount: Decimal = Field(gt=0, max_digits=9, decimal_places=2)
    lines: list[Line] = Field(min_length=1, max_length=3)
    best: Line | None = None
    scores: dict[str, Annotated[int, Field(ge=0)]] = Field(default={})
    pair: tuple[int, str] = (1, "a")
    pin: Sensitive = SecretStr(SECRET)
    password: Annotated[str, Field(json_schema_extra={"x-sensitive": True})] = SECRET
    choice: Annotated[Literal["hunter2-hunter2", "b"], Field(json_schema_extra={"x-sensitive": True})] = "b"
    mail: UntrustedText
    currency: Literal["EUR", "USD"] = "EUR"
    again: Everything | None = None


@agent("x.all")
def all_of_it(value: Everything) -> Everything:
    """Take ``everything``."""
    return value


def test_fields_are_told_in_words() -> None:
    """Type, bounds, whether required, default, key, sensitive, untrusted: each as a person would say it."""
    [contract] = landscape(all_of_it).contracts
    fields = {field.name: field for field in contract.versions[0].fields}
    assert fields["order"].key
    assert fields["order"].bounds == ("1 to 8 characters",)
    assert fields["order"].description == "Whose ``order`` it is."
    assert fields["amount"].bounds
    assert (fields["lines"].kind, fields["lines"].bounds) == ("list of object", ("1 to 3 entries",))
    assert fields["lines[].code"].bounds == ("matches ^[A-Z]+$",)
    assert fields["best"].kind == "object or nothing"
    assert fields["best.pin"].sensitive
    assert fields["scores"].kind == "object: by name, whole number"
    assert fields["pair"].kind == "list of 2 given places"
    assert (fields["currency"].kind, fields["currency"].default) == ('"EUR" or "USD"', '"EUR"')
    assert not fields["currency"].required
    assert fields["mail"].untrusted
    assert fields["again"].contract == Everything.ref()
    assert fields["choice"].kind == "one of a few values"


class Node(BaseModel):
    """A tree."""

    name: str
    children: list[Node] = Field(default=[])


def test_a_tree_is_told_once(official: Draft7Validator) -> None:
    """What holds itself is told to the place where it begins again."""

    class Tree(Contract, name="x.tree", version=1):
        root: Node

    @agent("x.climb")
    def climb(tree: Tree) -> Tree:
        return tree

    found = landscape(climb)
    assert [field.name for field in found.contracts[0].versions[0].fields] == [
        "root",
        "root.name",
        "root.children",
    ]
    assert faults(official, asyncapi(found)) == []


def test_sensitive_values_are_shown_nowhere(official: Draft7Validator) -> None:
    """No default, example or constant of a sensitive field is in any document, and all the same they are valid."""
    found = landscape(all_of_it)
    for name, text in documents(found).items():
        assert SECRET not in text, name
        assert "sensitive" in text
    document = asyncapi(found)
    assert faults(official, document) == []
    for schema in document["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)


def test_a_registry_says_what_is_sensitive() -> None:
    """For a version without a class, the registry's pointers mark the fields, within lists too."""
    schema = {
        "type": "object",
        "properties": {
            "lines": {"type": "array", "items": {"type": "object", "properties": {"pin": {"enum": [SECRET]}}}}
        },
    }
    old = PublishedRow(ContractRef("x.old", 1), "sha256:0", schema, schema, sensitive=("/lines/*/pin",))
    [contract] = landscape(published=(old,)).contracts
    assert [field.name for field in contract.versions[0].fields if field.sensitive] == ["lines[].pin"]
    for name, text in documents(landscape(published=(old,))).items():
        assert SECRET not in text, name


@pytest.mark.parametrize(
    ("schema", "words", "limits"),
    [
        ({"type": "integer", "minimum": 0}, "whole number", ("at least 0",)),
        (
            {"type": "number", "exclusiveMinimum": 0, "multipleOf": 5},
            "number",
            ("more than 0", "a multiple of 5"),
        ),
        ({"type": ["string", "null"], "maxLength": 1}, "text or nothing", ("at most 1 character",)),
        ({"type": "string", "format": "date-time"}, "date and time", ()),
        ({"const": 3}, "3", ()),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, "true or false or nothing", ()),
        (
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "list of text",
            ("no two alike",),
        ),
        (TypeAdapter(ExactDecimal).json_schema(), "decimal number, as text", ()),
        ({"$ref": "#/$defs/none"}, "any value", ()),
        (True, "any value", ()),
    ],
)
def test_words(schema: Any, words: str, limits: tuple[str, ...]) -> None:
    """A schema's type and bounds, in words."""
    assert (kind(schema, {}), bounds(schema, {})) == (words, limits)


# The page and the Markdown


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


# Files


def test_the_same_again(tmp_path: Path) -> None:
    """Two runs write the same bytes, whatever was loaded first."""
    flows = list(Shop().flows.values())
    first = write(landscape(flows[0], flows[1], flows[2]), tmp_path / "a")
    second = write(landscape(flows[2], flows[1], flows[0]), tmp_path / "b")
    assert [file.name for file in first] == ["asyncapi.json", "catalogue.html", "catalogue.md"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert b"\r" not in one.read_bytes()


def test_nothing_loaded_is_a_document_too(official: Draft7Validator) -> None:
    """Without any agent the documents are empty and valid."""
    found = landscape()
    assert faults(official, asyncapi(found)) == []
    assert "0 contracts" in documents(found)["catalogue.html"]


@pytest.mark.parametrize("folder", ["file", "file/below", "nul\0"])
def test_an_unwritable_folder_is_a_typed_error(folder: str, tmp_path: Path) -> None:
    """A folder that cannot be made or written to ends in an error that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UnwritableFolder, match=r"file|nul"):
        write(landscape(), tmp_path / folder)
