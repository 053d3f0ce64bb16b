"""Following: which effects were written so far, without reading a long file again and again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

_WRITTEN: Final = b'["written", '


class Follower:
    """Reads on in a file of :class:`~handoffs.tasks.media.effects.Effects`. ``count``: how many effects it has seen written. Not safe
    for threads."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._path = path
        self._read = 0

    def news(self) -> list[str]:
        """The keys of those that were written since it was asked last. What cannot be read now is read the next time."""
        found: list[str] = []
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # the rest of it comes
                    self._read += len(line)
                    if line.startswith(_WRITTEN):
                        found.append(str(json.loads(line)[1]))
        except OSError:
            pass
        self.count += len(found)
        return found
