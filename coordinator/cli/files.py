"""Files of JSON that a person names: schemas and manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.text import printable
from handoffs.contracts.textfile import read, unmarked
from handoffs.coordinator.cli.exits import Malformed

_LIMITS = strictjson.Limits(octets=16_777_216, depth=100, nodes=500_000, text_length=1_048_576)


def read_json(path: Path) -> Any:
    """The JSON value in a file of up to 16 MiB.

    Raises :class:`~handoffs.coordinator.cli.exits.Malformed` where it cannot be read or is no strict JSON.
    """
    shown = printable(path, 200)
    try:
        return strictjson.loads(unmarked(read(path, _LIMITS.octets)), _LIMITS)
    except OSError as error:
        raise Malformed(f"{shown} cannot be read: {error.strerror}") from None
    except InvalidInput as error:
        raise Malformed(f"{shown}: {error}") from None
