"""The network of edges from which titles are played: a store for each, with copies of the packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from handoffs.contracts.reference.media import Location, TitlePackaged
from handoffs.tasks.media.errors import ObjectMissing
from handoffs.tasks.media.objects import is_manifest, packages_of
from handoffs.tasks.media.store import Store, Stored

DOMAIN: Final = "cdn.example"


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge of the network."""

    name: str
    store: Store


class Cdn:
    """Copies the packages of titles from a store to every edge."""

    def __init__(self, origin: Store, edges: tuple[Edge, ...]) -> None:
        self._origin = origin
        self.edges = edges

    def copy(self, title: TitlePackaged, edge: Edge) -> tuple[Location, bool]:
        """Copy the packages to one edge, and then the manifest: who finds that finds all. And whether this call put that.

        Raises what the store raises: :class:`~handoffs.tasks.media.errors.ObjectChanged` for a package that is not what it was.
        """
        copies = [self._copied(key, sha256, edge) for key, sha256 in _objects(title)]
        location = Location(
            edge=edge.name,
            url=f"https://{edge.name}.{DOMAIN}/{title.manifest}",
            objects=len(copies),
            octets=sum(copy.octets for copy in copies),
        )
        return location, copies[-1].written

    def faults(self, title: TitlePackaged) -> tuple[str, ...]:
        """What of a title is missing, or other than it should be, at any edge; by reading all of it."""
        return tuple(
            f"{edge.name}: {key} {fault}"
            for edge in self.edges
            for key, sha256 in _objects(title)
            if (fault := _fault(edge, key, sha256))
        )

    def manifests(self, title_id: str, edge: Edge) -> tuple[str, ...]:
        """The manifests of a title that are at an edge, one for each upload."""
        return tuple(key for key in edge.store.keys(packages_of(title_id)) if is_manifest(key))

    def purge(self, title_id: str) -> dict[str, int]:
        """Remove a title from all edges; how many objects there were at each. Doing it again does no harm."""
        return {edge.name: edge.store.remove(packages_of(title_id)) for edge in self.edges}

    def _copied(self, key: str, sha256: str, edge: Edge) -> Stored:
        if edge.store.exists(key):
            there = edge.store.describe(key)
            if there.sha256 == sha256:
                return there
        return edge.store.put(key, self._origin.read(key, sha256))


def _objects(title: TitlePackaged) -> tuple[tuple[str, str], ...]:
    """The objects of a title with their digests, the manifest last."""
    packages = tuple((package.object, package.sha256) for package in title.packages)
    return (*packages, (title.manifest, title.manifest_sha256))


def _fault(edge: Edge, key: str, sha256: str) -> str:
    try:
        return "" if edge.store.describe(key).sha256 == sha256 else "is another"
    except ObjectMissing:
        return "is missing"
