"""Objects: what they are called in the store. The same work always gives the same key."""

from __future__ import annotations

from typing import Final

from handoffs.contracts.reference.media import Codec, Rendition, RenditionTerms, TitleTerms

_SUFFIXES: Final[dict[Codec, str]] = {
    "h264": "mp4", "hevc": "mp4", "aac": "mp4", "vp9": "webm", "opus": "webm", "jpeg": "jpg",
}  # fmt: skip
_UPLOAD_DIGITS: Final = 16
_MANIFEST: Final = "manifest.json"


def upload_of(title: TitleTerms) -> str:
    """One upload of a title: its id, and the beginning of the digest of its source."""
    return f"{title.title_id}/{title.source_sha256[:_UPLOAD_DIGITS]}"


def source_object(title_id: str) -> str:
    """Where what was uploaded is."""
    return f"uploads/{title_id}/source"


def rendition_object(order: RenditionTerms) -> str:
    """Where a rendition is."""
    return f"renditions/{upload_of(order)}/{order.rendition}.{_SUFFIXES[order.codec]}"


def package_object(title: TitleTerms, made: Rendition) -> str:
    """Where the package of a rendition is."""
    return f"packages/{upload_of(title)}/{made.rendition}.{_SUFFIXES[made.codec]}.enc"


def manifest_object(title: TitleTerms) -> str:
    """Where the list of a title's packages is."""
    return f"packages/{upload_of(title)}/{_MANIFEST}"


def is_manifest(key: str) -> bool:
    """Whether it is the key of such a list."""
    return key.endswith(f"/{_MANIFEST}")


def shelf_object(title: TitleTerms) -> str:
    """Where what people see of a title is."""
    return f"shelf/{upload_of(title)}.json"


def title_of(key: str) -> str:
    """The title that an object is of."""
    return key.split("/")[1]


def renditions_of(title_id: str) -> str:
    """The folder of all renditions of a title, of whichever upload."""
    return f"renditions/{title_id}"


def packages_of(title_id: str) -> str:
    """The folder of all packages of a title, of whichever upload."""
    return f"packages/{title_id}"
