"""Files: what is published is written all together, each file in one step."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from handoffs.contracts.registry.registry import golden_file

File = tuple[Path, Any]
"""Where a version stands, or its golden envelopes, and what is written there: JSON values."""


def write_versions(versions: Sequence[tuple[Path, Any, Any]]) -> None:
    """Write new versions (the file of each, what is in it, and its golden envelopes): all of them, or none.

    A version is there when its own file is, so these come last. Raises FileExistsError with the file that is there already,
    and OSError where something cannot be written; then nothing is there that was not.
    """
    with ExitStack() as held:
        for folder in sorted({path.parent for path, *_ in versions}):
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(_alone(folder))
        for path, *_ in versions:
            if path.exists():
                raise FileExistsError(17, "it is there", str(path))
        golden = [(golden_file(path), envelopes) for path, _, envelopes in versions]
        _replace([*golden, *((path, value) for path, value, _ in versions)])


def rewrite(path: Path, value: Any) -> None:
    """Write a version's file anew, in one step. Raises OSError."""
    with _alone(path.parent):
        _replace([(path, value)], new=False)


def _replace(files: Sequence[File], *, new: bool = True) -> None:
    drafts: list[Path] = []
    done: list[Path] = []
    try:
        for path, value in files:
            drafts.append(_draft(path.parent, value))
        for draft, (path, _) in zip(drafts, files, strict=True):
            draft.replace(path)
            done.append(path)
    except BaseException:
        for path in done if new else ():
            with suppress(OSError):
                path.unlink()
        raise
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process publishes a version of the same contract meanwhile."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _draft(folder: Path, value: Any) -> Path:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    handle, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=folder)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft
