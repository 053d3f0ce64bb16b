"""What the tests of the documents describe, and what they read in them."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

from jsonschema import Draft7Validator

from handoffs import Contract, Key
from handoffs.config.settings import Settings
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.schema import fingerprint, reads, writes
from handoffs.contracts.versions import Known
from handoffs.coordinator.docs.gather import gather
from handoffs.coordinator.docs.model import Landscape
from handoffs.coordinator.flow.loading import Definitions

OFFICIAL = Path(__file__).parent / "asyncapi" / "asyncapi-3.0.0.json"
HOSTILE = '<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) | a `b ``<b>`` &amp; "q" \u202e'
SECRET = "hunter2-hunter2"


@dataclass(frozen=True)
class PublishedRow:
    """A published version, as a registry gives it."""

    ref: ContractRef
    fingerprint: str
    reads: dict[str, Any]
    writes: dict[str, Any]
    owner: str = "risk team"
    mode: str = "FULL_TRANSITIVE"
    keys: tuple[str, ...] = ()
    description: str = "A published text."
    sensitive: tuple[str, ...] = ()
    upcast: bool = False
    downcast: str | None = None

    def known(self) -> Known:
        return Known(self.ref, self.writes, self.reads, self.fingerprint)


class Level(Contract, name="payments.fraud-scored", version=1):
    """The first version: a level."""

    payment_id: str = Key()
    risk_level: Literal["low", "high"]


def entry(contract: type[Contract], **more: Any) -> PublishedRow:
    """What a registry says of a class."""
    return PublishedRow(contract.ref(), fingerprint(contract), reads(contract), writes(contract), **more)


def landscape(
    *found: Any, published: tuple[PublishedRow, ...] = (), settings: Settings | None = None
) -> Landscape:
    """What is told of agents and flows."""
    catalogue = Definitions()
    for value in found:
        catalogue.add(value)
    return gather(catalogue, settings or Settings(), published)


class Page(HTMLParser):
    """What a browser would find: elements, anchors, links, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, attribute: str) -> list[str]:
        return [value for name, value in self.attributes if name == attribute]


def faults(validator: Draft7Validator, document: Any) -> list[str]:
    return [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in validator.iter_errors(document)
    ]
