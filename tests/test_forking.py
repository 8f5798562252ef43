"""Work in a forked child: what it gives back, how it fails, and what of the parent it leaves."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tapkit.errors import DaemonError, ImageError
from tapkit.run import reactors
from tapkit.run.saving import forking, memory
from tests.place import PATIENCE, ROOT, has_ended
from tests.test_snapshot import LOOPS


def run(work: Callable[[], Any], limit: float = PATIENCE) -> forking.Done:
    return asyncio.run(forking.in_child(work, limit))


@pytest.mark.parametrize("reactor", LOOPS)
def test_what_it_returns(reactor: str) -> None:
    """Plain data comes back, with the time the loop stood still; the parent has no child left."""
    loop = reactors.new_loop(reactor)
    try:
        done = loop.run_until_complete(forking.in_child(lambda: [os.getpid(), "\ud800"], 9))
    finally:
        loop.close()
    pid, text = done.result
    assert pid != os.getpid()
    assert text == "\ud800"
    assert 0 < done.pause < PATIENCE
    assert not psutil.pid_exists(pid)


def fail_as_ours() -> None:
    raise ImageError("no", "x.tap", "try again")


def fail() -> None:
    raise ValueError("no")


def exit_early() -> None:
    os._exit(7)


@pytest.mark.parametrize(
    ("work", "kind", "said"),
    [
        (fail_as_ours, ImageError, r"^no: x\.tap: try again$"),
        (fail, DaemonError, r"^the child failed \(ValueError: no\)$"),
        (exit_early, DaemonError, r"^the child died \(exit status 7\)$"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), DaemonError, "killed by SIGKILL"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), DaemonError, "killed by SIGTERM"),
        (lambda: object(), DaemonError, "the child died"),
        (sys.exit, DaemonError, "SystemExit"),
    ],
)
def test_how_it_fails(work: Callable[[], Any], kind: type[Exception], said: str) -> None:
    """An error of ours is the same error; all else says what it was."""
    with pytest.raises(kind, match=said):
        run(work)


def test_a_child_that_hangs() -> None:
    """It is killed when its time is over."""
    began = time.monotonic()
    with pytest.raises(DaemonError, match=r"hung, and was killed after 0\.2 seconds"):
        run(lambda: time.sleep(1000), 0.2)
    assert time.monotonic() - began < PATIENCE
    assert [child for child in psutil.Process().children() if not has_ended(child)] == []


def test_a_caller_that_is_cancelled() -> None:
    """The child is killed with it."""

    async def main() -> None:
        task = asyncio.ensure_future(forking.in_child(lambda: time.sleep(1000), 1000))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [child for child in psutil.Process().children() if not has_ended(child)] == []


def test_the_loop_turns_meanwhile() -> None:
    """Callbacks run while the child works."""
    turned: list[int] = []

    async def main() -> None:
        working = asyncio.ensure_future(forking.in_child(lambda: time.sleep(0.3), PATIENCE))
        while not working.done():
            turned.append(1)
            await asyncio.sleep(0.01)

    asyncio.run(main())
    assert len(turned) > 3


def test_signals_in_the_child() -> None:
    """Handlers, the wakeup pipe and the mask are not the parent's; SIGPIPE stays an error."""

    def work() -> list[Any]:
        names = (signal.SIGTERM, signal.SIGUSR2, signal.SIGPIPE, signal.SIGXFSZ)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        return [signal.set_wakeup_fd(-1), len(blocked), *(int(signal.getsignal(n)) for n in names)]

    async def main() -> list[Any]:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, fail)
        done = await forking.in_child(work, PATIENCE)
        asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR2)
        return list(done.result)

    wakeup, blocked, term, usr2, pipe, xfsz = asyncio.run(main())
    assert (wakeup, blocked) == (-1, 0)
    assert term == int(signal.SIG_DFL)
    assert usr2 == pipe == xfsz == int(signal.SIG_IGN)


def test_files_in_the_child() -> None:
    """Sockets are not the child's any more, and their numbers are not given to others."""
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def work() -> list[Any]:
            opened = os.open(os.devnull, os.O_RDONLY)
            links = [os.readlink(f"/proc/self/fd/{fd}") for fd in (ours.fileno(), theirs.fileno())]
            return [opened in (ours.fileno(), theirs.fileno()), links]

        taken, links = run(work).result
        assert taken is False
        assert links == [os.devnull, os.devnull]
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"


def test_locks_in_the_child() -> None:
    """A log handler's lock that a thread holds at that moment does not stop the child."""

    class Locked(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with lock:
                pass

    lock = threading.Lock()
    log, handler = logging.getLogger("tests.forking"), Locked()
    log.addHandler(handler)
    try:
        with lock:
            assert run(lambda: log.error("not heard") or "done").result == "done"
    finally:
        log.removeHandler(handler)


def test_the_collector() -> None:
    """Off in the child; the parent's leaves old objects alone, and afterwards is as before."""
    frozen: list[int] = []

    async def main() -> Any:
        return await forking.in_child(
            gc.isenabled, PATIENCE, lambda: frozen.append(gc.get_freeze_count())
        )

    assert asyncio.run(main()).result is False
    assert frozen[0] > forking._INTERPRETERS > gc.get_freeze_count()
    assert gc.isenabled()


def test_somebody_elses_freeze_stays() -> None:
    """Workers that share memory froze it themselves."""
    gc.freeze()
    try:
        run(lambda: None)
        assert gc.get_freeze_count() > forking._INTERPRETERS
    finally:
        gc.unfreeze()


FEW_FILES = """
import asyncio, os, resource
from tapkit.run.saving import forking
async def main():
    soft = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))
    held = []
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        pass
    try:
        await forking.in_child(lambda: None, 9)
    except OSError as error:
        print(error.strerror)
asyncio.run(main())
"""


def test_no_file_descriptors() -> None:
    """With none left it is an error, and not a child that nobody watches."""
    done = subprocess.run(
        [sys.executable, "-c", FEW_FILES], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("Too many open files\n", "")


def test_short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less available than the process has: not tried, and told in MiB."""
    assert forking.memory_is_short() is None
    size = psutil.Process().memory_info().rss
    monkeypatch.setattr(memory, "available", lambda: size // 2)
    said = forking.memory_is_short()
    assert said is not None
    assert f"{(size // 2) >> 20} MiB of memory are available" in said


def test_memory_is_what_psutil_says() -> None:
    """In bytes, about: both change while one looks."""
    assert memory.resident() == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    assert memory.available() == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_memory_of_which_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chroot without /proc: the fork is tried."""
    for name in ("resident", "available"):
        with monkeypatch.context() as patch:
            patch.setattr(memory, name, lambda: None)
            assert forking.memory_is_short() is None


def test_a_file_size_limit_is_an_error(tmp_path: Any) -> None:
    """SIGXFSZ does not kill the child: what it writes fails, and it can say so."""

    def work() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        try:
            (tmp_path / "x").write_bytes(bytes(1000))
        except OSError as error:
            return str(error.strerror)
        return "written"

    assert run(work).result == "File too large"
