"""Account: what was made of many titles, counted where it was made, and what is lost or there twice."""

from __future__ import annotations

from dataclasses import dataclass

from handoffs.tasks.media.effects import Tally
from handoffs.tasks.media.systems import Systems


@dataclass(frozen=True, slots=True)
class Account:
    """How many there are of each thing, and how many there should be.

    lost
        Things that should be there and are not: renditions, packaged titles, copies at edges, entries, titles on the shelf.
    doubled
        Things that were made a second time.
    """

    titles: int
    renditions: int
    packaged: int
    copies: int
    indexed: int
    shelved: int
    lost: int
    doubled: int


def account(systems: Systems, titles: int, renditions: int) -> Account:
    """Count what became of so many titles, of so many renditions each.

    Raises what :meth:`handoffs.tasks.media.effects.Effects.tally` and :meth:`handoffs.tasks.media.index.MetadataIndex.tally` raise.
    """
    made: dict[str, tuple[Tally, int]] = {
        "renditions": (systems.transcodings.tally(), titles * renditions),
        "packaged": (systems.packagings.tally(), titles),
        "copies": (systems.distributions.tally(), titles * len(systems.cdn.edges)),
        "indexed": (systems.index.tally(), titles),
        "shelved": (systems.shelved.tally(), titles),
    }
    return Account(
        titles=titles,
        **{name: tally.keys for name, (tally, _) in made.items()},
        lost=sum(max(wanted - tally.keys, 0) for tally, wanted in made.values()),
        doubled=sum(tally.doubled for tally, _ in made.values()),
    )
