"""Writing: the files of a new project, made of templates, all of them or none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.metadata import version
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from jinja2 import Environment, StrictUndefined

from handoffs.contracts.text import printable
from handoffs.coordinator.errors import ProjectRefused
from handoffs.coordinator.project.naming import check_name

_PACKAGE, _HIDDEN, _TEMPLATE = "package", "dot-", ".j2"
"""How templates are called: the folder of the package, what begins with a dot, and the ending of all of them."""


def write_project(name: str, folder: Path) -> list[Path]:
    """Write the project ``name`` into ``folder``, which is made, or is there and empty. Gives the files, relative to the folder,
    in order.

    Raises :class:`~handoffs.coordinator.errors.ProjectRefused` for a name that cannot be one, for a folder that cannot be made or has
    something in it, and where a file cannot be written. Then nothing of the project is there.
    """
    check_name(name)
    files = dict(sorted(render(name).items()))
    made = _claim(folder)
    try:
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
    except BaseException as error:
        _clear(folder, made)
        if isinstance(error, OSError):
            raise _refused(
                folder, f"cannot be written: {error.strerror}", "mend that, or choose another"
            ) from None
        raise
    return [Path(path) for path in files]


def render(name: str) -> Mapping[PurePosixPath, str]:
    """The text of each file of the project ``name``, by its path in the project."""
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - no HTML
    said = {"name": name, "prefix": name.replace("_", "-"), "version": version("handoffs")}
    root = resources.files("handoffs.coordinator.project").joinpath("templates")
    return {
        _place(parts, name): environment.from_string(template.read_text("utf-8")).render(said)
        for parts, template in _templates(root, ())
    }


def _templates(folder: Traversable, parts: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Traversable]]:
    for entry in folder.iterdir():
        here = (*parts, entry.name)
        if entry.is_dir():
            yield from _templates(entry, here)
        elif entry.name.endswith(_TEMPLATE):
            yield here, entry


def _place(parts: tuple[str, ...], name: str) -> PurePosixPath:
    """Where the file of a template stands in the project."""
    named = (name if part == _PACKAGE else part for part in parts)
    dotted = (f".{part.removeprefix(_HIDDEN)}" if part.startswith(_HIDDEN) else part for part in named)
    return PurePosixPath(*dotted).with_suffix("")


def _claim(folder: Path) -> bool:
    """Make the folder, or see that it is empty. Gives whether it was made."""
    try:
        folder.mkdir()
        return True
    except FileExistsError:
        pass
    except OSError as error:
        raise _refused(
            folder, f"cannot be made: {error.strerror}", "make its parent, or choose another"
        ) from None
    try:
        taken = next(folder.iterdir(), None)
    except OSError as error:
        raise _refused(folder, f"cannot be used: {error.strerror}", "choose another") from None
    if taken is not None:
        raise _refused(
            folder, f"is not empty, it has {printable(taken.name, 60)}", "empty it, or choose another"
        )
    return False


def _clear(folder: Path, made: bool) -> None:
    """Take away what was written; the folder itself only where it was made for it."""
    if made:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _refused(folder: Path, cause: str, remedy: str) -> ProjectRefused:
    return ProjectRefused(
        f"the folder {printable(folder, 200)} {cause}", "nothing was written", f"{remedy} with --directory"
    )
