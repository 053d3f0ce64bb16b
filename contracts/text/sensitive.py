"""Sensitive: a text field that only an envelope may show."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainSerializer, SecretStr, SerializationInfo

MASK = "**********"
REVEAL = {"reveal": True}
"""The serialisation context under which a sensitive value is written as it is: into an envelope, nowhere else."""


def _serialize(secret: SecretStr, info: SerializationInfo) -> str:
    context = info.context
    return secret.get_secret_value() if isinstance(context, dict) and context.get("reveal") else MASK


Sensitive = Annotated[
    SecretStr,
    PlainSerializer(_serialize, return_type=str, when_used="json"),
    Field(json_schema_extra={"x-sensitive": True}),
]
"""The type of a text field that is masked everywhere but in the envelope: in logs, ``repr``, errors, history,
dead letters and Flower. An agent reads it with ``.get_secret_value()``."""
