"""Payloads: where large payloads are kept, so that messages carry a reference to them (the claim check)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from handoffs.config.duration import Lifetime
from handoffs.config.numbers import Whole

_BUCKET = re.compile("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def _place(url: str) -> str:
    parts = urlsplit(url)
    if not url.isprintable() or " " in url or parts.query or parts.fragment or "%00" in url:
        raise ValueError("it is a URL without blanks, ? and #")
    if any(part in {".", ".."} for part in unquote(parts.path).split("/")):
        raise ValueError("it has a . or .. in its path")
    if parts.scheme == "file" and not parts.netloc and len(parts.path) > 1:
        return url
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc):
        return url
    raise ValueError("write file:///folder or s3://bucket/prefix")


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.username
        or parts.query
        or parts.fragment
    ):
        raise ValueError("write https://host:port")
    return url.rstrip("/")


class PayloadSettings(BaseModel):
    """Settings of the payload store. Without ``url``, each message carries its payload itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_place)] | None = None
    """Where payloads over the threshold are kept, and messages carry a reference: ``file:///folder``, which is there and every process has, or
    ``s3://bucket/prefix``. One place for each installation, the same for every process. None: they are in the messages."""
    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = None
    """Under which address the bucket is found, where it is not at AWS: ``https://minio:9000``. Credentials and region are those of the AWS SDK:
    ``AWS_ACCESS_KEY_ID``, a profile, a role."""
    threshold: Whole = Field(default=262_144, ge=1024, le=134_217_728)
    """From how many octets on a payload is kept there: those that have more."""
    retention: Lifetime = timedelta(days=30)
    """How long a payload is kept there after it was sent the last time; longer where its run lives or a dead letter of it waits.
    At least ``run_ttl``, and longer than a message may wait in a queue."""
