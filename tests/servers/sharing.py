"""One set of servers for all processes of a test session that runs side by side (pytest-xdist).

The process that shares out the tests starts the servers, once any of the others has collected a test that needs them, and
writes where they are into a file; the others read it. So the servers end with the session as they do without pytest-xdist.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.servers.control import Control
from tests.servers.model import Servers

_FOLDER = "servers"


class Sharing:
    """A folder in which the processes of one session tell each other of the servers."""

    def __init__(self, folder: Path) -> None:
        self._needed = folder / "needed"
        self._started = folder / "started.json"

    @classmethod
    def new(cls) -> Sharing:
        """A folder of its own for this session; `close` deletes it."""
        return cls(Path(tempfile.mkdtemp(prefix="coordinator-tests-servers-")))

    @classmethod
    def given(cls, workerinput: dict[str, str]) -> Sharing:
        """The folder that this process was given when it was started."""
        return cls(Path(workerinput[_FOLDER]))

    def give(self, workerinput: dict[str, str]) -> None:
        """Let a process that is about to start know the folder."""
        workerinput[_FOLDER] = str(self._needed.parent)

    def need(self) -> None:
        """Say that this process has tests that need servers."""
        self._needed.touch()

    def start(self, start: Callable[[], Servers]) -> None:
        """Start the servers if a process needs them, and write down where they are."""
        if self._needed.exists() and not self._started.exists():
            servers = start()
            self._started.write_text(
                json.dumps(
                    {
                        "broker_url": servers.broker_url,
                        "redis_url": servers.redis_url,
                        "postgres_url": servers.postgres_url,
                        "kind": servers.kind,
                        "versions": servers.versions,
                    }
                )
            )

    def attach(self) -> Servers:
        """The servers that the session has started. They cannot be taken down from here: others use them."""
        return Servers(**json.loads(self._started.read_text()), control=Control({}))

    def close(self) -> None:
        """Delete the folder."""
        for file in (self._needed, self._started):
            file.unlink(missing_ok=True)
        self._needed.parent.rmdir()
