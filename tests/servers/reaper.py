"""Cleaning up at the end of the session, whatever ends it."""

import contextlib
import subprocess

_PATIENCE_SECONDS = 60


class Reaper:
    """A shell that waits for a line, or for the death of this process, and then runs `script`.

    It has a session of its own, so that Ctrl-C and a closed terminal do not reach it. Where even this process gets
    no chance to act (SIGKILL), the kernel closes the pipe and the script runs all the same.
    """

    def __init__(self, script: str, *arguments: str) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", f"read -r _\n{script}", "reaper", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def reap(self) -> None:
        """Run the script and wait until it is done. The second call does nothing."""
        pipe = self._shell.stdin
        assert pipe is not None
        if not pipe.closed:
            with contextlib.suppress(BrokenPipeError):  # somebody ended the shell
                pipe.write(b"\n")
                pipe.close()
            self._shell.wait(_PATIENCE_SECONDS)
