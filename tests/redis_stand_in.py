"""A program in the place of `redis-server`, for what a real one does not do on demand: it says that it is Redis, and no more.

python redis_stand_in.py PID_FILE VERSION DELAY ... --unixsocket PATH ...
"""

import os
import socket
import sys
import time
from pathlib import Path


def main() -> None:
    """Listen, after so many seconds, and say a version to whoever connects, until somebody ends it."""
    pid_file, version, delay, *options = sys.argv[1:]
    Path(pid_file).write_text(f"{os.getpid()} {options[options.index('--unixsocket') + 1]}")
    time.sleep(float(delay))
    said = f"redis_version:{version}\r\n".encode() if version != "-" else b"-ERR what do you want\r\n"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(options[options.index("--unixsocket") + 1])
        listening.listen()
        while True:
            line, _ = listening.accept()
            with line:
                line.recv(100)
                line.sendall(said)


if __name__ == "__main__":
    main()
