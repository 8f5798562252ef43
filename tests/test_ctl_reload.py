"""tapctl reload and snapshot: what a person sees of them."""

from __future__ import annotations

import os
import re
import socket
import statistics
import time

import pytest

from tapkit.run.control import client as control_client
from tests.place import PATIENCE, Place, ask, wait_for
from tests.test_ctl_status import HELD, told
from tests.test_twistd import add_tap


@pytest.fixture
def qotd(place: Place) -> Place:
    place.make("qotd", "--port", "0")
    assert place.twistd("qotd.tap").returncode == 0
    return place


def test_a_reload_that_fails(qotd: Place) -> None:
    """Status 1 and why, in a line; the old process goes on, and can still be asked."""
    old = qotd.pid()
    (qotd.path / "qotd.tap").write_bytes(b"no image any more")
    shown = qotd.run("tapctl", "reload")
    assert shown.returncode == 1
    assert len(shown.stderr.splitlines()) == 1
    assert "qotd.tap" in shown.stderr
    status = told(qotd)
    assert (status["pid"], status["state"]) == (old, "running")
    assert ask(qotd.port())
    assert qotd.run("tapctl", "stop").returncode == 0


@pytest.mark.slow
def test_reload_from_the_image(qotd: Place) -> None:
    """--from=image takes the file, whatever has changed."""
    old = qotd.pid()
    shown = qotd.run("tapctl", "reload", "--from=image", "qotd.tap")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert re.fullmatch(r"Reloaded: process \d+ serves now\.\n", shown.stdout)
    assert qotd.pid() != old
    assert told(qotd)["pid"] == qotd.pid()


def test_snapshot(qotd: Place) -> None:
    """Its file, its size and how long the service stood still; the daemon goes on."""
    shown = qotd.run("tapctl", "snapshot")
    path = qotd.path / "qotd-snapshot.tap"
    size = path.stat().st_size
    expected = rf"Saved {path}: {size} bytes in [\d.]+ s; service stood still for [\d.]+ ms\.\n"
    assert re.fullmatch(expected, shown.stdout)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert told(qotd)["last_save"]["why"] == "tapctl snapshot"


@pytest.mark.slow
def test_no_snapshot_of_what_is_not_saved(place: Place) -> None:
    """Refused with the reason."""
    place.make("qotd", "--port", "0")
    assert place.twistd("-o", "-f", "qotd.tap").returncode == 0
    shown = place.run("tapctl", "snapshot")
    assert shown.returncode == 1
    assert "no snapshot is taken: --no_save" in shown.stderr


@pytest.mark.parametrize("command", ["reload", "snapshot"])
def test_of_nobody(place: Place, command: str) -> None:
    """Without a daemon they fail, and say which is missed."""
    shown = place.run("tapctl", command)
    assert shown.returncode == 1
    assert f"no daemon runs: {place.path}/twistd.pid" in shown.stderr
    assert place.run("tapctl", command, "--timeout=x").returncode == 2


def test_mistyped(place: Place) -> None:
    """A source of a reload is one of two."""
    shown = place.run("tapctl", "reload", "--from=there")
    assert shown.returncode == 2
    assert "can't reload from 'there': --from: image or state" in shown.stderr


@pytest.mark.slow
def test_status_under_load(place: Place) -> None:
    """With 2,000 connections open and as many messages on their way: within 100 ms."""
    add_tap(place, "held", HELD)
    place.mktap("held")
    assert place.twistd("-f", "held.tap").returncode == 0
    port, pidfile = place.port(), str(place.path / "twistd.pid")
    count = min(2000, os.sysconf("SC_OPEN_MAX") - 200)
    held = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(count)]
    try:
        wait_for("them all", lambda: told(place)["connections"] == count)
        took = []
        for _ in range(50):
            for connection in held[:200]:
                connection.sendall(b"x" * 100)
            began = time.perf_counter()
            assert control_client.ask(pidfile, "status")["connections"] == count
            took.append(time.perf_counter() - began)
        assert statistics.median(took) < 0.1
    finally:
        for connection in held:
            connection.close()
