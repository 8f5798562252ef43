"""tapctl status: the truth about a daemon, in words and as JSON, and an exit status for scripts."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.place import PATIENCE, Place, ask, wait_for
from tests.running_daemon import name_in, running_qotd
from tests.test_twistd import add_tap


@pytest.fixture(scope="module")
def quotes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running_qotd(tmp_path_factory.mktemp("status")) as place:
        yield place


def told(place: Place, *arguments: str) -> dict[str, Any]:
    shown = place.run("tapctl", "status", "--json", *arguments)
    assert (shown.returncode, shown.stderr) == (0, "")
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def test_the_report(quotes: Place) -> None:
    """What an administrator asks first: does it run, from what, where, what is saved."""
    shown = quotes.run("tapctl", "status")
    assert (shown.returncode, shown.stderr) == (0, "")
    pid, port, name = quotes.pid(), quotes.port(), name_in(quotes)
    assert shown.stdout.startswith(f"{name} is running, PID {pid}, for ")
    for line in (
        rf"image: +{quotes.path}/{name}\.tap \(pickle\)",
        rf"state: +at stop its state is saved as {name}-shutdown\.tap",
        r"last save: +none since the start",
        rf"pidfile: +{quotes.path}/twistd\.pid",
        rf"log: +{quotes.path}/twistd\.log",
        r"memory: +\d+\.\d MB",
        r"cpu: +[\d.]+ s, [\d.]+ % since the start",
        r"connections: 0",
        rf"ports: +tcp:0\.0\.0\.0:{port} .*udp:",
        r"runs on: +(uvloop|asyncio), Python 3\.\d+\.\d+, tapkit ",
        rf"Services:\n  Application '{name}' runs\n    MultiService runs",
        rf"      TCPServer runs on tcp:0\.0\.0\.0:{port} .*with 0 connections",
        r"      UDPServer runs on udp:",
    ):
        assert re.search(line, shown.stdout), f"{line} is not in {shown.stdout}"


def test_the_keys_are_those_documented(quotes: Place) -> None:
    """Every key of the JSON is described beside the command, and no other."""
    from tapkit.scripts import ctl_status

    source = Path(ctl_status.__file__).read_text()
    comment = source.partition("# The JSON is one object.")[2].partition("PROGRAM")[0]
    documented = set(re.findall(r"\w+", comment))
    found = told(quotes)
    assert set(found) <= documented
    assert set(found["services"][0]) <= documented
    assert found["pid"] == quotes.pid()
    assert found["memory"] > 1_000_000
    assert found["uptime"] >= 0
    assert abs(found["started"] + found["uptime"] - time.time()) < PATIENCE
    assert found["log_failures"] == {"count": 0, "reason": None}
    server = found["services"][2]
    assert server["path"] == "application.services[0].services[0]"
    assert (server["class"], server["depth"]) == ("tapkit.internet.TCPServer", 2)


@pytest.mark.parametrize("where", [".", "twistd.pid", "NAME", "NAME.tap", "../place"])
def test_where(quotes: Place, where: str) -> None:
    """By pidfile, directory, application, image: the same daemon."""
    assert told(quotes, where.replace("NAME", name_in(quotes)))["pid"] == quotes.pid()


def test_stopped(place: Place) -> None:
    """Status 3, in words and as JSON; a pidfile that nobody holds changes nothing."""
    shown = place.run("tapctl", "status")
    assert (shown.returncode, shown.stderr) == (3, "")
    pidfile = place.path / "twistd.pid"
    assert shown.stdout.startswith(f"stopped: no daemon runs: {pidfile}: ")
    pidfile.write_text(f"{os.getpid()}\n")
    shown = place.run("tapctl", "status", "--json", "twistd.pid")
    assert shown.returncode == 3
    found = json.loads(shown.stdout)
    assert (found["state"], found["pidfile"]) == ("stopped", str(pidfile))
    assert pidfile.exists()


def test_an_unknown_name(quotes: Place) -> None:
    """Also stopped, as far as anybody knows; a name that is close is suggested."""
    shown = quotes.run("tapctl", "status", name_in(quotes) + "z")
    assert shown.returncode == 3
    assert f"no daemon runs that is called so; did you mean {name_in(quotes)}?" in shown.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "a daemon is starting"), ("1\n", "the daemon (PID 1) has no control socket")],
)
def test_unknown(place: Place, content: str, said: str) -> None:
    """A pidfile that is held by what can't be asked: status 4, and why."""
    pidfile = place.path / "twistd.pid"
    with pidfile.open("w") as file:
        file.write(content)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        shown = place.run("tapctl", "status")
        as_json = place.run("tapctl", "status", "--json")
    assert (shown.returncode, shown.stdout) == (4, "")
    assert shown.stderr.startswith(f"tapctl status: {said}")
    assert as_json.returncode == 4
    assert json.loads(as_json.stdout)["state"] == "unknown"


def test_mistyped(place: Place) -> None:
    """Status 2, told apart from all of these."""
    shown = place.run("tapctl", "status", "--jsn")
    assert shown.returncode == 2
    assert "did you mean --json" in shown.stderr
    assert place.run("tapctl", "status", "--help").returncode == 0


HELD = """
from tapkit import internet, protocol, usage

class Options(usage.Options):
    pass

def makeService(config):
    return internet.TCPServer(0, Factory(), interface="127.0.0.1")

class Factory(protocol.ServerFactory):
    protocol = protocol.Protocol
"""


def test_open_connections(place: Place) -> None:
    """They are counted as they come and go."""
    add_tap(place, "held", HELD)
    place.mktap("held")
    assert place.twistd("-f", "held.tap").returncode == 0
    port = place.port()
    held = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(5)]
    try:
        wait_for("5 connections", lambda: told(place)["connections"] == 5)
        assert [row["connections"] for row in told(place)["services"]] == [None, 5]
    finally:
        for connection in held:
            connection.close()
    wait_for("no connection", lambda: told(place)["connections"] == 0)


@pytest.mark.slow
def test_a_failed_save_is_loud(place: Place) -> None:
    """The last save tells that it failed, and why, until one succeeds."""
    with_folder = place.path / "run"
    with_folder.mkdir()
    place.make("qotd", "--port", "0")
    assert place.twistd("-d", "run", "-f", "qotd.tap").returncode == 0
    blocked = with_folder / "qotd-snapshot.tap"
    blocked.mkdir()
    (blocked / "x").touch()
    failed = place.run("tapctl", "snapshot", "run")
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert re.search(r"last save: +FAILED at ", place.run("tapctl", "status", "run").stdout)
    assert ask(place.port("run/twistd.log"))  # it goes on
    (blocked / "x").unlink()
    blocked.rmdir()
    assert place.run("tapctl", "snapshot", "run").returncode == 0
    last = told(place, "run")["last_save"]
    assert (last["generation"], last["error"], last["path"]) == (1, None, str(blocked))


@pytest.mark.slow
def test_names_play_no_tricks(place: Place) -> None:
    """A name of a service with control characters comes out escaped."""
    place.mktap("-t", "xml", "qotd", "--port", "0")
    path = place.path / "qotd.tax"
    text = path.read_text()
    assert "<name>qotd</name>" in text
    path.write_text(text.replace("<port ", "<name>a&#9;b</name>\n<port ", 1))
    assert place.twistd("-f", "qotd.tax").returncode == 0
    shown = place.run("tapctl", "status").stdout
    assert r"'a\\tb'" in shown or r"'a\tb'" in shown
    assert all(line.isprintable() for line in shown.splitlines())


@pytest.mark.slow
def test_workers(place: Place) -> None:
    """Each with its number, its process, its age; what they count the report does not make up."""
    place.make("qotd", "--port", "0")
    done = place.twistd("--workers", "2", "-f", "qotd.tap")
    assert (done.returncode, done.stderr) == (0, "")
    wait_for("both", lambda: [row["state"] for row in told(place)["workers"]] == ["running"] * 2)
    shown = place.run("tapctl", "status").stdout
    assert re.search(r"Workers:\n  1: running, PID \d+, for \d+ s, restarted 0 times\n  2: ", shown)
    assert "connections: not counted: the workers have them" in shown
    assert "does not run" not in shown
    assert place.run("tapctl", "stop").returncode == 0
    assert place.processes() == []
