"""Work on the state as it is now, in a forked child, while the event loop goes on.

The child has a copy of all memory as it was between two callbacks. Nothing else of the process
is its own: the signals' wakeup pipe, the sockets, the epoll object, the locks of threads that do
not exist in it. So before it works it lets go of all that, and afterwards it leaves by `os._exit`:
no `finally` of the caller's, no atexit, no flushing of a buffer that the parent flushes too.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import select
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

from tapkit import errors
from tapkit.errors import DaemonError, TapkitError, describe
from tapkit.run.saving import memory

_FD_FOLDERS = ("/proc/self/fd", "/dev/fd")
# Python itself ignores these two: a closed pipe, a file over the limit are errors, no deaths.
_IGNORED = {signal.SIGPIPE, signal.SIGXFSZ} | {
    # Sent to all of a terminal's processes, or by mistake: the parent's business.
    *(signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
}
_NICENESS = 5
_INTERPRETERS = 1000
"""Python 3.12 freezes some 400 objects of its own; an application that does, all its modules'."""


class Done(NamedTuple):
    """What a child did.

    Attributes:
        result: what its work returned.
        pause: seconds that the event loop stood still for it.
    """

    result: Any
    pause: float


async def in_child(
    work: Callable[[], Any], limit: float, forked: Callable[[], None] = lambda: None
) -> Done:
    """What `work` returns, called in a forked child. If cancelled, the child is killed.

    Parameters:
        work: returns plain data, as msgpack holds it.
        limit: seconds; a child that is not done by then is killed.
        forked: called in the parent, before anything else happens, when the child has its copy.

    Raises:
        OSError: it can't be forked.
        TapkitError: as `work` raised it.
        DaemonError: the child died, hung, or raised something else.
    """
    with _few_changes():
        reading, writing = os.pipe()
        began = time.perf_counter()
        try:
            pid = _fork(work, writing)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        pause = time.perf_counter() - began
        try:
            forked()
            told = await asyncio.wait_for(_read_all(reading), limit)
        except asyncio.TimeoutError:
            raise DaemonError(f"the child hung, and was killed after {limit:g} seconds") from None
        finally:
            os.close(reading)
            status = _reap(pid)
    return Done(_understand(told, status), pause)


def memory_is_short() -> str | None:
    """Why a fork is not to be tried, or None. Pages that either process changes are copied: in
    the worst case, all."""
    # Imported here and not in the child, where it would take longer each time.
    import msgpack  # type: ignore[import-untyped,unused-ignore]  # noqa: F401

    needed, there = memory.resident(), memory.available()
    if needed is None or there is None or there >= needed:
        return None  # where nothing is known, a fork that is refused says so by itself
    return f"{there >> 20} MiB of memory are available, a child may need {needed >> 20}"


@contextlib.contextmanager
def _few_changes() -> Iterator[None]:
    """The parent's collector leaves alone what there is already: it writes into every object it
    looks at, and each page written to is a page copied. What is made meanwhile it collects."""
    if gc.get_freeze_count() > _INTERPRETERS:
        yield  # somebody else froze, and will not want it undone
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _fork(work: Callable[[], Any], writing: int) -> int:
    """The child's number; the child itself never returns."""
    # A signal that the child took, before its handlers are reset, would write into the parent's
    # wakeup pipe, and the parent would think it had got it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns of threads. Theirs are the locks that `_let_go` is careful about.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            _child(work, writing, mask)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


# -- in the child


def _child(work: Callable[[], Any], writing: int, mask: Iterable[int]) -> NoReturn:
    status = 1
    try:
        _let_go({0, 1, 2, writing}, mask)
        threading.Thread(target=_leave_with_parent, args=(writing,), daemon=True).start()
        import msgpack  # type: ignore[import-untyped,unused-ignore]

        try:
            told = ["done", work()]
        except TapkitError as error:
            told = ["error", type(error).__name__, error.what, error.where, error.remedy]
        except BaseException as error:
            told = ["fault", describe(error)]
        _write_all(writing, msgpack.packb(told, unicode_errors="surrogatepass"))
        status = 0
    finally:
        os._exit(status)


def _let_go(kept: set[int], mask: Iterable[int]) -> None:
    """Of all that is the parent's."""
    gc.disable()
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):  # KILL, STOP, and what libc keeps
            signal.signal(number, signal.SIG_IGN if number in _IGNORED else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _close_all_but(kept)
    # Python made logging's own locks anew; what a handler writes to may be locked all the same.
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)  # whom the service is for comes first


def _leave_with_parent(writing: int) -> None:
    """A thread: end this process when nobody holds the other end of its pipe any more.

    An orphan must not save: the parent's successor may already, to the same files.
    """
    watch = select.poll()
    watch.register(writing, 0)  # errors alone, and these are always told
    watch.poll()
    os._exit(1)


def _close_all_but(kept: set[int]) -> None:
    """Close the other file descriptors, by pointing each at nothing.

    The numbers stay taken: an object that still thinks one is its own, and closes it when it is
    deleted, must not close a file that this child has opened.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    folder = next((path for path in _FD_FOLDERS if os.path.isdir(path)), None)
    names = os.listdir(folder) if folder else map(str, range(os.sysconf("SC_OPEN_MAX")))
    for number in map(int, names):
        if number not in kept and number != nothing:
            try:
                os.fstat(number)  # dup2 would open a number that was not
                os.dup2(nothing, number, inheritable=False)
            except OSError:
                pass  # it was the one that listed the others
    os.close(nothing)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


# -- in the parent


async def _read_all(fd: int) -> bytes:
    """All that comes through a pipe until its other end is closed."""
    loop = asyncio.get_running_loop()
    os.set_blocking(fd, False)
    ended: asyncio.Future[None] = loop.create_future()
    parts: list[bytes] = []

    def readable() -> None:
        data = os.read(fd, 65536)
        if data:
            parts.append(data)
        elif not ended.done():
            ended.set_result(None)

    loop.add_reader(fd, readable)
    try:
        await ended
    finally:
        loop.remove_reader(fd)
    return b"".join(parts)


def _reap(pid: int) -> int | None:
    """How the child ended; it is killed if it has not. None: somebody else was told."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        return status
    except ChildProcessError:
        return None


def _understand(told: bytes, status: int | None) -> Any:
    import msgpack

    if not told:
        raise DaemonError(f"the child died ({_death(status)})")
    kind, *rest = msgpack.unpackb(told, unicode_errors="surrogatepass")
    if kind == "done":
        return rest[0]
    if kind == "fault":
        raise DaemonError(f"the child failed ({rest[0]})")
    name, what, where, remedy = rest
    raise getattr(errors, name, DaemonError)(what, where, remedy)


def _death(status: int | None) -> str:
    if status is None:
        return "its status was taken by somebody else"
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit status {os.WEXITSTATUS(status)}"
