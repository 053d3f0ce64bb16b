"""Contracts: every contract with who speaks it, one of them with its versions, and its schemas as files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from handoffs.coordinator.client.contract_standing import Comparison, ContractStanding, Direction, Speaker
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.asked import Asked, requires
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.docs.model import UNPUBLISHED, Version

router = APIRouter(tags=["contracts"])

Name = Annotated[
    str, Path(max_length=200, description="The contract's name, such as `payments.fraud-scored`.")
]
Number = Annotated[int | None, Query(ge=1, lt=10**9)]
_WIDEST = 12
"""So many versions are columns of a table."""


class ContractLine(BaseModel):
    """A contract in a list. ``state`` is that of its newest version. ``consumers`` and ``producers`` are agents: loaded in the console, alive,
    or deployed. ``spoken`` are the versions that builds speak which are alive or deployed, and ``outstanding`` counts messages of it that are
    not settled."""

    name: str
    versions: list[int]
    state: str
    owner: str
    mode: str
    event: bool
    consumers: list[str]
    producers: list[str]
    spoken: list[int]
    outstanding: int


class ContractList(BaseModel):
    """Contracts by name; ``after`` is what to give for the next page, null where this is the last."""

    contracts: list[ContractLine]
    after: str | None


class ContractField(BaseModel):
    """A field, or with dots in its name a field within one. ``kind`` and ``bounds`` are in words."""

    name: str
    kind: str
    required: bool
    bounds: list[str]
    default: str
    description: str
    key: bool
    sensitive: bool
    untrusted: bool


class MigrationStep(BaseModel):
    """A migration to an adjacent version, and what it loses."""

    word: str
    source: int
    target: int
    lossy: str


class ContractVersion(BaseModel):
    """A version. ``state``: published, not published, or differs (in the loaded code) from what is published."""

    version: int
    state: str
    owner: str
    mode: str
    fingerprint: str
    generator: str
    description: list[str]
    fields: list[ContractField]
    migrations: list[MigrationStep]
    outstanding: int


class ContractSpeaker(BaseModel):
    """A build that reads or writes versions of the contract. ``state``: live, recorded (as deployed), or previous (of its agent)."""

    agent: str
    build: str
    state: str
    workers: int
    reads: list[int]
    writes: list[int]
    hears: bool


class FieldChange(BaseModel):
    """What was and what is at one place; empty where there is no such field."""

    path: str
    was: str
    now: str


class VersionDirection(BaseModel):
    """Whether a reader reads what a writer writes. ``verdict`` is by their schemas as they are, with a ``witness`` that is written and cannot be
    read where it is incompatible; ``migrated``: migrations lead from one to the other; ``kept``: by one of them it is read."""

    rule: str
    writer: int
    reader: int
    verdict: str
    migrated: bool
    kept: bool
    promised: bool
    witness: Any
    differences: list[str]


class VersionComparison(BaseModel):
    """Two versions of the contract."""

    older: int
    newer: int
    changes: list[FieldChange]
    directions: list[VersionDirection]


class ContractDetail(ContractLine):
    """A contract whole, newest version first. ``flows`` carry it; ``starts``, ``ends`` and ``joins`` are those that begin with it, end with it, or put it
    together from branches. ``comparison`` is of the two versions that were asked for, by default the newest two."""

    details: list[ContractVersion]
    speakers: list[ContractSpeaker]
    flows: list[str]
    starts: list[str]
    ends: list[str]
    joins: list[str]
    comparison: VersionComparison | None


def contracts(
    coordinator: Asked,
    *,
    text: Annotated[
        str, Query(max_length=200, description="Only those whose name, owner or agents have this in them.")
    ] = "",
    after: Annotated[str, Query(max_length=200, description="Go on after the contract of this name.")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> View[ContractList]:
    """Every contract that is published or loaded: its versions, who reads and writes it, and which versions are spoken now."""
    lines = (_line(one) for one in coordinator.contracts.all() if one.name > after)
    found = [line for line in lines if not text or _has(line, text.lower())]
    shown = found[:limit]
    more = shown[-1].name if len(found) > limit else None
    return View(
        ContractList(contracts=shown, after=more), "Contracts", twin("contracts list"), {"text": text}
    )


def contract(
    coordinator: Asked,
    name: Name,
    *,
    version: Annotated[
        Number, Query(description="Of which version the page shows the fields; the newest.")
    ] = None,
    older: Annotated[Number, Query(description="Compare this version ...")] = None,
    newer: Annotated[Number, Query(description="... with this one.")] = None,
) -> View[ContractDetail]:
    """A contract: its versions and their fields, what two of them are to one another, and which builds speak which."""
    found = coordinator.contracts.one(name)
    numbers = [one.ref.version for one in found.entry.versions]
    newer = newer or numbers[0]
    older = older or next((number for number in numbers if number < newer), 0)
    compared = coordinator.contracts.compare(name, older, newer) if older and older != newer else None
    details = [_version(coordinator, found, one) for one in found.entry.versions]
    data = ContractDetail(
        **_line(found).model_dump(),
        details=details,
        speakers=[_speaker(one) for one in found.speakers],
        flows=list(found.entry.flows),
        starts=list(found.entry.starts),
        ends=list(found.entry.ends),
        joins=list(found.entry.joins),
        comparison=_comparison(compared) if compared else None,
    )
    shown = next((one for one in details if one.version == version), details[0])
    columns = sorted({*numbers, *found.spoken()}, reverse=True)
    more = {"shown": shown, "columns": columns[:_WIDEST], "left": len(columns[_WIDEST:])}
    return View(data, name, twin("contracts show", name if not version else f"{name}/{shown.version}"), more)


def schema(
    coordinator: Asked,
    name: Name,
    version: Annotated[int, Path(ge=1, lt=10**9)],
    *,
    side: Annotated[
        Literal["reads", "writes"], Query(description="What its readers take, or what its writers emit.")
    ] = "reads",
) -> JSONResponse:
    """The JSON Schema (2020-12) of a version, as a file."""
    found = coordinator.contracts.schema(name, version, side)
    headers = {"content-disposition": f'attachment; filename="{name}.{version}.{side}.schema.json"'}
    return JSONResponse(found, headers=headers, media_type="application/schema+json")


def _line(found: ContractStanding) -> ContractLine:
    entry = found.entry
    there = [one for one in found.speakers if one.state != "previous"]
    return ContractLine(
        name=entry.name,
        versions=[one.ref.version for one in entry.versions],
        state=entry.versions[0].state,
        owner=entry.owner,
        mode=entry.mode,
        event=entry.is_event,
        consumers=_names([one.agent for one in entry.consumers], [one.agent for one in there if one.reads]),
        producers=_names(
            [one.agent for one in (*entry.producers, *entry.emitters)],
            [one.agent for one in there if one.writes],
        ),
        spoken=list(found.spoken()),
        outstanding=sum(found.outstanding.values()),
    )


def _names(loaded: Iterable[str], there: Iterable[str]) -> list[str]:
    return sorted({*loaded, *there})


def _has(line: ContractLine, text: str) -> bool:
    return any(text in one.lower() for one in (line.name, line.owner, *line.consumers, *line.producers))


def _version(coordinator: Asked, found: ContractStanding, version: Version) -> ContractVersion:
    number = version.ref.version
    published = None if version.state == UNPUBLISHED else coordinator.contracts.published(found.name, number)
    return ContractVersion(
        version=number,
        state=version.state,
        owner=published.owner if published else "",
        mode=published.mode if published else "",
        fingerprint=version.fingerprint,
        generator=published.generator if published else "",
        description=list(version.description),
        fields=[ContractField.model_validate(one, from_attributes=True) for one in version.fields],
        migrations=[MigrationStep.model_validate(one, from_attributes=True) for one in version.migrations],
        outstanding=found.outstanding.get(number, 0),
    )


def _speaker(speaker: Speaker) -> ContractSpeaker:
    return ContractSpeaker.model_validate(speaker, from_attributes=True)


def _comparison(found: Comparison) -> VersionComparison:
    return VersionComparison(
        older=found.older.version,
        newer=found.newer.version,
        changes=[FieldChange.model_validate(one, from_attributes=True) for one in found.changes],
        directions=[_direction(one) for one in found.directions],
    )


def _direction(one: Direction) -> VersionDirection:
    return VersionDirection(
        rule=one.rule,
        writer=one.writer.version,
        reader=one.reader.version,
        verdict=one.verdict.verdict,
        migrated=one.migrated,
        kept=one.kept,
        promised=one.promised,
        witness=one.verdict.witness,
        differences=[str(difference) for difference in one.verdict.differences],
    )


add_page(router, "/contracts", contracts, template="contracts.html.j2", model=ContractList)
_guards = [Depends(requires(Permission.READ))]
_file: dict[str, Any] = {"dependencies": _guards, "methods": ["GET"], "response_class": JSONResponse}
router.add_api_route("/api/contracts/{name}/{version}/schema", schema, name="schema", **_file)
router.add_api_route(
    "/contracts/{name}/{version}/schema.json", schema, name="schema.json", include_in_schema=False, **_file
)
add_page(router, "/contracts/{name}", contract, template="contract.html.j2", model=ContractDetail)
