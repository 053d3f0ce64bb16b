"""The contracts of media: each carries what its readers need, refuses what is none, and none carries a key."""

from typing import Any

import pytest

from handoffs.contracts.compatibility import compare
from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.fields import sensitive_paths
from handoffs.contracts.reference import media
from handoffs.contracts.reference.media import (
    RenditionOrdered,
    RenditionReady,
    TitleAvailable,
    TitleDistributed,
    TitleIndexed,
    TitlePackaged,
    TitlePreparations,
    TitlePrepared,
    TitleRenditions,
    TitleTerms,
    TitleUploaded,
    TranscodingComplete,
)
from handoffs.contracts.schema import generated, reads, writes

DIGEST = "a" * 64
TERMS = {
    "title_id": "t-1",
    "name": "Ünter den Linden",
    "description": "Two lines,\nand a <b>tag</b>.",
    "language": "pt-BR",
    "seconds": 5.0,
    "source_sha256": DIGEST,
    "uploaded_at": "2026-01-05T08:00:00Z",
}
UPLOADED = {
    **TERMS, "source": "uploads/t-1/source", "source_octets": 10, "width": 1920, "height": 1080, "has_audio": True,
    "ladder": "standard",
}  # fmt: skip
FORM = {"codec": "h264", "width": 416, "height": 234, "bitrate_kbps": 145}
RUNG = {"rendition": "234p-h264-145k", "position": 1, "count": 16, **FORM}
OBJECT = {"object": "renditions/t-1/a.mp4", "octets": 5, "sha256": DIGEST}
ORDERED = {**TERMS, **RUNG, "source": "uploads/t-1/source"}
READY = {**TERMS, **RUNG, **OBJECT, "seconds_taken": 0.5}
PART = {"rendition": "234p-h264-145k", **FORM, **OBJECT}
COMPLETE = {**TERMS, "renditions": [PART]}
PACKAGE = {"rendition": "234p-h264-145k", "codec": "h264", **OBJECT, "nonce": "0" * 24}
PACKAGED_TERMS = {
    **TERMS, "scheme": "aes-256-gcm", "key_id": "b" * 32, "licence": "https://licence.example/b",
    "manifest": "packages/t-1/manifest.json", "manifest_sha256": DIGEST,
}  # fmt: skip
PACKAGED = {**PACKAGED_TERMS, "packages": [PACKAGE]}
PLACE = {"edge": "edge-1", "url": "https://edge-1.cdn.example/t-1", "objects": 2, "octets": 10}
DISTRIBUTED = {**PACKAGED_TERMS, "locations": [PLACE]}
HOW = {name: value for name, value in DISTRIBUTED.items() if name not in TERMS}
PREPARED = {**TERMS, "part": "distribution", "count": 2, "distribution": HOW, "entry": None}
ENTERED = {**TERMS, "part": "index", "count": 2, "distribution": None, "entry": DIGEST}
SETS: list[tuple[type[Contract], dict[str, Any]]] = [
    (TitleRenditions, {"renditions": [READY]}),
    (TitlePreparations, {"parts": [PREPARED, ENTERED]}),
]
ALL: list[tuple[type[Contract], dict[str, Any]]] = [
    (TitleUploaded, UPLOADED),
    (RenditionOrdered, ORDERED),
    (RenditionReady, READY),
    (TranscodingComplete, COMPLETE),
    (TitlePackaged, PACKAGED),
    (TitleDistributed, DISTRIBUTED),
    (TitleIndexed, {**TERMS, "entry": DIGEST}),
    (TitlePrepared, PREPARED),
    (TitleAvailable, DISTRIBUTED),
]


@pytest.mark.parametrize(("contract", "data"), [*ALL, *SETS])
def test_round_trip(contract: type[Contract], data: dict[str, Any]) -> None:
    """Each contract is read, and written as it was."""
    assert contract.from_data(data).to_data() == data


@pytest.mark.parametrize("contract", [contract for contract, _ in [*ALL, *SETS]])
def test_reader_takes_what_the_writer_emits(contract: type[Contract]) -> None:
    """No contract's own reader refuses, by its schema, what its writer may emit."""
    assert compare(writes(contract), reads(contract)).verdict == "compatible"


@pytest.mark.parametrize(("contract", "data"), ALL)
def test_terms_travel_with_every_message(contract: type[Contract], data: dict[str, Any]) -> None:
    """Each message has all that is said of the title, and its text is marked as people's."""
    assert issubclass(contract, TitleTerms)
    properties = generated(contract)["properties"]
    assert [name for name, schema in properties.items() if schema.get("x-untrusted")] == [
        "name",
        "description",
    ]
    assert all(contract.from_data(data).to_data()[name] == value for name, value in TERMS.items())


@pytest.mark.parametrize(("contract", "data"), [*ALL, *SETS])
def test_no_secret_travels(contract: type[Contract], data: dict[str, Any]) -> None:
    """No message has a field for a content key, and none needs masking."""
    assert sensitive_paths(generated(contract)) == ()
    found = str(generated(contract))
    assert "'key'" not in found
    assert "content_key" not in found


def test_keys() -> None:
    """What is said of a title is keyed by it; what is said of a rendition, by both."""
    keys = {contract: contract.__keys__ for contract, _ in ALL}
    assert keys.pop(RenditionOrdered) == keys.pop(RenditionReady) == ("title_id", "rendition")
    assert keys.pop(TitlePrepared) == ("title_id", "part")
    assert {*keys.values()} == {("title_id",)}


def test_every_contract_is_here() -> None:
    """No contract of media is left out of these tests."""
    declared = {
        found
        for found in vars(media).values()
        if isinstance(found, type) and issubclass(found, Contract) and found.__contract__
    }
    assert declared == {contract for contract, _ in [*ALL, *SETS]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title_id", ""), ("title_id", "../t"), ("title_id", "t/1"), ("title_id", "x" * 65), ("name", ""), ("name", "x" * 201),
        ("name", "a\u202eb"), ("name", "a\0"), ("description", "x" * 2_001), ("description", "\u2066"), ("language", "english"),
        ("language", ""), ("language", "en_GB"), ("seconds", 0), ("seconds", -1), ("seconds", 86_401), ("seconds", "5"),
        ("source_sha256", "A" * 64), ("source_sha256", "a" * 63), ("uploaded_at", "2026-01-05T08:00:00"),
        ("uploaded_at", "1999-01-05T08:00:00Z"), ("source", "../source"), ("source", "/source"), ("source", "a/../b"),
        ("source", "a//b"), ("source_octets", 0), ("width", 1), ("width", 8_193), ("height", 233), ("height", 8_193),
        ("has_audio", 1), ("ladder", "other"), ("ladder", None),
    ],
)  # fmt: skip
def test_malformed_upload(field: str, value: Any) -> None:
    """An upload with a malformed field is refused, by its name."""
    with pytest.raises(InvalidData, match=field):
        TitleUploaded.from_data({**UPLOADED, field: value})


@pytest.mark.parametrize("data", [ORDERED, READY], ids=["ordered", "ready"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"position": 0}, {"position": 17}, {"count": 0}, {"count": 65}, {"codec": "av1"}, {"width": None}, {"height": None},
        {"bitrate_kbps": None}, {"bitrate_kbps": 0}, {"codec": "aac"}, {"codec": "jpeg"}, {"rendition": "a b"},
        {"codec": "opus", "width": None, "height": None, "bitrate_kbps": None},
    ],
)  # fmt: skip
def test_malformed_rendition(data: dict[str, Any], wrong: dict[str, Any]) -> None:
    """A rendition has a place in its ladder, and the picture and the rate that its codec has."""
    contract = RenditionReady if "object" in data else RenditionOrdered
    with pytest.raises(InvalidData):
        contract.from_data({**data, **wrong})


@pytest.mark.parametrize(
    ("codec", "width", "height", "rate"),
    [("aac", None, None, 128), ("opus", None, None, 128), ("jpeg", 160, 90, None)],
)
def test_forms(codec: str, width: int | None, height: int | None, rate: int | None) -> None:
    """Sound has no picture, and thumbnails have no rate."""
    data = {**READY, "codec": codec, "width": width, "height": height, "bitrate_kbps": rate}
    assert RenditionReady.from_data(data).codec == codec


@pytest.mark.parametrize(
    ("contract", "wrong"),
    [
        (TranscodingComplete, {"renditions": []}), (TranscodingComplete, {"renditions": [PART, PART]}),
        (TranscodingComplete, {"renditions": [{**PART, "object": "../a"}]}),
        (TranscodingComplete, {"renditions": [{**PART, "rendition": str(n)} for n in range(65)]}),
        (TitlePackaged, {"packages": [PACKAGE, PACKAGE]}), (TitlePackaged, {"packages": []}),
        (TitlePackaged, {"packages": [{**PACKAGE, "nonce": "0" * 23}]}), (TitlePackaged, {"scheme": "none"}),
        (TitlePackaged, {"key_id": "b" * 31}), (TitlePackaged, {"licence": "http://licence.example"}),
        (TitlePackaged, {"licence": "https://licence.example/a b"}), (TitlePackaged, {"manifest": "/m"}),
        (TitleDistributed, {"locations": []}), (TitleDistributed, {"locations": [PLACE, PLACE]}),
        (TitleDistributed, {"locations": [{**PLACE, "objects": 0}]}),
        (TitleAvailable, {"locations": [{**PLACE, "url": "javascript:alert(1)"}]}), (TitleIndexed, {"entry": "x"}),
        (TitlePrepared, {"part": "index"}), (TitlePrepared, {"distribution": None}), (TitlePrepared, {"entry": DIGEST}),
        (TitlePrepared, {"count": 1}), (TitlePrepared, {"count": 3}), (TitlePrepared, {"part": "other"}),
        (TitlePrepared, {"distribution": {**HOW, "locations": [PLACE, PLACE]}}),
        (TitleRenditions, {"renditions": []}), (TitlePreparations, {"parts": [PREPARED] * 3}),
    ],
)  # fmt: skip
def test_malformed_parts(contract: type[Contract], wrong: dict[str, Any]) -> None:
    """Parts are well formed, there is at least one, and none is there twice."""
    data = dict(next(data for found, data in [*ALL, *SETS] if found is contract))
    with pytest.raises(InvalidData):
        contract.from_data({**data, **wrong})
