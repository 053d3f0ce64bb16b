"""Layered: a directed graph drawn from left to right, in layers of boxes with arrows between them. Pure geometry; all lengths are in pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

WIDTH, HEIGHT = 196, 48
"""Of a box."""
_GAP, _ROW, _THIN, _MARGIN = 76, 66, 20, 14
_SWEEPS = 6

Edge = tuple[str, str]
_Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """Where a node stands: its upper left corner."""

    node: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Arrow:
    """How an edge goes: ``path`` is the ``d`` of an SVG path, from its source to its target. ``back``: it leads against the layers."""

    source: str
    target: str
    path: str
    back: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """A graph as it is drawn, and how large that is."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: float
    height: float


def layered(nodes: Sequence[str], edges: Iterable[Edge]) -> Drawing:
    """Draw a graph. ``nodes`` are each once, ``edges`` between two of them; an edge from a node to itself is not drawn. The same graph is
    drawn the same."""
    known = set(nodes)
    drawn = [one for one in dict.fromkeys(edges) if one[0] != one[1] and one[0] in known and one[1] in known]
    below, width = 0.0, 0.0
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    for some in _parts(nodes, drawn):
        part = _part(some, [edge for edge in drawn if edge[0] in some], below)
        boxes += part.boxes
        arrows += part.arrows
        below, width = part.height - _MARGIN, max(width, part.width)
    return Drawing(tuple(boxes), tuple(arrows), width, below + _MARGIN)


def _parts(nodes: Sequence[str], edges: Sequence[Edge]) -> list[dict[str, None]]:
    """The nodes that edges connect, part by part, the largest first."""
    around: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        around[source].append(target)
        around[target].append(source)
    found: list[dict[str, None]] = []
    seen: set[str] = set()
    for node in nodes:
        some, ahead = set[str](), [] if node in seen else [node]
        while ahead:
            one = ahead.pop()
            if one not in some:
                some.add(one)
                ahead += around[one]
        if some:
            seen |= some
            found.append({one: None for one in nodes if one in some})
    return sorted(found, key=len, reverse=True)


def _part(nodes: Mapping[str, None], edges: Sequence[Edge], top: float) -> Drawing:
    """Nodes that are connected, below ``top``."""
    back = _back(list(nodes), edges)
    forward = list(dict.fromkeys((b, a) if (a, b) in back else (a, b) for a, b in edges))
    ranks = _ranks(list(nodes), forward)
    layers, chains = _layers(list(nodes), forward, ranks)
    around = _neighbours(chains)
    _order(layers, around, ranks)
    middles = {node: middle + top for node, middle in _heights(layers, around, nodes).items()}
    return _drawing(layers, middles, chains, [(edge, edge in back) for edge in edges])


def _back(nodes: Sequence[str], edges: Sequence[Edge]) -> set[Edge]:
    """The edges that close a circle, as they are met from the nodes in order."""
    following: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        following[source].append(target)
    found: set[Edge] = set()
    done: set[str] = set()
    entered = {target for _, target in edges}
    for start in sorted(nodes, key=lambda node: node in entered):
        open_path: dict[str, None] = {}
        stack = [] if start in done else [(start, iter(following[start]))]
        open_path.update({start: None} if stack else {})
        while stack:
            node, rest = stack[-1]
            inner = next(rest, None)
            if inner is None:
                stack.pop()
                open_path.pop(node, None)
                done.add(node)
            elif inner in open_path:
                found.add((node, inner))
            elif inner not in done:
                open_path[inner] = None
                stack.append((inner, iter(following[inner])))
    return found


def _ranks(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """In which layer each node is: one after all that lead to it. The graph has no circle."""
    ranks = dict.fromkeys(nodes, 0)
    before: dict[str, int] = defaultdict(int)
    following: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        before[target] += 1
        following[source].append(target)
    ready = [node for node in nodes if not before[node]]
    while ready:
        node = ready.pop()
        for inner in following[node]:
            ranks[inner] = max(ranks[inner], ranks[node] + 1)
            before[inner] -= 1
            if not before[inner]:
                ready.append(inner)
    return ranks


def _layers(
    nodes: Sequence[str], edges: Sequence[Edge], ranks: dict[str, int]
) -> tuple[list[list[str]], dict[Edge, list[str]]]:
    """The nodes by layer, and each edge with the bends at which it passes layers, which have names of their own."""
    layers: list[list[str]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    for node in nodes:
        layers[ranks[node]].append(node)
    chains: dict[Edge, list[str]] = {}
    for source, target in edges:
        chain = [source]
        for rank in range(ranks[source] + 1, ranks[target]):
            bend = f"\0{source}\0{target}\0{rank}"
            ranks[bend] = rank
            layers[rank].append(bend)
            chain.append(bend)
        chains[source, target] = [*chain, target]
    return layers, chains


def _neighbours(chains: Mapping[Edge, Sequence[str]]) -> dict[str, list[str]]:
    around: dict[str, list[str]] = defaultdict(list)
    for chain in chains.values():
        for source, target in pairwise(chain):
            around[source].append(target)
            around[target].append(source)
    return around


def _order(layers: list[list[str]], around: Mapping[str, Sequence[str]], ranks: Mapping[str, int]) -> None:
    """Order each layer by where its neighbours are in the layer before, and then in the one after, some times."""
    place = {node: float(number) for layer in layers for number, node in enumerate(layer)}

    def wanted(step: int, node: str) -> float:
        there = [place[one] for one in around.get(node, ()) if ranks[one] == ranks[node] + step]
        return sum(there) / len(there) if there else place[node]

    for sweep in range(_SWEEPS):
        step = 1 if sweep % 2 else -1
        for layer in layers if step < 0 else reversed(layers):
            layer.sort(key=partial(wanted, step))
            place.update({node: float(number) for number, node in enumerate(layer)})


def _heights(
    layers: Sequence[Sequence[str]], around: Mapping[str, Sequence[str]], nodes: Mapping[str, None]
) -> dict[str, float]:
    """The middle of each node and bend: near those of its neighbours, and none over another."""
    middles: dict[str, float] = {}
    for layer in layers:
        _put(layer, dict.fromkeys(layer, 0.0), middles, nodes)
    for _ in range(_SWEEPS):
        for layer in layers:
            wanted = {
                node: sum(middles[one] for one in around[node]) / len(around[node]) if around.get(node) else middles[node]
                for node in layer
            }  # fmt: skip
            _put(layer, wanted, middles, nodes)
    least = min((middles[node] - _room(node, nodes) / 2 for layer in layers for node in layer), default=0.0)
    return {node: middle - least + _MARGIN for node, middle in middles.items()}


def _put(
    layer: Sequence[str], wanted: Mapping[str, float], middles: dict[str, float], nodes: Mapping[str, None]
) -> None:
    """Put the nodes of a layer below one another, each near where it is wanted; what that moves down is moved back by half."""
    end, moved = float("-inf"), 0.0
    for node in layer:
        half = _room(node, nodes) / 2
        middles[node] = max(wanted[node], end + half)
        moved += middles[node] - wanted[node]
        end = middles[node] + half
    shift = moved / len(layer) if layer else 0.0
    for node in layer:
        middles[node] -= shift


def _room(node: str, nodes: Mapping[str, None]) -> float:
    return _ROW if node in nodes else _THIN


def _drawing(
    layers: Sequence[Sequence[str]],
    middles: Mapping[str, float],
    chains: Mapping[Edge, Sequence[str]],
    edges: Sequence[tuple[Edge, bool]],
) -> Drawing:
    left = {node: _MARGIN + number * (WIDTH + _GAP) for number, layer in enumerate(layers) for node in layer}
    boxes = tuple(
        Box(node, left[node], round(middles[node] - HEIGHT / 2, 1))
        for layer in layers
        for node in layer
        if not node.startswith("\0")
    )
    arrows = []
    for (source, target), is_back in edges:
        chain = chains[(target, source) if is_back else (source, target)]
        points: list[_Point] = []
        for node in chain:
            x, y = left[node], round(middles[node], 1)
            points += [(x, y), (x + WIDTH, y)]
        points = points[1:-1]
        arrows.append(Arrow(source, target, _curve(points[::-1] if is_back else points), is_back))
    bottom = max((middles[node] for layer in layers for node in layer), default=0.0) + HEIGHT / 2 + _MARGIN
    right = _MARGIN * 2 + len(layers) * WIDTH + (len(layers) - 1) * _GAP
    return Drawing(boxes, tuple(arrows), right, round(bottom, 1))


def _curve(points: Sequence[_Point]) -> str:
    """Through the gaps between layers in curves, and past layers straight on."""
    (x, y), *rest = points
    words = [f"M{x:g} {y:g}"]
    for number, (to_x, to_y) in enumerate(rest):
        if number % 2:
            words.append(f"L{to_x:g} {to_y:g}")
        else:
            middle = (x + to_x) / 2
            words.append(f"C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}")
        x, y = to_x, to_y
    return " ".join(words)
