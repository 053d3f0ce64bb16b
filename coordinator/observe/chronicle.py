"""Chronicle: the history of one run, by its steps and its events. Nothing in it is trusted to be there, or sane."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from handoffs.contracts.envelope import message_id
from handoffs.coordinator.continuation import path
from handoffs.coordinator.history import triggered_run
from handoffs.coordinator.observe.step_state import Entry, kind_of, text_of

_ENDED = frozenset({"cancelled", "given-up"})
_MOST_NAMED = 1_000
_LONGEST_NUMBER, _FURTHER = 9, 6
_SIGNALS = frozenset({"signalled", "refused"})


@dataclass(slots=True)
class EmittedEvent:
    """An event, as the entry of its emitter has it. ``mark`` is what the steps of all who hear it end with, where it is known."""

    id: str
    contract: str
    heard: tuple[str, ...]
    entry: Entry
    mark: str = ""


@dataclass(slots=True)
class Chronicle:
    """A run. ``steps`` has the entries of each step; the rest is by the step that did it, or by the event's id."""

    run: str
    entries: Sequence[Entry]
    outstanding: Mapping[str, str] | None
    """The agent of each step that was sent and is not settled; None where Redis knows no such run."""
    steps: dict[str, list[Entry]] = field(default_factory=dict)
    emitted: dict[str, list[EmittedEvent]] = field(default_factory=dict)
    events: dict[str, EmittedEvent] = field(default_factory=dict)
    hearings: dict[str, list[str]] = field(default_factory=dict)
    sets: dict[str, list[Entry]] = field(default_factory=dict)
    """The entries of the parts, by the step that has the set."""
    triggered: dict[str, list[str]] = field(default_factory=dict)
    """The runs that its events began, by the step that heard the event, or where none is told ``!`` and the event."""
    cancelled: bool = False
    waiting: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """What is outstanding and told of nowhere, as (step, agent): by the event's id, or ``@`` and its mark; steps of a flow, and
    sets, by nothing."""
    unclear: frozenset[str] = frozenset()
    """The agents that are told to hear events of which the mark is not known."""
    adrift: frozenset[str] = frozenset()
    """The agents that have still to hear an event, and it is not known which."""
    marks: dict[str, str] = field(default_factory=dict)
    """The event of which a mark is, as far as it is known."""

    @property
    def flow(self) -> str:
        return next((text_of(entry, "flow", 200) for entry in self.entries if entry.get("flow")), "")

    @property
    def is_story(self) -> bool:
        """Whether an event began it, and no flow."""
        return path.is_story(self.flow)

    def event_of(self, step: str) -> str:
        """The event that a step hears: its id, or where no entry has it, what its step ends with."""
        known = next((text_of(one, "event", 200) for one in self.steps[step] if one.get("event")), "")
        return known or self.marks.get(path.mark_of(step)) or path.marked("", path.mark_of(step))


def chronicle(run: str, entries: Sequence[Entry], outstanding: Mapping[str, str] | None = None) -> Chronicle:
    """The history of ``run``, ordered."""
    made = Chronicle(run, entries, outstanding)
    for entry in entries:
        kind = kind_of(entry)
        step = "" if kind in _SIGNALS else text_of(entry, "step")
        if step:
            made.steps.setdefault(step, []).append(entry)
        made.cancelled = made.cancelled or (kind in _ENDED and not step)
        triggered = triggered_run(entry)[:200]
        if triggered:
            at = step or f"!{text_of(entry, 'event', 200)}"
            made.triggered.setdefault(at, []).append(triggered)
        elif kind == "gathered":
            made.sets.setdefault(text_of(entry, "into"), []).append(entry)
        if kind != "late":  # what came late was not sent
            _emitted(made, step, entry)
    _mark(made)
    by_event = defaultdict(list)
    for step in made.steps:
        if path.hears_event(step):
            by_event[made.event_of(step)].append(step)
    made.hearings = dict(by_event)
    for step, agent in (outstanding or {}).items():
        if step not in made.steps:
            event = (
                made.marks.get(path.mark_of(step), path.marked("", path.mark_of(step)))
                if path.hears_event(step)
                else ""
            )
            made.waiting.setdefault(event, []).append((step, agent))
    adrift = (waiting for event, waiting in made.waiting.items() if event.startswith("@"))
    made.adrift = frozenset(agent for waiting in adrift for _, agent in waiting)
    unmarked = (emission for emission in made.events.values() if not emission.mark)
    made.unclear = frozenset(agent for emission in unmarked for agent in emission.heard)
    return made


def agent_of(step: str, entries: Sequence[Entry]) -> str:
    """The agent of a step, where its entries tell it or its path does."""
    known = next((text_of(entry, "agent", 200) for entry in entries if entry.get("agent")), "")
    return known or path.agent_of(step)


def _emitted(made: Chronicle, step: str, entry: Entry) -> None:
    for emission in _emissions(entry):
        if emission.id not in made.events:
            made.events[emission.id] = emission
            made.emitted.setdefault(step, []).append(emission)


def _emissions(entry: Entry) -> Iterator[EmittedEvent]:
    listed = entry.get("emitted")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and isinstance(one.get("id"), str) and one["id"]:
            named = one.get("heard")
            agents = named[:_MOST_NAMED] if isinstance(named, list) else ()
            shown = tuple(dict.fromkeys(agent for agent in agents if isinstance(agent, str)))
            place = text_of(one, "step")
            mark = path.mark(place) if place else ""
            yield EmittedEvent(one["id"][:200], text_of(one, "contract", 200), shown, entry, mark)


def _mark(made: Chronicle) -> None:
    """Find out what the steps of those who hear an event end with: they tell it, or it follows from who emitted it."""
    for step, entries in made.steps.items():
        event = next((text_of(one, "event", 200) for one in entries if one.get("event")), "")
        if path.hears_event(step) and event:
            made.marks[path.mark_of(step)] = event
    for mark, event in made.marks.items():
        if event in made.events:
            made.events[event].mark = mark
    for step, emissions in made.emitted.items():
        for number, emission in enumerate(emissions):
            if not emission.mark:
                emission.mark = next(
                    (path.mark(one) for one in _places(made.run, step, number, emission)), ""
                )
            if emission.mark:
                made.marks.setdefault(emission.mark, emission.id)
    _guess(made)


def _places(run: str, step: str, number: int, emission: EmittedEvent) -> Iterator[str]:
    """Where an event was emitted: by the step itself, or by what follows it in its flow."""
    places = [path.event_of(step, number)]
    head, _, last = step.rpartition(".") if step else ("", "", "0")  # a flow may begin with one
    if last.isdecimal() and len(last) < _LONGEST_NUMBER:
        before = f"{head}." if head else ""
        places += [path.event_of(f"{before}{int(last) + further}") for further in range(1, _FURTHER)]
    return (place for place in places if message_id(run, place) == emission.id)


def _guess(made: Chronicle) -> None:
    """What is outstanding belongs to an event of which only that one is left, among those that the same agent hears."""
    left = [emission for emission in made.events.values() if not emission.mark]
    for step, agent in (made.outstanding or {}).items() if left else ():
        if path.hears_event(step) and step not in made.steps and path.mark_of(step) not in made.marks:
            fitting = [emission for emission in left if agent in emission.heard and not emission.mark]
            if len(fitting) == 1:
                fitting[0].mark = path.mark_of(step)
                made.marks[path.mark_of(step)] = fitting[0].id
