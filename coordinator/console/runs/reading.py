"""Reading: a run put together for whoever looks at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, Literal

from handoffs.config import clock
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.client.run_view import usage_of
from handoffs.coordinator.console.access.caller import Caller
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.runs.bars import bars_of
from handoffs.coordinator.console.runs.models import (
    BarShown,
    NowShown,
    ParkedShown,
    RunShown,
    RunStepShown,
    StepEventShown,
    StepShown,
    WaitShown,
)
from handoffs.coordinator.continuation.path import UNDO, is_story, is_undo
from handoffs.coordinator.observe.current import Current, unsettled
from handoffs.coordinator.observe.outline import Outline, OutlineStep, every, outline
from handoffs.coordinator.observe.run_outline import NOT_TOLD, RunOutline, RunStep, Window, run_outline
from handoffs.coordinator.observe.step_report import step_report
from handoffs.coordinator.observe.step_state import text_of, time_of
from handoffs.coordinator.observe.timeline import timeline
from handoffs.coordinator.render.run_timeline import awaited
from handoffs.coordinator.store.run_state import ENDED

Entry = Mapping[str, Any]

_ON_ITS_WAY = timedelta(minutes=1)
"""So long after the last that is told of a run more of it may come."""

_SIGNALS = frozenset({"signalled", "refused"})
_MOST_NOW, _MOST_BARS, _MOST_LETTERS, _FEW_ENTRIES = 50, 200, 50, 300


@dataclass(frozen=True, slots=True)
class Looked:
    """At what of a run somebody looks: the ``step`` that is opened, and the ``window`` on what is folded."""

    step: str = ""
    window: Window | None = None


def run_shown(coordinator: Coordinator, run: Run, caller: Caller, looked: Looked) -> RunShown:
    """A run for ``caller``."""
    history = run.history()
    doing = unsettled(run.current(history), history)
    entries = history.to_json()
    status = run.status()
    first = entries[0] if entries else {}
    flow = text_of(first, "flow", 300)
    known = outline(run.flow) if run.flow is not None else None
    drawn = run_outline(
        entries, known, doing, ended=status in ENDED, completed=status == "completed", window=looked.window
    )
    story = is_story(flow)
    bars = (
        bars_of(timeline(_drawn_of(_seen(entries, caller), drawn, doing), known), _MOST_BARS)
        if entries
        else bars_of([], 0)
    )
    letters = list(islice(coordinator.each_dead_letter(run=run.id), _MOST_LETTERS))
    used = usage_of(run)
    return RunShown(
        run=run.id, flow=flow, key=text_of(first, "key", 1_000), status=status, started=time_of(first), due=run.due(),
        seconds=bars.seconds, correlation=text_of(first, "story", 300) or run.id, is_story=story, is_flow=drawn.is_flow,
        now=[_now(one) for one in doing[:_MOST_NOW]], more_now=max(len(doing) - _MOST_NOW, 0),
        waiting=[WaitShown.model_validate(asdict(one)) for one in run.waiting()],
        unattended=run.unattended() if doing else [],
        usage=used.get("usage", {}), spending=used.get("spending"),
        letters=[ParkedShown(letter=one.id, step=one.step, agent=one.agent, kind=one.kind, error=one.error, text=one.text) for one in letters],
        steps=[] if story else [step_of(one) for one in drawn.steps], hidden=0 if story else drawn.hidden, counts=dict(drawn.counts),
        bars=[] if story else [BarShown(**asdict(one)) for one in bars.bars], more_bars=bars.hidden,
        step=step_shown(looked.step or _in_trouble(doing), entries, doing, known, caller, {one.step: one.id for one in letters}),
        entries=len(entries), untold=_untold(drawn, entries), can=_can(status, doing, bool(letters)),
    )  # fmt: skip


def _untold(drawn: RunOutline, entries: Sequence[Entry]) -> Literal["", "on its way", "not known"]:
    """Whether the history of a run that is completed lacks something: it comes within seconds, so after a while nobody tells it any more."""
    if drawn.counts.get(NOT_TOLD) is None and (entries or not drawn.steps):
        return ""
    last = time_of(entries[-1]) if entries else None
    return "on its way" if last is None or clock.now() - last < _ON_ITS_WAY else "not known"


def step_shown(
    step: str,
    entries: Sequence[Entry],
    doing: Sequence[Current],
    known: Outline | None,
    caller: Caller,
    letters: Mapping[str, str],
) -> StepShown | None:
    """A step for ``caller``; None where nothing is told of it, and it does nothing.

    Many parameters because each is read once for the whole run.
    """
    report = step_report(step, entries) if step else None
    now = next((one for one in doing if one.step == step), None)
    if report is None and now is None:
        return None
    sees = caller.may(Permission.PAYLOADS)
    place = _place(known, step)
    return StepShown(
        step=step, agent=report.agent if report else now.agent if now else "", state=report.state if report else "open",
        now=_now(now) if now else None, events=[StepEventShown(**asdict(one)) for one in report.events] if report else [],
        input=report.input if report and sees else None, output=report.output if report and sees else None,
        read=report.read if report else now.contract if now else "", accepts=str(place.accepts) if place and place.accepts else "",
        original=report.original if report else "", migrated=list(report.migrated) if report else [],
        wrote=report.wrote if report else "", emits=str(place.emits) if place and place.emits else "",
        sent=dict(report.sent or {}) if report else {}, message=report.message if report else "",
        letter=letters.get(step, ""), sees_payloads=sees,
    )  # fmt: skip


def _now(one: Current) -> NowShown:
    return NowShown(step=one.step, agent=one.agent, state=one.state, since=one.since, says=one.words())


def step_of(one: RunStep) -> RunStepShown:
    """A step of a run's outline, as it is shown."""
    return RunStepShown(
        step=one.path, kind=one.kind, title=one.title, state=one.state, says=one.says, attempts=one.attempts, at=one.at,
        took_ms=one.took_ms, notes=list(one.notes), size=one.size, hidden=one.hidden, below=[step_of(inner) for inner in one.below],
    )  # fmt: skip


def _seen(entries: Sequence[Entry], caller: Caller) -> Sequence[Entry]:
    """The entries as ``caller`` may see them."""
    if caller.may(Permission.PAYLOADS):
        return entries
    return [without_payloads(one) for one in entries]


def without_payloads(entry: Entry) -> dict[str, Any]:
    """An entry without what messages say."""
    return {name: value for name, value in entry.items() if name not in ("input", "output", "marks")}


def _drawn_of(entries: Sequence[Entry], drawn: RunOutline, doing: Sequence[Current]) -> Sequence[Entry]:
    """Of a long history, what happened to the steps that are drawn, and what came last of the others; and what the run waits for."""
    if len(entries) > _FEW_ENTRIES:
        shown = set(_paths(drawn.steps)) | {""}
        kept = [_is_shown(one, shown) for one in entries]
        last = max((number for number, is_kept in enumerate(kept) if not is_kept), default=None)
        entries = [one for number, one in enumerate(entries) if kept[number] or number == last]
    return [*entries, *awaited(entries, doing)]


def _is_shown(entry: Entry, shown: set[str]) -> bool:
    step = str(entry.get("step") or "")
    return (
        step in shown or (is_undo(step) and step.removesuffix(UNDO) in shown) or entry.get("kind") in _SIGNALS
    )


def _paths(steps: Sequence[RunStep]) -> list[str]:
    return [path for one in steps for path in (one.path, *_paths(one.below))]


def _in_trouble(doing: Sequence[Current]) -> str:
    """The first step that waits for a person."""
    return next((one.step for one in doing if one.state == "parked"), "")


def _place(known: Outline | None, step: str) -> OutlineStep | None:
    """Where in the flow a step of a run stands."""
    if known is None:
        return None
    words = [
        f"{word[0]}*" if word[:1] in ("i", "r") and word[1:].isdecimal() else word for word in step.split(".")
    ]
    templates = {step, ".".join(words)}
    return next((one for one in every(known.nodes) if one.path in templates), None)


def _can(status: str, doing: Sequence[Current], is_parked: bool) -> list[str]:
    """What can be done to a run that is so."""
    if status in ENDED or status == "unknown":
        return []
    can = ["cancel", "give-up"] if status != "compensating" else []
    can.append("resume" if status == "paused" or any(one.state == "held" for one in doing) else "pause")
    return [*can, *(["retry"] if is_parked else []), "allow"]
