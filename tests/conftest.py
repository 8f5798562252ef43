"""Fixtures for tests of whole processes; what they start is reaped whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.place import Place

if TYPE_CHECKING:
    from tests.trusting import Machine


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty directory to run commands in."""
    here = Place(tmp_path / "place")
    try:
        yield here
    finally:
        here.reap()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """This process on a machine whose trusted keys and state are its own."""
    from tests.trusting import Machine

    made = Machine(tmp_path / "machine")
    made.enter(monkeypatch)
    return made
