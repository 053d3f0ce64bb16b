"""The documents on events: who emits them, who hears them and how, over which exchange."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from markdown_it import MarkdownIt

from handoffs import Event, Flow, agent, emit, on
from handoffs.config.settings import Settings
from handoffs.coordinator.docs.asyncapi import asyncapi
from handoffs.coordinator.docs.files import documents
from handoffs.coordinator.docs.gather import gather
from handoffs.coordinator.docs.markdown import markdown
from handoffs.coordinator.docs.model import Landscape
from handoffs.coordinator.docs.page import page
from handoffs.coordinator.flow.loading import Definitions
from tests.eager.newsroom import Filed, Newsroom, Printed

OFFICIAL = Path(__file__).parent / "asyncapi" / "asyncapi-3.0.0.json"


@pytest.fixture(scope="module")
def news() -> Landscape:
    """Events by name and by pattern, a condition, a set, and a flow that emits."""
    catalogue = Definitions()
    room = Newsroom()

    @on(Printed, ordered=True)
    @agent("news.shelf")
    def shelf(printed: Printed) -> None:
        raise NotImplementedError(printed)

    @agent("news.file", events=(Printed,))
    def file(filed: Filed) -> Filed:
        return filed

    @on("news.#")
    @agent("news.all-ears")
    def ears(event: Event) -> None:
        raise NotImplementedError(event)

    for one in (*room.agents, shelf, ears):
        catalogue.add(one)
    catalogue.add(Flow("news.flow", file >> emit()))
    return gather(catalogue, Settings())


def test_asyncapi_tells_of_events(news: Landscape) -> None:
    """Events go over the topic exchange; queues have the events that come to them, and of a set its parts."""
    document = asyncapi(news)
    assert [
        error.message
        for error in Draft7Validator(json.loads(OFFICIAL.read_text("utf-8"))).iter_errors(document)
    ] == []
    channels, operations = document["channels"], document["operations"]
    topic = channels["handoff.events"]
    assert topic["bindings"]["amqp"]["exchange"]["type"] == "topic"
    assert set(topic["messages"]) == {"news.filed.v1", "news.ordered.v1", "news.printed.v1", "news.set.v1"}
    assert channels["handoff.unheard-events"]["description"].startswith("For events that nobody hears")
    desk = next(name for name in channels if name.endswith(".desk"))
    press = desk.replace(".desk", ".press")
    assert set(channels[desk]["messages"]) == {"news.filed.v1"}
    assert set(channels[press]["messages"]) == {"news.set.v1"}  # not the set, which is made of them
    assert set(channels["news.all-ears"]["messages"]) >= set(topic["messages"])
    shelf = channels["news.shelf"]["bindings"]["amqp"]
    assert (shelf["x-exchange"], shelf["x-routing-key"]) == ("handoff.agents", "news.shelf")
    assert shelf["x-arguments"]["x-single-active-consumer"] is True
    emitted = operations[f"{desk}.emit.news.ordered"]
    assert (emitted["action"], emitted["channel"]) == ("send", {"$ref": "#/channels/handoff.events"})
    assert operations["news.flow.emit.news.filed"]["x-flows"] == ["news.flow"]
    assert operations["news.file.emit.news.printed"]["x-agent"] == "news.file"
    assert not any("coordinator.nothing" in name for name in operations)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        place = document
        for part in reference.split("/"):
            place = place[part]
    for operation in operations.values():
        assert all(
            one["$ref"].startswith(f"{operation['channel']['$ref']}/messages/")
            for one in operation["messages"]
        )


def test_people_read_of_events(news: Landscape) -> None:
    """The page and the Markdown say who emits and who hears each event: by name, by pattern, which of them, in which sets."""
    room = next(one.name for one in news.agents if one.name.endswith(".press")).removesuffix(".press")
    for text in (page(news), markdown(news)):
        plain = re.sub(r"<[^>]+>|\]\(#[^)]*\)|[\[\\`]|&[a-z]+;", "", text)
        assert "Events" in plain
        assert "hears version 1 as an event, where number" in plain
        assert (
            "in sets of the same story, as parts of news.parts/1, once as many as parts says, within 1 h"
            in plain
        )
        assert "else it is parked" in plain
        assert "hears news." in plain
        assert "hears version 1 as an event, in order" in plain
        assert "any version, by news." in plain
        assert "in a step of its own" in plain
        assert "emits version 1 as an event" in plain
        assert f"{room}.desk" in plain
        assert "events that nobody hears" in plain
    MarkdownIt("commonmark").enable("table").render(markdown(news))
    anchors = set(re.findall(r'id="([^"]+)"', page(news)))
    assert set(re.findall(r'href="#([^"]+)"', page(news))) <= anchors


def test_whoever_speaks_only_hands_nothing_over(news: Landscape) -> None:
    """An agent that returns no contract is not said to emit the contract that stands for nothing."""
    told = {one.name.rpartition(".")[2]: one for one in news.agents}
    section = markdown(news).partition(f'<a id="agent-{told["archive"].name}"></a>')[2].partition("###")[0]
    assert "- emits: nothing" in section
    section = markdown(news).partition(f'<a id="agent-{told["desk"].name}"></a>')[2].partition("###")[0]
    assert "- emits: [news.ordered/1](#contract-news.ordered) as an event" in section


def test_without_events_nothing_is_said_of_them() -> None:
    """Where nobody emits or hears an event there is no part about them."""
    catalogue = Definitions()

    @agent("news.file")
    def file(filed: Filed) -> Filed:
        return filed

    catalogue.add(Flow("news.flow", file))
    texts = documents(gather(catalogue, Settings()))
    assert "## Events" not in texts["catalogue.md"]
    assert 'id="events"' not in texts["catalogue.html"]
