"""A project to try things with."""

from __future__ import annotations

from pathlib import Path

import pytest

from handoffs.coordinator.project.writing import write_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project called ``shop``."""
    write_project("shop", tmp_path)
    return tmp_path
