"""Opening: the place of the settings in which payloads are kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from handoffs.config.payloads import PayloadSettings
from handoffs.coordinator.payloads.bucket import BucketObjects
from handoffs.coordinator.payloads.folder import FolderObjects
from handoffs.coordinator.payloads.objects import Objects


def objects_of(settings: PayloadSettings, namespace: str, timeout: timedelta) -> Objects | None:
    """Where payloads are kept: in a folder of its own for a ``namespace``. A server may leave a call without an answer for ``timeout``.
    None where no place is set. Talks to nobody."""
    if settings.url is None:
        return None
    parts = urlsplit(settings.url)
    if parts.scheme == "file":
        return FolderObjects(Path(unquote(parts.path)), namespace)
    path = "/".join(part for part in (unquote(parts.path).strip("/"), namespace) if part)
    return BucketObjects(parts.netloc, path, settings.endpoint, timeout)
