"""Fixtures for tests of whole processes; what they start is reaped whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty directory to run commands in."""
    here = Place(tmp_path / "place")
    try:
        yield here
    finally:
        here.reap()
