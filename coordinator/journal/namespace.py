"""Namespace: what names a row of one installation among those of all that share a database."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_WALL = "|"
"""Ends a namespace, which never has it."""

_LIKE_ANOTHERS = re.compile(r"[a-z0-9-]{0,40}\|")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Namespace:
    """The namespace of an installation; empty where it has none.

    A row's key begins with it, so that the same id (of a message, an agent) in two installations is two rows.
    """

    name: str = ""

    def key(self, plain: str) -> str:
        """The key of what is called ``plain`` here, at most 200 characters. No two namespaces give the same key."""
        walled = bool(self.name) or bool(_LIKE_ANOTHERS.match(plain))
        key = f"{self.name}{_WALL}{plain}" if walled else plain
        if len(key) <= _LONGEST:
            return key
        digest = hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self.name}{_WALL if self.name else ''}sha256:{digest}"

    def plain(self, key: str) -> str:
        """What is called so here. What was too long for a key is called by its digest from then on."""
        return key.removeprefix(f"{self.name}{_WALL}")
