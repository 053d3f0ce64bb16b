"""The manifest: the object that tells a player which packages a title has, and by which key they are encrypted."""

from __future__ import annotations

from collections.abc import Sequence

from handoffs.contracts import strictjson
from handoffs.contracts.reference.media import Package, TitleTerms


def manifest(title: TitleTerms, scheme: str, key_id: str, packages: Sequence[Package]) -> bytes:
    """JSON, always the same for the same title: what is public of it, and never a key."""
    listed = [package.to_data() for package in packages]
    content = {
        "title": title.title_id,
        "seconds": title.seconds,
        "scheme": scheme,
        "key_id": key_id,
        "packages": listed,
    }
    return strictjson.canonical(content).encode()
