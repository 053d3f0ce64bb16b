"""Bucket: payloads in a bucket of S3, or of what speaks its protocol, through the AWS SDK (boto3)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from handoffs.config.forks import after_fork
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.payloads.objects import Kept, unusable

_REMEDY = (
    "check COORDINATOR_PAYLOADS__URL and COORDINATOR_PAYLOADS__ENDPOINT, and that the credentials may get, put, list and"
    " delete there"
)
_MISSING = frozenset({"404", "NoSuchKey"})
_TRIES = 3


class BucketObjects:
    """Keeps objects in ``bucket``, under names that begin with ``prefix``; ``endpoint`` is where the bucket is, None: at AWS."""

    def __init__(self, bucket: str, prefix: str, endpoint: str | None, timeout: timedelta) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._endpoint = endpoint
        self._timeout = timeout.total_seconds()
        self._renew()

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._made: Any = None
        after_fork(self, BucketObjects._renew)

    def put(self, name: str, octets: bytes) -> None:
        with self._used() as client:
            client.put_object(**self._of(name), Body=octets, ContentType="application/octet-stream")

    def get(self, name: str, most: int) -> bytes | None:
        with self._used() as client:
            found = _or_none(lambda: client.get_object(**self._of(name)))
            if found is None:
                return None
            with found["Body"] as body:
                octets: bytes = body.read(most + 1)
                return octets

    def touch(self, name: str) -> None:
        of = self._of(name)
        with (
            self._used() as client
        ):  # S3 copies an object onto itself only where something is said anew of it
            _or_none(
                lambda: client.copy_object(
                    **of, CopySource=of, MetadataDirective="REPLACE", ContentType="application/octet-stream"
                )
            )

    def at(self, name: str) -> datetime | None:
        with self._used() as client:
            found = _or_none(lambda: client.head_object(**self._of(name)))
            return None if found is None else found["LastModified"].astimezone(UTC)

    def each(self) -> Iterator[Kept]:
        with self._used() as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            for page in pages:
                for one in page.get("Contents", ()):
                    yield Kept(one["Key"].removeprefix(self._prefix), one["LastModified"].astimezone(UTC))

    def remove(self, name: str) -> None:
        with self._used() as client:
            client.delete_object(**self._of(name))

    def probe(self) -> None:
        with self._used() as client:
            client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)

    def _of(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + name}

    @contextmanager
    def _used(self) -> Iterator[Any]:
        try:
            # Only here: it is needed where a bucket is set, and is an extra.
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ServerError(
                f"COORDINATOR_PAYLOADS__URL names a bucket, and what talks to it is not installed: {error.name}",
                "no payload is kept or fetched",
                "pip install 'handoffs[s3]'",
            ) from error
        try:
            yield self._client()
        except (BotoCoreError, ClientError, OSError) as error:
            raise unusable(error, _REMEDY) from error

    def _client(self) -> Any:
        # Only here, as in _used.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415 - as above

        with self._lock:
            if self._made is None:
                waits = Config(
                    connect_timeout=self._timeout,
                    read_timeout=self._timeout,
                    retries={"total_max_attempts": _TRIES, "mode": "standard"},
                    # what is not AWS often has no names of its own for buckets, and knows no newer checksums
                    s3={"addressing_style": "path" if self._endpoint else "auto"},
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                )
                session = boto3.session.Session()  # one of its own: the default one is not for threads
                self._made = session.client("s3", endpoint_url=self._endpoint, config=waits)
            return self._made


def _or_none(ask: Any) -> Any:
    """What is answered; None where there is no such object."""
    # Only here, as in _used.
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        return ask()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _MISSING:
            return None
        raise
