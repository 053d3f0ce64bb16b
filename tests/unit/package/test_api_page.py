"""docs/api.md: the reference of all that the package exports."""

from __future__ import annotations

import importlib.util
import re
from itertools import pairwise
from typing import Any

import pytest
from markdown_it import MarkdownIt

import handoffs
from tests.stack import ROOT


@pytest.fixture(scope="module")
def api() -> Any:
    """deploy/api.py, which is a program and in no package."""
    spec = importlib.util.spec_from_file_location("api", ROOT / "deploy" / "api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_current(api: Any) -> None:
    """The page in the repository is the one that the docstrings make; `make api` makes it anew."""
    written = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert written == api.page(), "docs/api.md is not current: make api"


def test_each_public_name_is_in_one_group(api: Any) -> None:
    """What becomes public has to be put into a group, and what is no more has to go."""
    grouped = [name for names in api.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(handoffs.__all__)


def test_each_name_is_explained(api: Any) -> None:
    """Below the heading of each name there are words, and what can be called has its signature before them."""
    parts = re.split(r"^### (\w+)$", api.page(), flags=re.MULTILINE)
    said = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert said.keys() == set(handoffs.__all__)
    for name, text in said.items():
        assert len(re.sub(rf"^ {{4}}{name}\(.*$", "", text, flags=re.MULTILINE).split()) > 4, name
    assert said["budget"].lstrip().startswith("budget(step: Step, *, within: timedelta, fallback: Fallback)")
    assert "`Coordinator.start(" in said["Coordinator"]


def test_its_links_lead_somewhere(api: Any) -> None:
    """Each link of its contents is the anchor of a heading, and each page that it names is there."""
    tokens = MarkdownIt().parse(page := api.page())
    headings = [following.content for token, following in pairwise(tokens) if token.type == "heading_open"]
    seen: dict[str, int] = {}
    anchors = set()
    for heading in headings:
        plain = heading.lower().replace(" ", "-")
        anchors.add(f"{plain}-{seen[plain]}" if plain in seen else plain)
        seen[plain] = seen.get(plain, 0) + 1
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len([link for link in links if link.startswith("#")]) == len(handoffs.__all__)
    for link in links:
        assert link[1:] in anchors if link.startswith("#") else (ROOT / "docs" / link).exists(), link


def test_nothing_of_the_machine_is_in_it(api: Any) -> None:
    """No place in a memory, no folder, no role and no quoted annotation is left."""
    page = api.page()
    for odd in (" at 0x", str(ROOT), "ForwardRef", ":func:", ":class:", ":meth:", "``", "<class "):
        assert odd not in page, odd


@pytest.mark.parametrize(
    ("docstring", "markdown"),
    [
        ("Calls :func:`~handoffs.x.y` in ``z``.", "Calls `y` in `z`."),
        ("Calls :meth:`A.y <handoffs.x.A.y>`.", "Calls `A.y`."),
        ("Like this::\n\n    a = 1\n    b = 2", "Like this:\n\n    a = 1\n    b = 2"),
        ("First.\n\n::\n\n    a = 1", "First.\n\n    a = 1"),
        (
            "name\n    What it is,\n    at length.\nother\n    Another.",
            "- `name`: What it is,\n  at length.\n- `other`: Another.",
        ),
    ],
)
def test_a_docstring_as_markdown(api: Any, docstring: str, markdown: str) -> None:
    """Roles, code, examples and lists of terms become what Markdown has for them."""
    assert api.prose(docstring) == markdown
