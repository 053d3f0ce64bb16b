"""Files: writes the documents into a folder."""

from __future__ import annotations

import json
from pathlib import Path

from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import escaped_json, printable
from handoffs.coordinator.docs.asyncapi import asyncapi
from handoffs.coordinator.docs.markdown import markdown
from handoffs.coordinator.docs.model import Landscape
from handoffs.coordinator.docs.page import page


class UnwritableFolder(CoordinationError):
    """The documents cannot be written into the folder."""


def documents(landscape: Landscape) -> dict[str, str]:
    """The documents by file name. The same landscape always gives the same texts."""
    described = json.dumps(asyncapi(landscape), ensure_ascii=False, indent=2)
    return {
        "asyncapi.json": escaped_json(f"{described}\n"),
        "catalogue.html": page(landscape),
        "catalogue.md": markdown(landscape),
    }


def write(landscape: Landscape, folder: Path) -> tuple[Path, ...]:
    """Write the documents into ``folder``, which is made where it does not exist.

    Returns the files. Raises :class:`UnwritableFolder`.
    """
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in documents(landscape).items():
            (folder / name).write_text(text, "utf-8", newline="\n")
            written.append(folder / name)
    except OSError as error:
        raise UnwritableFolder(
            f"the documents cannot be written to {printable(folder, 200)}: {error.strerror or 'the name is no path'}",
            "some of them may be missing or old",
            "name a folder that you may write to: --output FOLDER",
        ) from None
    except ValueError:  # a NUL in the name
        raise UnwritableFolder(f"{printable(folder, 200)} names no folder", "nothing was written") from None
    return tuple(written)
