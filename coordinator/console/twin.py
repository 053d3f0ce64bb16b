"""Twin: the command of the command line that says the same as a page."""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import Any


def twin(command: str, *arguments: str, **options: Any) -> str:
    """``coordinator runs list --flow shop.order --limit 20``: options that are None, False or empty are left out; True stands alone."""
    words = ["coordinator", *command.split(), *arguments]
    for name, value in options.items():
        option = f"--{name.rstrip('_').replace('_', '-')}"
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if one is True:
                words.append(option)
            elif one is not None and one is not False and one != "":
                words += [option, one.isoformat() if isinstance(one, datetime) else str(one)]
    return shlex.join(words)
