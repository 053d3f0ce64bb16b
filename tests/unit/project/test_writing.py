"""Writing a new project: all of its files, or none."""

from __future__ import annotations

import ast
import errno
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.errors import ProjectRefused
from handoffs.coordinator.project.writing import render, write_project

FILES = {
    "README.md", "Makefile", "Dockerfile", "compose.yaml", "pyproject.toml", ".env.example", ".gitignore",
    ".dockerignore", ".github/workflows/tests.yml", "requirements.txt", "requirements-dev.txt", "wheels/README.md",
    "shop/__init__.py", "shop/__main__.py", "shop/agents.py", "shop/contracts.py", "shop/flow.py", "tests/test_flow.py",
}  # fmt: skip


def all_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_files_of_a_project(tmp_path: Path) -> None:
    """Everything is written that the list says, in a folder that was not there, and nothing else."""
    listed = write_project("shop", tmp_path / "mine")
    assert all_of(tmp_path / "mine") == FILES == {str(path) for path in listed}
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}


def test_into_a_folder_that_is_empty(tmp_path: Path) -> None:
    """A folder that is there and empty is used as it is."""
    write_project("shop", tmp_path)
    assert all_of(tmp_path) == FILES


@given(st.from_regex(r"[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,8}){0,2}", fullmatch=True))
def test_whatever_the_name(name: str) -> None:
    """Each Python file of each project is Python; each file has the name where it belongs, and nothing of a template left."""
    files = render(name)
    assert PurePosixPath(name, "agents.py") in files
    for path, text in files.items():
        assert "{{ " not in text  # what docker is asked by has no space there
        assert "{%" not in text
        assert text.endswith("\n")
        if path.suffix == ".py":
            ast.parse(text)
    assert f'@agent("{name.replace("_", "-")}.reserve"' in files[PurePosixPath(name, "agents.py")]


def test_a_folder_with_something_in_it(tmp_path: Path) -> None:
    """It is refused, named with what is in it, and left as it is."""
    (tmp_path / "thesis.txt").write_text("years of work", "utf-8")
    with pytest.raises(ProjectRefused, match=r"is not empty, it has thesis\.txt; nothing was written"):
        write_project("shop", tmp_path)
    assert all_of(tmp_path) == {"thesis.txt"}


@pytest.mark.parametrize("place", ["file", "file/below", "nowhere/below"])
def test_no_folder_can_be_there(tmp_path: Path, place: str) -> None:
    """Where a file stands, below one, and below a folder that is not there: it is refused, and nothing is made."""
    (tmp_path / "file").touch()
    with pytest.raises(ProjectRefused, match="nothing was written"):
        write_project("shop", tmp_path / place)
    assert all_of(tmp_path) == {"file"}
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("there", [True, False], ids=["into an empty folder", "into a new one"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_project_is_never_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, failure: BaseException
) -> None:
    """A full disk, and Ctrl-C, half-way: nothing of the project is left, and an empty folder that was there is empty again."""
    folder = tmp_path / "shop"
    if there:
        folder.mkdir()
    written: list[Path] = []
    real = Path.write_text

    def write(path: Path, *given: Any) -> int:
        if len(written) == 5:
            raise failure
        written.append(path)
        return real(path, *given)

    monkeypatch.setattr(Path, "write_text", write)
    with pytest.raises(ProjectRefused if isinstance(failure, OSError) else KeyboardInterrupt):
        write_project("shop", folder)
    assert len(written) == 5
    assert (list(folder.iterdir()) == []) if there else not folder.exists()


def test_a_bad_name_makes_no_folder(tmp_path: Path) -> None:
    """The name is looked at before anything is made."""
    with pytest.raises(ProjectRefused, match="standard library"):
        write_project("json", tmp_path / "json")
    assert not (tmp_path / "json").exists()
