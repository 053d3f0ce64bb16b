"""Children that a test forks."""

import os
from collections.abc import Callable


def forked(work: Callable[[], str]) -> Callable[[], str]:
    """Fork a child now that does ``work``; what this gives waits for what ``work`` gives there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, work().encode())
        finally:
            os._exit(0)
    os.close(writing)

    def said() -> str:
        with os.fdopen(reading, "rb") as found:
            text = found.read().decode()
        os.waitpid(child, 0)
        return text

    return said


def in_child(work: Callable[[], str]) -> str:
    """What ``work`` gives in a child that is forked now."""
    return forked(work)()
