"""The grammar of paths: what is made of a path gives it back, and each path is one thing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.continuation import path
from handoffs.coordinator.flow import ways

_WORDS = st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,3})?", fullmatch=True) | st.sampled_from(
    ["undo", "timer", "on", "one", "f", "b", "i0"]
)
_AGENTS = st.lists(_WORDS, min_size=1, max_size=4).map(".".join)
_NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
_WAYS = _NAMES | st.sampled_from(
    [ways.WITHIN, ways.FALLBACK, ways.OTHERWISE, ways.UNDO, ways.each_time(ways.ITEM, 7), "timer"]
)
_NUMBERS = st.integers(1, 1_000).map(str)
_POSITIONS = st.builds(
    lambda first, inner: ".".join([first, *(f"{way}.{number}" for way, number in inner)]),
    _NUMBERS,
    st.lists(st.tuples(_WAYS, _NUMBERS), max_size=4),
)
_EVENTS = st.one_of(
    _POSITIONS.map(path.event_of),
    st.builds(path.event_of, _POSITIONS | st.just(""), st.integers(0, 99)),
    st.builds(
        lambda agent, position, number: path.event_of(path.hearing(agent, position), number),
        _AGENTS,
        _POSITIONS,
        st.integers(0, 9),
    ),
)
_QUESTIONS = (path.is_undo, path.is_timer, path.hears_event, path.is_set)


def answers(asked: str) -> list[str]:
    """The questions to which a path answers yes."""
    return [question.__name__ for question in _QUESTIONS if question(asked)]


def test_how_paths_are_written() -> None:
    """Messages, Redis and the journal have paths of this grammar, which Lua and SQL read too: it does not change."""
    assert path.undo_of("3.stock.1") == "3.stock.1.undo"
    assert path.timer_of("3") == "3.timer"
    assert (path.event_of("3"), path.event_of("3", 2), path.event_of("", 0)) == ("3!", "3!2", "!0")
    assert path.hearing("media.transcode", "2!") == "media.transcode@b8eb0368512d7f2a"
    assert path.set_of("media.assemble", "t-1") == "media.assemble@+46e9bc3476c92ea2"
    assert path.story_of("media.title-uploaded") == "on:media.title-uploaded"


@given(_POSITIONS)
def test_a_position_is_nothing_else(position: str) -> None:
    """The path of a step of a flow answers no to every question, whatever its branches are called."""
    assert answers(position) == []
    assert not path.follows_event(position)
    assert (path.agent_of(position), path.mark_of(position)) == ("", position)


@given(_POSITIONS)
def test_what_undoes_a_step_is_only_that(position: str) -> None:
    """An undo answers to one question."""
    assert answers(path.undo_of(position)) == ["is_undo"]


@given(_POSITIONS)
def test_a_timer_gives_back_what_it_is_of(position: str) -> None:
    """A timer answers to one question, and names the budget or the signal that it is of."""
    assert answers(path.timer_of(position)) == ["is_timer"]
    assert path.timed(path.timer_of(position)) == position


@given(_AGENTS, _EVENTS)
def test_what_hears_an_event_names_its_agent_and_the_event(agent: str, event: str) -> None:
    """It answers to one question, and gives back the agent and the mark of the event."""
    heard = path.hearing(agent, event)
    assert answers(heard) == ["hears_event"]
    assert path.follows_event(heard)
    assert (path.agent_of(heard), path.mark_of(heard)) == (agent, path.mark(event))
    assert path.marked(path.agent_of(heard), path.mark_of(heard)) == heard


@given(_AGENTS, st.text())
def test_a_set_names_its_agent(agent: str, key: str) -> None:
    """What has a set answers to one question, and gives back the agent; any text is a key."""
    has_set = path.set_of(agent, key)
    assert answers(has_set) == ["is_set"]
    assert path.follows_event(has_set)
    assert (path.agent_of(has_set), path.mark_of(has_set)[0]) == (agent, "+")


@given(_AGENTS, st.lists(_EVENTS, min_size=2, max_size=2, unique=True))
def test_each_event_is_heard_in_a_step_of_its_own(agent: str, events: list[str]) -> None:
    """The paths of what one agent does with two events differ."""
    assert path.hearing(agent, events[0]) != path.hearing(agent, events[1])


@given(_AGENTS)
def test_a_story_is_no_flow(name: str) -> None:
    """What stands for a flow where an event has begun a run is no name of a flow."""
    assert path.is_story(path.story_of(name))
    assert not path.is_story(name)


@given(_POSITIONS, _POSITIONS)
def test_what_is_within_a_budget(budget: str, inner: str) -> None:
    """A step within a budget is in it; its fallback is around as well, and is not within."""
    within, fallback = f"{budget}.{ways.WITHIN}.{inner}", f"{budget}.{ways.FALLBACK}.{inner}"
    assert path.is_within(within, budget)
    assert not path.is_within(fallback, budget)
    assert budget in path.budgets_around(within)
    assert budget in path.budgets_around(fallback)
    assert not path.is_within(budget, budget)


def test_the_budgets_around_a_step_come_outermost_first() -> None:
    """Within budgets and fallbacks, from the outside in."""
    assert list(path.budgets_around("2.b.1.x.3.f.1")) == ["2", "2.b.1.x.3"]
    assert list(path.budgets_around("2.x.1")) == []


def test_a_lone_surrogate_is_no_part_of_an_events_path() -> None:
    """Nothing that was sent has one; a path that does is refused, so that no hash is made up for it."""
    with pytest.raises(ValueError, match="surrogates"):
        path.mark("\ud800")
    assert path.is_set(path.set_of("a", "\ud800"))
