"""The AsyncAPI document: valid, complete, and the same for the same landscape."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from jsonschema import Draft7Validator
from pydantic import SecretStr

from handoffs.config.settings import Settings
from handoffs.config.topology import Topology
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.reference.payments import FraudScored
from handoffs.coordinator.docs.asyncapi import asyncapi
from handoffs.coordinator.docs.envelope import ATTRIBUTES
from handoffs.coordinator.docs.files import documents
from handoffs.coordinator.docs.gather import gather
from handoffs.coordinator.docs.model import Landscape
from handoffs.coordinator.docs.servers import servers
from handoffs.coordinator.flow.loading import load_modules
from tests.unit.docs.described import (
    faults,
)


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
    settings = Settings().model_copy(update={"broker_url": url})  # also what settings refuse
    text = "".join(documents(gather(load_modules(["handoffs.tasks.payments"]), settings)).values())
    assert not re.search(r"zelda|pass@|ss@rabbit|99999", text)
    assert ("protocolVersion" in text) is bool(found)
