"""Payloads: a large payload is kept where every process finds it, and its message carries a reference."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.contracts.dataref import DataRef, is_by_reference, lightened, named_in
from handoffs.contracts.errors import DataMissing, InvalidInput
from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.errors import SealBroken, ServerError
from handoffs.coordinator.payloads.objects import Objects

_FRESH_FOR = timedelta(hours=1)
_MOST_FRESH = 10_000
_AROUND_A_SEAL = 1_024
_IN_A_BODY = '\\"dataref\\"'
_REMEDY = "put the object back from a backup and replay the step, give it another input (edit) or an outcome (skip), or give its run up"


class Cipher(Protocol):
    """Seals texts, each for one place."""

    def closed(self, text: str, place: str) -> str:
        """The text sealed, or as it is where nothing is sealed."""

    def opened(self, text: str, place: str) -> str:
        """The text that was sealed for its place; one that was not, as it is. Raises :class:`~handoffs.coordinator.errors.SealBroken`."""


class Payloads:
    """Takes large payloads out of messages that are sent, and brings them where messages are read. Safe for threads.

    Both raise :class:`~handoffs.coordinator.errors.ServerError` where the place cannot be reached: the message is tried again.
    """

    def __init__(self, kept: KeptPayloads | None = None) -> None:
        """``kept`` is where; None: every message carries its payload itself."""
        self._kept = kept
        self._fresh: dict[str, float] = {}  # when an object was touched, on the process' monotonic clock

    @property
    def kept(self) -> KeptPayloads | None:
        """Where they are; None: in the messages."""
        return self._kept

    def concern(self, body: str) -> bool:
        """Whether :meth:`lighten` may have to talk to the place, for the body of a message."""
        kept = self._kept
        return kept is not None and (_octets(body) > kept.least or _IN_A_BODY in body)

    def lighten(self, body: str) -> str:
        """The body of a message that is to be sent, with a reference in place of a large payload, which is kept when this returns. One that
        has a reference already is sent once more: what it refers to is as new from now on, unless the place is away just then."""
        kept = self._kept
        if kept is None or not self.concern(body):
            return body
        try:
            match json.loads(body):
                case [[str(envelope)], arguments, rest]:
                    pass
                case _:
                    return body
        except (ValueError, RecursionError):  # it comes as it is to whoever says what is wrong with it
            return body
        if is_by_reference(envelope) and (name := named_in(envelope, kept.limits)):
            with suppress(ServerError):  # it may have to be sent because of that
                self._touch(kept, name)
            return body
        light = lightened(envelope, kept.least, kept.limits)
        if light is None:
            return body
        sealed = kept.cipher.closed(light.data, light.ref.name)
        kept.objects.put(light.ref.name, sealed.encode())
        return strictjson.dumps([[light.envelope], arguments, rest])

    def renew(self, body: str) -> None:
        """Make what the body of a message refers to as new, now, so that it is there for as long as after it was sent first."""
        with suppress(ValueError, RecursionError):  # no message of ours refers to anything
            match json.loads(body):
                case [[str(envelope)], *_] if self._kept and (name := named_in(envelope, self._kept.limits)):
                    self._kept.objects.touch(name)

    def fetch(self, ref: DataRef, limits: Limits) -> dict[str, Any]:
        """The data of a reference. Raises :class:`~handoffs.contracts.errors.DataMissing` where it is not there, or is not what the
        reference says."""
        kept = self._kept
        if kept is None:
            raise _missing(ref, "no payload store is set here (COORDINATOR_PAYLOADS__URL)")
        octets = kept.objects.get(ref.name, 2 * ref.size + _AROUND_A_SEAL)
        if octets is None:
            raise _missing(
                ref,
                "it is not there, or is no file: it was removed or replaced, or this is not the store that it was put into",
            )
        try:
            text = kept.cipher.opened(octets.decode(), ref.name)
        except SealBroken as error:
            raise _missing(ref, error.cause) from None
        except UnicodeDecodeError:
            raise _missing(ref, "what is there is not UTF-8") from None
        if (size := len(text.encode())) != ref.size:
            raise _missing(ref, f"what is there has {size} bytes, and the message says {ref.size}")
        try:
            data = strictjson.loads(text, limits)
            same = isinstance(data, dict) and strictjson.digest(data) == ref.digest
        except InvalidInput as error:
            raise _missing(ref, f"what is there cannot be read: {error.cause}") from None
        if not same:
            raise _missing(ref, "what is there has another digest than the message says")
        return dict(data)

    def _touch(self, kept: KeptPayloads, name: str) -> None:
        """Make an object as new, once an hour: a message may come again and again."""
        now = time.monotonic()
        if now - self._fresh.get(name, float("-inf")) < kept.fresh_for:
            return
        kept.objects.touch(name)
        if len(self._fresh) >= _MOST_FRESH:
            self._fresh.clear()
        self._fresh[name] = now


@dataclass(frozen=True, slots=True)
class KeptPayloads:
    """Where payloads are kept, and which: those of more than ``least`` octets, in envelopes within the ``limits``."""

    objects: Objects
    least: int
    limits: Limits
    cipher: Cipher
    retention: timedelta = field(default=timedelta(days=30))

    @classmethod
    def of(cls, settings: Settings, objects: Objects, cipher: Cipher) -> KeptPayloads:
        """As the settings say."""
        chosen = settings.payloads
        return cls(objects, chosen.threshold, settings.envelope_limits, cipher, chosen.retention)

    @property
    def fresh_for(self) -> float:
        """For how many seconds an object that was touched need not be touched again."""
        return min(_FRESH_FOR, self.retention / 4).total_seconds()


def _octets(body: str) -> int:
    return len(body) if body.isascii() else len(body.encode(errors="surrogatepass"))


def _missing(ref: DataRef, why: str) -> DataMissing:
    return DataMissing(
        f"the data of the message, {ref.name}, cannot be had: {why}", "no agent got it", _REMEDY
    )
