"""The agents of the reference system *media*. Nobody tells them whose turn it is: each hears events, and emits others.

::

    TitleUploaded -> ladder -> RenditionOrdered (16 and more) -> transcode -> RenditionReady -> assemble (all of a title)
      -> TranscodingComplete -> drm -> TitlePackaged -> cdn, index -> TitlePrepared (both) -> release -> TitleAvailable -> shelf
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from handoffs.contracts.reference.media import (
    RenditionOrdered,
    RenditionReady,
    TitleAvailable,
    TitleDistributed,
    TitleIndexed,
    TitlePackaged,
    TitlePreparations,
    TitlePrepared,
    TitleRenditions,
    TitleUploaded,
    TranscodingComplete,
)
from handoffs.coordinator import Context, Retry, agent, gather, on
from handoffs.tasks.media import work

_PATIENT: Final = Retry(attempts=5, backoff=timedelta(seconds=2))
_A_DAY_OF_WORK: Final = timedelta(hours=12)


@on(TitleUploaded)
@agent("media.ladder")
def ladder(title: TitleUploaded) -> list[RenditionOrdered]:
    """Order all renditions of a title at once."""
    return work.order_renditions(title)


@on(RenditionOrdered)
@agent("media.transcode", retry=_PATIENT)
def transcode(order: RenditionOrdered, context: Context) -> RenditionReady:
    """Make one rendition: the fleet that is an order of magnitude larger than the others."""
    return work.transcode(order, context.settings)


@on(
    RenditionReady,
    gather=gather("renditions", by=("title_id", "source_sha256"), until="count", within=_A_DAY_OF_WORK),
)
@agent("media.assemble", key=lambda title: title.renditions[0].title_id)
def assemble(title: TitleRenditions) -> TranscodingComplete:
    """Wait for all renditions of a title."""
    return work.assemble(title.renditions)


@on(TranscodingComplete)
@agent("media.drm", retry=_PATIENT)
def drm(title: TranscodingComplete, context: Context) -> TitlePackaged:
    """Encrypt all renditions of a title."""
    return work.package(title, context.settings)


@on(TitlePackaged)
@agent("media.cdn", retry=_PATIENT)
def cdn(title: TitlePackaged, context: Context) -> list[TitleDistributed | TitlePrepared]:
    """Bring a title to every edge."""
    distributed = work.distribute(title, context.settings)
    return [distributed, work.prepared(distributed)]


@on(TitlePackaged)
@agent("media.index", retry=_PATIENT)
def index(title: TitlePackaged, context: Context) -> list[TitleIndexed | TitlePrepared]:
    """Enter a title into the index, at the same time."""
    indexed = work.index(title, context.settings)
    return [indexed, work.prepared(indexed)]


@on(
    TitlePrepared,
    gather=gather("parts", by=("title_id", "source_sha256"), until="count", within=_A_DAY_OF_WORK),
)
@agent("media.release", key=lambda title: title.parts[0].title_id)
def release(title: TitlePreparations) -> TitleAvailable:
    """Wait until a title is both at the edges and in the index."""
    return work.available(title.parts)


@on(TitleAvailable)
@agent("media.shelf", retry=_PATIENT)
def shelf(title: TitleAvailable, context: Context) -> None:
    """Put a title on the shelf: what people see."""
    work.shelve(title, context.settings)
