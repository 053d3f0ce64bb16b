"""The work of the agents of media, as plain functions from one contract to another.

Each effect is taken once however often a function runs: an object has a name that follows from the work, and a name is
given once; the index has one entry for a title. Every function gives the same answer again, but for the time taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.contracts.reference.media import (
    PARTS,
    Distribution,
    PackagedTerms,
    Rendition,
    RenditionOrdered,
    RenditionReady,
    RenditionTerms,
    TitleAvailable,
    TitleDistributed,
    TitleIndexed,
    TitlePackaged,
    TitlePrepared,
    TitleTerms,
    TitleUploaded,
    TranscodingComplete,
)
from handoffs.coordinator import Permanent
from handoffs.tasks.media.effects import Effects
from handoffs.tasks.media.errors import DifferentContent
from handoffs.tasks.media.ladder import ladder
from handoffs.tasks.media.objects import manifest_object, rendition_object, shelf_object
from handoffs.tasks.media.store import Stored
from handoffs.tasks.media.systems import Systems, systems

_T = TypeVar("_T")


class IncompleteTitle(Permanent):
    """What is put together does not make a title: a part is missing, there twice, or of another title."""


def order_renditions(title: TitleUploaded) -> list[RenditionOrdered]:
    """An order for each rung of the title's ladder, the lowest first."""
    rungs = ladder(title.ladder, width=title.width, height=title.height, has_audio=title.has_audio)
    return [
        RenditionOrdered(
            **_terms(title, TitleTerms),
            rendition=rung.name,
            position=position,
            count=len(rungs),
            codec=rung.codec,
            width=rung.width,
            height=rung.height,
            bitrate_kbps=rung.bitrate_kbps,
            source=title.source,
        )
        for position, rung in enumerate(rungs, 1)
    ]


def transcode(order: RenditionOrdered, settings: Settings) -> RenditionReady:
    """Make one rendition, unless it is there.

    Raises :class:`~handoffs.tasks.media.errors.ObjectMissing` and :class:`~handoffs.tasks.media.errors.ObjectChanged` where the source is not
    what was uploaded, and what the transcoder and the store raise.
    """
    at = systems(settings)
    key = rendition_object(order)
    seconds = 0.0
    if at.store.exists(key):
        made = at.store.describe(key)
        at.transcodings.record("found", key)
    else:
        made, seconds = _transcoded(order, key, at)
    return RenditionReady(
        **_terms(order, RenditionTerms),
        object=made.key,
        octets=made.octets,
        sha256=made.sha256,
        seconds_taken=round(seconds, 6),
    )


def assemble(renditions: Sequence[RenditionReady]) -> TranscodingComplete:
    """All renditions of a title, in whichever order they came. Raises :class:`IncompleteTitle`."""
    ordered = sorted(renditions, key=lambda ready: ready.position)
    if not ordered or [ready.position for ready in ordered] != [*range(1, ordered[0].count + 1)]:
        raise _incomplete("a rendition is missing or there twice")
    if len({(ready.title_id, ready.source_sha256, ready.count) for ready in ordered}) > 1:
        raise _incomplete("renditions of different uploads are put together")
    parts = tuple(Rendition(**_terms(ready, Rendition)) for ready in ordered)
    return TranscodingComplete(**_terms(ordered[0], TitleTerms), renditions=parts)


def package(title: TranscodingComplete, settings: Settings) -> TitlePackaged:
    """Encrypt all renditions of a title. Raises what :meth:`handoffs.tasks.media.drm.Drm.package` raises."""
    at = systems(settings)
    return _counted(at.packagings, manifest_object(title), lambda: at.drm.package(title))


def distribute(title: TitlePackaged, settings: Settings) -> TitleDistributed:
    """Copy the packages of a title to every edge. Raises what :meth:`handoffs.tasks.media.cdn.Cdn.copy` raises."""
    at = systems(settings)
    locations = [
        _counted(at.distributions, f"{edge.name} {title.manifest}", partial(at.cdn.copy, title, edge))
        for edge in at.cdn.edges
    ]
    return TitleDistributed(**_terms(title, PackagedTerms), locations=tuple(locations))


def purge(title_id: str, settings: Settings) -> dict[str, int]:
    """Remove all packages of a title from every edge; how many objects there were at each. Again: none.

    For operators. It may be distributed again after that.
    """
    at = systems(settings)
    for edge in at.cdn.edges:
        for key in at.cdn.manifests(title_id, edge):
            at.distributions.record("purged", f"{edge.name} {key}")
    return at.cdn.purge(title_id)


def index(title: TitleTerms, settings: Settings) -> TitleIndexed:
    """Enter a title into the index. Raises what :meth:`handoffs.tasks.media.index.MetadataIndex.upsert` raises."""
    entry, _ = systems(settings).index.upsert(title)
    return TitleIndexed(**_terms(title, TitleTerms), entry=entry)


def prepared(done: TitleDistributed | TitleIndexed) -> TitlePrepared:
    """The same, as one of the things that make a title available: so that a subscriber can wait for both as for one kind."""
    terms = _terms(done, TitleTerms)
    if isinstance(done, TitleDistributed):
        how = Distribution(**_terms(done, Distribution))
        return TitlePrepared(**terms, part="distribution", count=PARTS, distribution=how)
    return TitlePrepared(**terms, part="index", count=PARTS, entry=done.entry)


def available(parts: Sequence[TitlePrepared]) -> TitleAvailable:
    """A title that is both at the edges and in the index, in whichever order that came. Raises :class:`IncompleteTitle`."""
    done = {one.part: one for one in parts}
    distribution = done["distribution"].distribution if "distribution" in done else None
    if distribution is None or len(done) != PARTS or len(parts) != PARTS:
        raise _incomplete("a title is not distributed and in the index, once each")
    if len({(one.title_id, one.source_sha256) for one in parts}) > 1:
        raise _incomplete("the distribution of one upload and the entry of another are put together")
    return TitleAvailable(**_terms(parts[0], TitleTerms), **_terms(distribution, Distribution))


def shelve(title: TitleAvailable, settings: Settings) -> None:
    """Put a title on the shelf, unless it is there. Raises what :meth:`handoffs.tasks.media.store.Store.put` raises."""
    at = systems(settings)

    def put() -> tuple[Stored, bool]:
        made = at.store.put(shelf_object(title), strictjson.canonical(title.to_data()).encode())
        return made, made.written

    _counted(at.shelved, shelf_object(title), put)


def _transcoded(order: RenditionOrdered, key: str, at: Systems) -> tuple[Stored, float]:
    source = at.store.path(order.source)
    for _ in at.store.read(order.source, order.source_sha256):
        pass  # it is what was uploaded
    with at.store.draft() as draft:
        seconds = at.transcoder.transcode(order, source, draft)
        return _adopted(at, draft, key), seconds


def _adopted(at: Systems, draft: Path, key: str) -> Stored:
    """The rendition in the store: this one, or the one that was there before, though another ffmpeg may have made that."""

    def adopt() -> tuple[Stored, bool]:
        made = at.store.adopt(draft, key)
        return made, made.written

    try:
        return _counted(at.transcodings, key, adopt)
    except DifferentContent:
        return at.store.describe(key)


def _counted(effects: Effects, key: str, take: Callable[[], tuple[_T, bool]]) -> _T:
    """Take an effect and write down what became of it."""
    try:
        made, written = take()
    except DifferentContent:
        effects.record("differs", key)
        raise
    effects.record("written" if written else "found", key)
    return made


def _terms(title: Any, contract: type[Any]) -> dict[str, Any]:
    """The fields of a contract, from a message that has them too."""
    return {name: getattr(title, name) for name in contract.model_fields}


def _incomplete(reason: str) -> IncompleteTitle:
    return IncompleteTitle(
        reason, "nothing was made of it", "see which agent emitted what, with coordinator trace"
    )
