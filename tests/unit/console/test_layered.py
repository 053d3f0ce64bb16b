"""Graphs drawn in layers: nothing overlaps, arrows lead from box to box, and the same graph is drawn the same."""

from __future__ import annotations

import random
import re
from itertools import pairwise, product

import pytest

from handoffs.coordinator.console.drawing.layered import HEIGHT, WIDTH, Drawing, layered

DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


def columns(drawn: Drawing) -> dict[str, float]:
    return {box.node: box.x for box in drawn.boxes}


def ends(path: str) -> tuple[tuple[float, float], tuple[float, float]]:
    numbers = [float(number) for number in re.findall(r"-?[0-9.]+(?:e-?[0-9]+)?", path)]
    return (numbers[0], numbers[1]), (numbers[-2], numbers[-1])


def random_graph(seed: int) -> tuple[list[str], list[tuple[str, str]]]:
    chance = random.Random(seed)
    nodes = [f"n{number}" for number in range(chance.randint(1, 40))]
    return nodes, [(chance.choice(nodes), chance.choice(nodes)) for _ in range(chance.randint(0, 60))]


def test_what_follows_is_further_right() -> None:
    """Each edge of a graph without circles leads to a later column; a join comes after all of its branches."""
    where = columns(layered("abcd", DIAMOND))
    assert where["a"] < where["b"] == where["c"] < where["d"]


def test_a_circle_is_drawn_with_one_arrow_back() -> None:
    """A repetition leads back: that arrow says so, begins at its source and ends at its target; the others lead on."""
    drawn = layered("abc", [("a", "b"), ("b", "c"), ("c", "a")])
    [back] = [one for one in drawn.arrows if one.back]
    assert (back.source, back.target) == ("c", "a")
    where = {box.node: box for box in drawn.boxes}
    begin, end = ends(back.path)
    assert begin == (where["c"].x, where["c"].y + HEIGHT / 2)
    assert end == (where["a"].x + WIDTH, where["a"].y + HEIGHT / 2)


def test_what_leads_to_itself_or_nowhere_is_not_drawn() -> None:
    """An edge from a node to itself, one to a node that is not there, and a second one of the same ends have no arrow."""
    drawn = layered("ab", [("a", "a"), ("a", "x"), ("a", "b"), ("a", "b")])
    assert [(one.source, one.target) for one in drawn.arrows] == [("a", "b")]


def test_nothing_has_a_size() -> None:
    """A graph without nodes is drawn as nothing."""
    drawn = layered([], [])
    assert (drawn.boxes, drawn.arrows) == ((), ())


@pytest.mark.parametrize("seed", range(40))
def test_no_box_is_over_another_and_all_is_inside(seed: int) -> None:
    """Whatever the graph: each node has one box, inside the drawing, that touches no other; each arrow begins and ends at the sides of its boxes;
    and it is drawn the same again."""
    nodes, edges = random_graph(seed)
    drawn = layered(nodes, edges)
    assert sorted(box.node for box in drawn.boxes) == sorted(nodes)
    for box in drawn.boxes:
        assert 0 <= box.x <= drawn.width - WIDTH
        assert 0 <= box.y <= drawn.height - HEIGHT
    for one, other in pairwise(sorted(drawn.boxes, key=lambda box: (box.x, box.y))):
        assert one.x != other.x or one.y + HEIGHT < other.y
    where = {box.node: box for box in drawn.boxes}
    for arrow in drawn.arrows:
        source, target = where[arrow.source], where[arrow.target]
        begin, end = ends(arrow.path)
        assert begin[0] == (source.x if arrow.back else source.x + WIDTH)
        assert end[0] == (target.x + WIDTH if arrow.back else target.x)
        assert begin[1] == pytest.approx(source.y + HEIGHT / 2, abs=0.2)
        assert end[1] == pytest.approx(target.y + HEIGHT / 2, abs=0.2)
    assert layered(nodes, edges) == drawn


def test_parts_that_nothing_connects_are_below_one_another() -> None:
    """Two chains share no row, the longer one is above."""
    drawn = layered("abcde", [("a", "b"), ("c", "d"), ("d", "e")])
    rows = {box.node: box.y for box in drawn.boxes}
    assert all(rows[above] + HEIGHT < rows[below] for above, below in product("cde", "ab"))
