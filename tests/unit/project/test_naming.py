"""Names of new projects: what can be imported, and is nobody else's."""

from __future__ import annotations

import keyword
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.contract import valid_name
from handoffs.coordinator.errors import ProjectRefused
from handoffs.coordinator.project.naming import check_name


def accepted(name: str) -> bool:
    try:
        check_name(name)
    except ProjectRefused:
        return False
    return True


@pytest.mark.parametrize("name", ["shop", "my_shop", "a", "order2", "x" * 30])
def test_names_that_can_be(name: str) -> None:
    """Lower case words, joined by single underscores, of up to 30 characters."""
    check_name(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "not one lower case word"),
        ("Shop", "not one lower case word"),
        ("my-shop", "not one lower case word"),
        ("my__shop", "not one lower case word"),
        ("_shop", "not one lower case word"),
        ("2shop", "not one lower case word"),
        ("shop\n", "not one lower case word"),
        ("größe", "not one lower case word"),
        ("../shop", "not one lower case word"),
        ("x" * 31, "31 characters"),
        ("class", "a keyword of Python"),
        ("match", "a keyword of Python"),
        ("json", "Python's standard library"),
        ("sys", "Python's standard library"),
        ("handoffs", "is installed here"),
        ("pydantic", "is installed here"),
        ("import_linter", "is installed here"),
        ("celery", "queues and tasks"),
        ("handoff", "queues and tasks"),
        ("tests", "a folder of that name"),
        ("contracts", "a folder of that name"),
    ],
)
def test_names_that_cannot_be(name: str, reason: str) -> None:
    """Each is refused with its reason, what follows, and what to do, in one line."""
    with pytest.raises(ProjectRefused, match=reason) as refused:
        check_name(name)
    assert refused.value.consequence == "nothing was written"
    assert "such as my_shop" in refused.value.remedy
    assert "\n" not in str(refused.value)


@given(st.text(max_size=40) | st.from_regex(r"[a-z0-9_]{1,32}", fullmatch=True))
def test_an_accepted_name_can_be_all_that_it_must_be(name: str) -> None:
    """Whatever text is given: where it is accepted, it is importable, and it begins valid names of agents and contracts."""
    if accepted(name):
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert name not in sys.stdlib_module_names
        assert valid_name(f"{name.replace('_', '-')}.order")


def test_a_folder_of_the_name_is_no_package_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the project's name in the working directory, which Python could import, is nobody's installed package."""
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    check_name("shop")
