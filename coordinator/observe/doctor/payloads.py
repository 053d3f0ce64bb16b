"""Payloads: what the doctor says of the place where large payloads are kept."""

from __future__ import annotations

from collections.abc import Iterator

from handoffs.config.settings import Settings
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.observe.doctor.check import Check, of_error, ok, warning
from handoffs.coordinator.payloads.payloads import Payloads

_NAME = "payload store"


def payload_checks(settings: Settings, payloads: Payloads) -> Iterator[Check]:
    """What there is to say of it; nothing where messages carry their payloads themselves."""
    kept, chosen = payloads.kept, settings.payloads
    if kept is None:
        return
    if chosen.retention < settings.run_ttl:
        yield warning(
            "settings",
            "payload retention",
            f"payloads are kept for {chosen.retention}, and runs are known for {settings.run_ttl}: an event that waits"
            " in its queue for longer would be parked without its payload",
            "make COORDINATOR_PAYLOADS__RETENTION at least COORDINATOR_RUN_TTL",
        )
    if chosen.threshold >= settings.max_message_bytes:
        yield warning(
            "settings",
            "payload threshold",
            "no payload is so large: COORDINATOR_MAX_MESSAGE_BYTES, which limits them all, is not more than the threshold",
            "raise COORDINATOR_MAX_MESSAGE_BYTES, or lower COORDINATOR_PAYLOADS__THRESHOLD",
        )
    try:
        kept.objects.probe()
    except ServerError as error:
        yield of_error("settings", _NAME, error, error.remedy)
    else:
        sealed = ", sealed with COORDINATOR_JOURNAL_KEYS" if settings.journal_keys else ""
        yield ok(
            "settings", _NAME, f"it can be used{sealed}; payloads over {chosen.threshold} bytes go there"
        )
