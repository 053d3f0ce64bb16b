"""Terminal: the size that the environment says it has, as far as it is one."""

from __future__ import annotations

import os
import re


def forget_odd_size() -> None:
    """Take ``COLUMNS`` and ``LINES`` out of the environment where they are no number of 1 to 4 digits: what draws fails on
    them, or fills the memory."""
    for name in ("COLUMNS", "LINES"):
        if name in os.environ and not re.fullmatch("[1-9][0-9]{0,3}", os.environ[name]):
            del os.environ[name]
