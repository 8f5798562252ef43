"""Snapshots of real daemons: taken while they serve, on both loops, and what they leave alone."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from tests.faults import ledger
from tests.place import PATIENCE, ROOT, Place, has_ended, wait_for

LOOPS = ["asyncio", "uvloop"]


class Talk:
    """A connection to the ledger."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.file = self.socket.makefile("rb")

    def ask(self, line: str) -> str:
        self.socket.sendall(line.encode() + b"\n")
        return self.file.readline().decode().strip()

    def entries(self) -> list[int]:
        return [int(word) for word in self.ask("list").split()]

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@contextmanager
def running(place: Place, *arguments: str, form: str = "pickle", **state: object) -> Iterator[Talk]:
    """A daemon with the ledger (not journaled unless asked for), and a connection to it."""
    name = ledger.write(place.path, form, **{"journaled": False, **state})
    with resumed(place, "-f", name, *arguments) as talk:
        yield talk


@contextmanager
def resumed(place: Place, *arguments: str) -> Iterator[Talk]:
    (place.path / "twistd.log").unlink(missing_ok=True)
    done = place.twistd(*arguments)
    assert done.returncode == 0, done.stderr
    talk = Talk(place.port())
    try:
        yield talk
    finally:
        talk.close()


def snapshot(place: Place, count: int = 1) -> None:
    """Ask for a snapshot with a signal, and wait until the log says that it is saved."""
    os.kill(place.pid(), signal.SIGUSR2)

    def is_saved() -> bool:
        log = place.log()
        assert "the state was not saved" not in log.rpartition("stood still")[2], log
        return log.count("stood still") >= count

    wait_for("a snapshot", is_saved)


def child_of(place: Place) -> psutil.Process:
    """Ask for a snapshot, and hold its child in the middle of it, when it has let go of all."""
    (place.path / "hold").touch()
    os.kill(place.pid(), signal.SIGUSR2)
    daemon = psutil.Process(place.pid())
    child = wait_for("a child", daemon.children)[0]
    wait_for("it to let go", lambda: not [f for f in open_files(child) if "socket" in f])
    return child


def open_files(process: psutil.Process) -> set[str]:
    folder = f"/proc/{process.pid}/fd"
    found = set()
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(f"{folder}/{name}"))
    return found


def release(place: Place) -> None:
    (place.path / "hold").unlink()


@pytest.mark.parametrize("reactor", LOOPS)
def test_a_snapshot_while_it_serves(place: Place, reactor: str) -> None:
    """USR2: the state is on the disk, the connection goes on, and kill -9 loses nothing of it."""
    with running(place, "-r", reactor) as talk:
        assert talk.ask("plain 1") == "ok 1"
        snapshot(place)
        assert talk.ask("plain 2") == "ok 2"
        assert talk.entries() == [1, 2]
        assert psutil.Process(place.pid()).children() == []
        place.kill(signal=signal.SIGKILL)
    assert ledger.entries_of(place.path / "ledger-snapshot.tap") == [1]
    assert (place.path / "ledger-snapshot.tap").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "form", ["pickle", *(pytest.param(form, marks=pytest.mark.slow) for form in ("xml", "source"))]
)
def test_resume(place: Place, form: str) -> None:
    """--resume starts from the newest of image, stop and snapshot, in its form, and says which."""
    with running(place, form=form) as talk:
        talk.ask("plain 1")
        snapshot(place)
        place.kill(signal=signal.SIGKILL)
    newest = ledger.make(form).file_name("snapshot")
    (place.path / "twistd.log").unlink()
    done = place.twistd("--resume", "-f", ledger.make(form).file_name())
    assert done.returncode == 0
    assert f"twistd: resuming from {newest}, saved 2" in done.stderr
    assert f"resuming from {newest}, saved 2" in place.log()
    talk = Talk(place.port())
    assert talk.entries() == [1]
    talk.ask("plain 2")
    talk.close()
    place.kill()
    done = place.twistd("--resume", "-f", ledger.make(form).file_name())
    assert f"twistd: resuming from {ledger.make(form).file_name('shutdown')}, " in done.stderr
    place.kill()


@pytest.mark.slow
def test_the_image_itself_may_be_the_newest(place: Place) -> None:
    """Nothing saved yet, or a newer image made: --resume starts from that."""
    with running(place, "--resume") as talk:
        talk.ask("plain 1")
        place.kill()
    saved = place.path / "ledger-shutdown.tap"
    os.utime(saved, (1, 1))
    time.sleep(1.1 - time.time() % 1)  # the header counts in seconds
    ledger.write(place.path, journaled=False, entries=[7])
    with resumed(place, "--resume", "-f", "ledger.tap") as talk:
        assert talk.entries() == [7]
        place.kill()


def test_a_torn_newest_generation_is_skipped(place: Place) -> None:
    """The one before it is taken, and both the command and the log say so."""
    with running(place) as talk:
        for number in (1, 2):
            talk.ask(f"plain {number}")
            snapshot(place, number)
        place.kill(signal=signal.SIGKILL)
    torn = place.path / "ledger-snapshot.tap"
    torn.write_bytes(torn.read_bytes()[:-5])
    (place.path / "twistd.log").unlink()
    done = place.twistd("--resume", "-f", "ledger.tap")
    assert done.returncode == 0
    first, second, third = done.stderr.splitlines()
    assert first.startswith("twistd: warning: replaced a stale pidfile")
    assert second.startswith("twistd: skipped, it is damaged: the image is truncated")
    assert "ledger-snapshot.tap" in second
    assert third.startswith("twistd: resuming from ledger-snapshot.tap.1, saved ")
    assert "skipped, it is damaged" in place.log()
    talk = Talk(place.port())
    assert talk.entries() == [1]
    talk.close()
    place.kill()


def test_generations(place: Place) -> None:
    """--keep says how many files there are of each kind, the newest among them."""
    with running(place, "--keep", "2") as talk:
        for number in (1, 2, 3):
            talk.ask(f"plain {number}")
            snapshot(place, number)
        place.kill()
    saved = [name for name in place.file_names() if "snapshot" in name]
    assert saved == ["ledger-snapshot.tap", "ledger-snapshot.tap.1"]
    assert [len(ledger.entries_of(place.path / name)) for name in saved] == [3, 2]


@pytest.mark.slow
def test_every_so_often(place: Place) -> None:
    """--save-every takes snapshots by itself, and the log says so at the start."""
    with running(place, "--save-every", "1") as talk:
        assert "and every 1 s as ledger-snapshot.tap" in place.log()
        talk.ask("plain 1")
        wait_for("two snapshots", lambda: place.log().count("stood still") >= 2)
        place.kill()
    assert ledger.entries_of(place.path / "ledger-snapshot.tap") == [1]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="prlimit is Linux's")
def test_every_so_often_goes_on_after_a_failure(place: Place) -> None:
    """No file descriptor is left for one: it is told, and the next one is taken."""
    with running(place, "--save-every", "1"):
        limits = resource.prlimit(place.pid(), resource.RLIMIT_NOFILE)
        resource.prlimit(place.pid(), resource.RLIMIT_NOFILE, (4, limits[1]))
        wait_for("a failure", lambda: "the state was not saved (every 1 s" in place.log())
        resource.prlimit(place.pid(), resource.RLIMIT_NOFILE, limits)
        wait_for("the next", lambda: "stood still" in place.log())
        place.kill()
    assert "Too many open files" in place.log()


def test_requests_meanwhile_are_one(place: Place) -> None:
    """Asked for ten times while one is under way: one more is made, after the last of them."""
    with running(place) as talk:
        child_of(place)
        for number in range(10):
            talk.ask(f"plain {number}")
            os.kill(place.pid(), signal.SIGUSR2)
        talk.ask("list")
        release(place)
        wait_for("both", lambda: place.log().count("stood still") == 2)
        assert ledger.entries_of(place.path / "ledger-snapshot.tap.1") == []
        assert ledger.entries_of(place.path / "ledger-snapshot.tap") == list(range(10))
        talk.ask("list")
        place.kill()
    assert place.log().count("stood still") == 3  # and the stop's


def test_nothing_of_the_parents_is_held(place: Place) -> None:
    """The child has no socket, no epoll, no pidfile: a connection ends when the parent says so.

    And it leaves when the parent dies: an orphan must not save."""
    with running(place) as talk:
        talk.ask("plain 1")
        child = child_of(place)
        held = open_files(child)
        assert not [f for f in held if "eventpoll" in f or "twistd.pid" in f], held
        psutil.Process(place.pid()).kill()
        assert talk.file.readline() == b""
        wait_for("the orphan to leave", lambda: has_ended(child))
    release(place)
    assert not (place.path / "ledger-snapshot.tap").exists()


def test_what_a_crash_left_is_swept_up(place: Place) -> None:
    """Temporary files of saves that were cut short go at the next start; nobody else's do."""
    left = [f".ledger-{kind}.0123456789abcdef.tmp" for kind in ("snapshot.tap", "shutdown.tap.1")]
    others = [".ledger.tap.0123456789abcdef.tmp", ".ledger2-snapshot.tap.0123456789abcdef.tmp"]
    for name in (*left, *others):
        (place.path / name).touch()
    with running(place):
        assert [name for name in place.file_names() if name.endswith(".tmp")] == others
        place.kill()


def test_a_stop_gives_a_snapshot_up(place: Place) -> None:
    """TERM during a snapshot: the child is killed, the stop saves, nothing else is left."""
    with running(place):
        child = child_of(place)
        child.suspend()  # it would never be done
        release(place)
        place.kill()
        assert has_ended(child)
    assert "given up: the daemon stops" in place.log()
    assert place.file_names() == ["ledger-shutdown.tap", "ledger.tap", "twistd.log"]


def test_a_child_that_is_killed(place: Place) -> None:
    """It is said loudly, the old snapshot stays, no temporary is left, the service goes on."""
    with running(place) as talk:
        snapshot(place)
        before = (place.path / "ledger-snapshot.tap").read_bytes()
        child_of(place).kill()
        wait_for("the failure", lambda: "the child died (killed by SIGKILL)" in place.log())
        release(place)
        assert "ERROR: the state was not saved (SIGUSR2)" in place.log()
        (place.path / "twistd.log").write_text("")
        assert talk.ask("plain 1") == "ok 1"
        assert (place.path / "ledger-snapshot.tap").read_bytes() == before
        assert [name for name in place.file_names() if name.endswith(".tmp")] == []
        snapshot(place)
        place.kill()


def test_signals_to_the_child_are_not_heard(place: Place) -> None:
    """What a terminal sends to all its processes, or a slip, does not end a snapshot."""
    with running(place):
        child = child_of(place)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            child.send_signal(number)
        release(place)
        wait_for("the snapshot", lambda: "stood still" in place.log())
        place.kill()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--save-every", "0", "-f", "x.tap"], "'0' is not a number of seconds, 1 or more"),
        (["--save-every", "soon", "-f", "x.tap"], "'soon' is not a number of seconds"),
        (["--keep", "0", "-f", "x.tap"], "'0' is not a number of files, 1 to 1000"),
        (["-o", "--save-every", "9", "-f", "x.tap"], "--save-every and --no_save contradict"),
        (["--resume", "-y", "x.tac"], "a script has no saved state: --resume"),
        (["--save-every", "9", "qotd"], "a TAP builder has no saved state: --save-every"),
    ],
)
def test_mistyped(place: Place, arguments: list[str], said: str) -> None:
    """Status 2, one line, and nothing is started."""
    done = place.twistd(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert place.file_names() == []


def test_not_saved_at_all(place: Place) -> None:
    """With --no_save a request for a snapshot is refused in the log, and the service goes on."""
    with running(place, "--no_save") as talk:
        os.kill(place.pid(), signal.SIGUSR2)
        wait_for("the refusal", lambda: "no snapshot is taken (SIGUSR2): --no_save" in place.log())
        assert talk.ask("plain 1") == "ok 1"
        place.kill()
    assert place.file_names() == ["ledger.tap", "twistd.log"]


def test_a_state_that_can_not_be_saved(place: Place) -> None:
    """Found while it runs: the path is logged, the old files stay, the service goes on."""
    with running(place) as talk:
        snapshot(place)
        talk.ask("poison")
        os.kill(place.pid(), signal.SIGUSR2)
        wait_for("the failure", lambda: "ERROR: the state was not saved" in place.log())
        assert "application.services[0].lock" in place.log()
        assert talk.ask("plain 1") == "ok 1"
        place.kill(signal=signal.SIGKILL)
    assert ledger.entries_of(place.path / "ledger-snapshot.tap") == []


@pytest.mark.slow
@pytest.mark.parametrize("reactor", LOOPS)
def test_the_loop_hardly_stands_still(place: Place, reactor: str) -> None:
    """Of what a save in the loop takes, under load, a fork stops it for a fraction."""
    script = str(ROOT / "benchmarks" / "snapshot_sample.py")
    done = subprocess.run(
        [sys.executable, script, reactor, "200000", str(place.path)],
        env=place.env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    # 1/20 is the promise on a machine that does nothing else; `benchmarks/run.py snapshot`.
    assert told["fork gap"] < told["loop gap"] / 4, told
