"""Saves on disks that fail, and processes that die; `python -m tests.faults` has it at length."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults import injecting, ledger, powerloss
from tests.place import Place, has_ended, wait_for
from tests.test_snapshot import LOOPS, Talk, resumed, running, snapshot

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


@pytest.mark.slow
@needs_strace
@pytest.mark.parametrize("mode", injecting.MODES)
def test_a_fault_at_every_system_call(tmp_path: Path, mode: str) -> None:
    """Killed, EIO, ENOSPC, wherever: one whole image, and nothing acknowledged is lost."""
    for line in injecting.campaign(tmp_path, [mode], every=5 if mode == "child" else 40):
        assert " 0 of them" not in line


@pytest.mark.slow
@needs_strace
@pytest.mark.parametrize("mode", ["loop", "fork"])
def test_every_state_after_a_loss_of_power(tmp_path: Path, mode: str) -> None:
    """Whatever of the unsynced calls the disk has: one whole image, nothing acknowledged lost."""
    told = powerloss.campaign(tmp_path, mode)
    assert int(told.split()[-2]) > 50, told


@pytest.mark.slow
@needs_strace
@pytest.mark.parametrize("mode", ["loop", "fork"])
def test_the_power_loss_test_finds_what_it_looks_for(tmp_path: Path, mode: str) -> None:
    """The same life without its fsyncs does not pass."""
    with pytest.raises(AssertionError, match="state"):
        powerloss.campaign(tmp_path, mode, ignored=b"fsync")


@pytest.mark.slow
@needs_strace
@pytest.mark.parametrize("reactor", LOOPS)
def test_no_memory_for_a_fork(place: Place, reactor: str) -> None:
    """The snapshot is taken in the loop, and the log says so and why."""
    with running(place, "-r", reactor) as talk:
        talk.ask("plain 1")
        inject = "inject=clone,clone3,fork,vfork:error=ENOMEM"
        # Threads that begin later fail as well, so the one that looks at the memory begins now.
        snapshot(place)
        with injecting.tracing(
            place.pid(), ["-e", "trace=clone,clone3,fork,vfork", "-e", inject, "-o", os.devnull]
        ):
            talk.ask("plain 2")
            snapshot(place, 2)
            place.kill(signal=signal.SIGKILL)
    assert "taken in the event loop, which stands still: it can't be forked" in place.log()
    assert ledger.entries_of(place.path / "ledger-snapshot.tap") == [1, 2]


def test_a_file_size_limit(place: Place) -> None:
    """`ulimit -f`: the save fails, loudly; the old snapshot stays, the service goes on."""
    with running(place) as talk:
        snapshot(place)
        whole = (place.path / "ledger-snapshot.tap").read_bytes()
        limit = 100_000
        resource.prlimit(place.pid(), resource.RLIMIT_FSIZE, (limit, limit))
        talk.ask("grow 50000")
        os.kill(place.pid(), signal.SIGUSR2)
        wait_for("the failure", lambda: "ERROR: the state was not saved" in place.log())
        assert "File too large" in place.log()
        assert talk.ask("plain 1") == "ok 1"
        assert (place.path / "ledger-snapshot.tap").read_bytes() == whole
        assert [name for name in place.file_names() if name.endswith(".tmp")] == []
        place.kill()


@pytest.fixture
def small_disk(place: Place) -> Iterator[Path]:
    """A file system of one MiB in the place."""
    folder = place.path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("needs root, and the right to mount")
    try:
        yield folder
    finally:
        place.reap()
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(place: Place, small_disk: Path) -> None:
    """Snapshot and journal fail loudly and lose nothing; with space again a snapshot mends both."""
    ledger.write(small_disk)
    log = str(place.path / "twistd.log")
    with resumed(place, "-d", str(small_disk), "-l", log, "-f", f"{small_disk}/ledger.tap") as talk:
        pid = int((small_disk / "twistd.pid").read_text())
        assert talk.ask("add 1") == "ok 1"
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", 0) as file:
            while True:
                file.write(bytes(4096))
        acked = [1]
        for number in range(2, 500):  # until the last page of the journal is full
            if talk.ask(f"add {number}") != f"ok {number}":
                break
            acked.append(number)
        else:
            pytest.fail("the disk is not full")
        assert "commands are refused until a snapshot succeeds" in place.log()
        wait_for("the attempt to mend it", lambda: "ERROR: the state was not saved" in place.log())
        assert "No space left on device" in place.log()
        assert "a snapshot mends it" in talk.ask("add 1000")
        assert talk.entries()[: len(acked)] == acked
        filler.unlink()
        os.kill(pid, signal.SIGUSR2)
        wait_for("the snapshot", lambda: "stood still" in place.log())
        wait_for("the journal", lambda: talk.ask("add 2000") == "ok 2000")
        expected = talk.entries()
        assert [n for n in os.listdir(small_disk) if n.endswith(".tmp")] == []
        kill(pid)
    with resumed(
        place, "--resume", "-d", str(small_disk), "-l", log, "-f", f"{small_disk}/ledger.tap"
    ) as talk:
        assert talk.entries() == expected
        assert set(acked) <= set(expected)


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    wait_for("it to end", lambda: has_ended(process))


def test_a_newest_one_that_others_may_write(place: Place) -> None:
    """That is no accident of a crash: it is refused, not passed over for an older state."""
    with running(place) as talk:
        talk.ask("plain 1")
        snapshot(place)
        place.kill(signal=signal.SIGKILL)
    (place.path / "ledger-snapshot.tap").chmod(0o666)
    done = place.twistd("--resume", "-f", "ledger.tap")
    assert done.returncode == 1
    assert "others may write to the image (mode 0666)" in done.stderr
    assert place.processes() == []


@pytest.mark.parametrize("reactor", [pytest.param("asyncio", marks=pytest.mark.slow), "uvloop"])
def test_kill_9_under_load(place: Place, reactor: str) -> None:
    """Everything acknowledged before a kill -9 is there after it, snapshots or not; 3 times."""
    ledger.write(place.path)
    acked: set[int] = set()
    for life in range(3):
        with resumed(place, "--resume", "-r", reactor, "-f", "ledger.tap") as talk:
            assert acked <= set(talk.entries())
            numbers = range(life * 1000, life * 1000 + 300)
            talk.socket.sendall(b"".join(b"add %d\n" % number for number in numbers))
            process = psutil.Process(place.pid())
            for count, line in enumerate(talk.file):
                assert line.startswith(b"ok "), line
                acked.add(int(line[3:]))
                if count == 50 + 50 * life:
                    process.send_signal(signal.SIGUSR2)
                if count == 100 + 60 * life:
                    process.kill()
            wait_for("it to end", lambda: has_ended(process))  # noqa: B023
    with resumed(place, "--resume", "-f", "ledger.tap") as talk:
        assert acked <= set(talk.entries())
        place.kill()
    assert acked <= set(ledger.entries_of(place.path / "ledger-shutdown.tap"))


def test_a_start_from_too_old_an_image(place: Place) -> None:
    """Without --resume the state between would be lost unnoticed: refused, with the way out."""
    ledger.write(place.path)
    with resumed(place, "-f", "ledger.tap") as talk:
        for number in range(3):
            talk.ask(f"add {number}")
            snapshot(place, number + 1)
        place.kill()
    done = place.twistd("-f", "ledger.tap")
    assert done.returncode == 1
    assert "start from that, with --resume" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "twistd.pid" not in place.file_names()
    with resumed(place, "--resume", "-f", "ledger.tap") as talk:
        assert talk.entries() == [0, 1, 2]
        place.kill()


@pytest.mark.slow
def test_a_rotten_newest_snapshot(place: Place) -> None:
    """The journal reaches back to the generation before it: nothing acknowledged is lost."""
    ledger.write(place.path)
    with resumed(place, "-f", "ledger.tap") as talk:
        for number in range(3):
            talk.ask(f"add {number}")
            snapshot(place, number + 1)
        talk.ask("add 3")
        place.kill(signal=signal.SIGKILL)
    rotten = place.path / "ledger-snapshot.tap"
    rotten.write_bytes(rotten.read_bytes().replace(b"tapkit", b"tapkot"))
    with resumed(place, "--resume", "-f", "ledger.tap") as talk:
        assert "skipped, it is damaged" in place.log()
        assert talk.entries() == [0, 1, 2, 3]
        place.kill()


def test_a_journal_that_is_not_written(place: Place) -> None:
    """--no_save: the commands run, and the log warns that they are not journaled."""
    ledger.write(place.path)
    with resumed(place, "-o", "-f", "ledger.tap") as talk:
        assert talk.ask("add 1") == "ok 1"
        assert "WARNING: commands are not journaled" in place.log()
        place.kill()
    assert place.file_names() == ["ledger.tap", "twistd.log"]


@pytest.mark.slow
def test_a_hot_restart_hands_the_journal_on(place: Place) -> None:
    """The successor writes it on: kill -9 of that loses nothing that either acknowledged."""
    ledger.write(place.path)
    with resumed(place, "-f", "ledger.tap") as talk:
        assert talk.ask("add 1") == "ok 1"
        talk.close()
        old = place.pid()
        os.kill(old, signal.SIGHUP)
        wait_for("a successor", lambda: "has taken over" in place.log() and place.pid() != old)
    later = Talk(place.port())
    assert later.ask("add 2") == "ok 2"
    later.close()
    place.kill(signal=signal.SIGKILL)
    with resumed(place, "--resume", "-f", "ledger.tap") as talk:
        assert talk.entries() == [1, 2]
        place.kill()
