"""The files: the same bytes for the same landscape, and typed errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from handoffs.coordinator.docs.asyncapi import asyncapi
from handoffs.coordinator.docs.files import UnwritableFolder, documents, write
from tests.eager.shop import Shop
from tests.unit.docs.described import (
    faults,
    landscape,
)


def test_the_same_again(tmp_path: Path) -> None:
    """Two runs write the same bytes, whatever was loaded first."""
    flows = list(Shop().flows.values())
    first = write(landscape(flows[0], flows[1], flows[2]), tmp_path / "a")
    second = write(landscape(flows[2], flows[1], flows[0]), tmp_path / "b")
    assert [file.name for file in first] == ["asyncapi.json", "catalogue.html", "catalogue.md"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert b"\r" not in one.read_bytes()


def test_nothing_loaded_is_a_document_too(official: Draft7Validator) -> None:
    """Without any agent the documents are empty and valid."""
    found = landscape()
    assert faults(official, asyncapi(found)) == []
    assert "0 contracts" in documents(found)["catalogue.html"]


@pytest.mark.parametrize("folder", ["file", "file/below", "nul\0"])
def test_an_unwritable_folder_is_a_typed_error(folder: str, tmp_path: Path) -> None:
    """A folder that cannot be made or written to ends in an error that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UnwritableFolder, match=r"file|nul"):
        write(landscape(), tmp_path / folder)
