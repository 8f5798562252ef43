"""tapctl list and top: every daemon there is, and how daemons are told from other processes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

import psutil
import pytest

from tapkit.errors import UsageError
from tapkit.run.control import finding as finding_daemons
from tapkit.scripts import daemons as shared
from tapkit.scripts.ctl_list import HEADING
from tapkit.scripts.ctl_top import Looks
from tests.nobody import as_nobody, needs_root
from tests.place import Place
from tests.running_daemon import name_in, running_qotd
from tests.terminal import in_terminal


@pytest.fixture(scope="module")
def quotes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running_qotd(tmp_path_factory.mktemp("list")) as place:
        yield place


def test_the_table(quotes: Place) -> None:
    """A line a daemon: name, number, state, uptime, connections, cost, pidfile."""
    shown = quotes.run("tapctl", "list")
    assert (shown.returncode, shown.stderr) == (0, "")
    heading, *lines = shown.stdout.splitlines()
    assert heading.split() == [word for cell in HEADING for word in cell.split()]
    (mine,) = [line for line in lines if name_in(quotes) in line]
    expected = rf"{name_in(quotes)} +{quotes.pid()} +running +\d+ .* 0 +[\d.]+ MB +[\d.]+ +"
    assert re.match(expected, mine)
    assert mine.endswith(f"{quotes.path}/twistd.pid")


def test_as_json(quotes: Place) -> None:
    """What status prints, of each."""
    rows = json.loads(quotes.run("tapctl", "list", "--json").stdout)
    (mine,) = [row for row in rows if row.get("pid") == quotes.pid()]
    status = json.loads(quotes.run("tapctl", "status", "--json").stdout)
    assert set(mine) == set(status)


def test_a_daemon_with_another_name_for_its_process(quotes: Place) -> None:
    """It is found by the pidfile it has open, whatever its process is called."""
    found = {one.pidfile for one in finding_daemons.daemons()}
    assert str(quotes.path / "twistd.pid") in found


def test_a_pidfile_open_elsewhere(quotes: Place) -> None:
    """Who only reads a pidfile adds no daemon, and hides none."""
    with (quotes.path / "twistd.pid").open():
        found = [one.pidfile for one in finding_daemons.daemons()]
    assert found.count(str(quotes.path / "twistd.pid")) == 1


@pytest.mark.slow
def test_several_in_a_directory(place: Place) -> None:
    """A directory means its only daemon; of several, one must be named."""
    place.make("qotd", "--port", "0")
    for name in ("a.pid", "b.pid"):
        assert place.twistd("--pidfile", name, "-f", "qotd.tap").returncode == 0
        if name == "a.pid":
            assert place.run("tapctl", "status", ".").returncode == 0
    shown = place.run("tapctl", "status", ".")
    assert shown.returncode == 2
    folder = place.path
    assert f"2 daemons may be meant: .: name one of {folder}/a.pid, {folder}/b.pid" in shown.stderr
    assert place.run("tapctl", "status", "b.pid").returncode == 0
    shown = place.run("tapctl", "stop", "qotd.tap")
    assert shown.returncode == 2
    assert "2 daemons may be meant: qotd.tap" in shown.stderr


def test_none(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """An empty list is no failure."""
    from tapkit.scripts import ctl_list

    monkeypatch.setattr(finding_daemons, "daemons", list)
    assert ctl_list.main({"--json": False}) == 0
    assert capsys.readouterr().out == "No daemons run.\n"
    assert ctl_list.main({"--json": True}) == 0
    assert capsys.readouterr().out == "[]\n"


def test_a_directory_that_can_not_be_read(place: Place) -> None:
    """Said in a line."""
    (place.path / "closed").mkdir(mode=0)
    shown = place.run_bound_by_modes("tapctl", "status", "closed")
    assert shown.returncode == 4
    assert "can't read the directory" in shown.stderr


def test_whose_number_it_is(quotes: Place) -> None:
    """A process is the daemon if it has the pidfile open, and not because a file says so."""
    pidfile = str(quotes.path / "twistd.pid")
    assert finding_daemons.holding(pidfile, quotes.pid())
    assert not finding_daemons.holding(pidfile, os.getpid())
    gone = max(psutil.pids()) + 100_000
    assert not finding_daemons.holding(pidfile, gone)


# -- top


def test_top_without_a_terminal(quotes: Place) -> None:
    """Once, as a table for a pipe."""
    shown = quotes.run("tapctl", "top")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert re.match(r"\d\d:\d\d:\d\d  \d+ daemons, \d+ connections\n\nNAME ", shown.stdout)
    assert name_in(quotes) in shown.stdout
    assert "\x1b" not in shown.stdout


def test_top_in_a_terminal(quotes: Place) -> None:
    """Again and again, on a screen of its own, until Ctrl-C, which is no failure."""
    command = quotes.command("tapctl", "top", "--every", "0.05")
    with in_terminal(command, quotes.path, quotes.env) as terminal:
        for _ in range(3):
            terminal.expect("PIDFILE")
            terminal.expect(name_in(quotes)[:6])
        terminal.type("\x03")
        assert terminal.end() == 0
    assert "Traceback" not in terminal.shown


def test_top_lately(quotes: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The share of the CPU is of the time between two looks; who costs most comes first."""
    spent = iter([1.0, 5.0, 1.5, 5.1])
    clock = iter([100.0, 100.0, 101.0, 101.0])
    status = {"name": "x", "state": "running", "uptime": 10, "connections": 1, "pidfile": "/p"}
    both = [
        finding_daemons.Found("/p", {**status, "pid": pid, "started": 0.0}) for pid in (1111, 2222)
    ]
    monkeypatch.setattr(finding_daemons, "daemons", lambda: both)
    monkeypatch.setattr(
        "tapkit.scripts.ctl_list.resources",
        lambda _: {"memory": None, "cpu_seconds": next(spent), "cpu_percent": 7.0},
    )
    monkeypatch.setattr("tapkit.scripts.ctl_top.time.monotonic", lambda: next(clock))
    looks = Looks()
    assert re.findall(r" (\d+\.\d) +/p", looks.text()) == ["7.0", "7.0"]
    second = looks.text()
    assert re.findall(r" (\d+\.\d) +/p", second) == ["50.0", "10.0"]
    assert second.index("1111") < second.index("2222")
    assert "2 daemons, 2 connections" in second


# -- how things are shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (125, "2 min 5 s"), (3600 * 26 + 61, "1 d 2 h")],
)
def test_durations(seconds: float, words: str) -> None:
    """Two units are enough."""
    assert shared.duration(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (26_000_000, "24.8 MB")],
)
def test_sizes(number: int | None, words: str) -> None:
    """What is not known is a dash."""
    assert shared.size(number) == words


def test_resources_of_nobody() -> None:
    """A process that is gone costs what nobody knows."""
    nothing = {"memory": None, "cpu_seconds": None, "cpu_percent": None}
    assert shared.resources({"pid": max(psutil.pids()) + 100_000, "uptime": 1}) == nothing
    assert shared.resources({}) == nothing


def test_seconds() -> None:
    """A limit is above nothing and below for ever."""
    assert shared.seconds_of("--timeout", "0.5") == 0.5
    with pytest.raises(UsageError):
        shared.seconds_of("--timeout", "-1")


@needs_root
@pytest.mark.slow
def test_only_ones_own(quotes: Place) -> None:
    """Another user sees none of root's daemons."""
    shown = as_nobody(quotes, "tapctl", "list")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert name_in(quotes) not in shown.stdout
