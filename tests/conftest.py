"""Fixtures for tests of whole processes; what they start is reaped whatever happens."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.place import Place

if TYPE_CHECKING:
    from tests.trusting import Machine


# A shell starts what it runs in the background with these ignored, and so would be all that is
# started here: a test of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty directory to run commands in."""
    here = Place(tmp_path / "place")
    try:
        yield here
    finally:
        here.reap()


@pytest.fixture(scope="session")
def qotd_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """qotd.tap, qotd.tax and qotd.tas; other.tax and other.tas, with another port and quote."""
    here = Place(tmp_path_factory.mktemp("qotd") / "place")
    here.make("qotd")
    for name in ("qotd.tax", "qotd.tas"):
        assert here.run("tapconvert", "qotd.tap", name).returncode == 0
    text = (here.path / "qotd.tax").read_text()
    other = text.replace(">8007<", ">8017<", 1).replace("An apple", "A pear")
    (here.path / "other.tax").write_text(other)
    assert here.run("tapconvert", "other.tax", "other.tas").returncode == 0
    return {name: (here.path / name).read_bytes() for name in here.file_names()}


@pytest.fixture
def qotd(place: Place) -> Place:
    """A place with qotd.tap, as `mktap qotd` makes it."""
    place.make("qotd")
    return place


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """This process on a machine whose trusted keys and state are its own."""
    from tests.trusting import Machine

    made = Machine(tmp_path / "machine")
    made.enter(monkeypatch)
    return made


@pytest.fixture
def open_place() -> Iterator[Place]:
    """A place that other users can reach. (pytest keeps its own directories to itself, and
    closes them again whenever another pytest begins.)"""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        here = Place(Path(folder) / "place")
        here.path.chmod(0o755)
        try:
            yield here
        finally:
            here.reap()
