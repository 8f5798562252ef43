"""Something done first in a child that can do little harm: limits, no network, nothing written.

What holds, and how well:

- memory (RLIMIT_AS), CPU (RLIMIT_CPU), time by the clock, no core file, no file written
  (RLIMIT_FSIZE): the kernel's. macOS does not enforce RLIMIT_AS.
- no network: an empty network namespace, where the kernel permits one (root, or unprivileged
  user namespaces). Else, and besides, an audit hook (PEP 578) that refuses connections, look-ups
  of names, programs and changes of files. A hook stops Python code that does not mean to get
  around it; it is no sandbox (PEP 578 says so itself). `Tried.namespace` tells which it was.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from tapkit.errors import ImageError, TapkitError, describe

MIB = 1 << 20
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_EVENTS = (
    "socket.connect socket.bind socket.getaddrinfo socket.gethostbyname socket.gethostbyaddr"
    " socket.sendto socket.sendmsg subprocess.Popen os.system os.exec os.fork os.forkpty"
    " os.posix_spawn os.spawn os.startfile os.kill os.killpg os.remove os.rename os.rmdir"
    " os.mkdir os.link os.symlink os.truncate os.chmod os.chown pty.spawn webbrowser.open"
    " shutil.rmtree shutil.move shutil.copyfile signal.pthread_kill"
)
_REFUSED = frozenset(_EVENTS.split())


class Limits(NamedTuple):
    """What a trial may take: bytes of memory, seconds of CPU, seconds by the clock."""

    memory: int
    cpu: int
    clock: float


class Tried(NamedTuple):
    """A trial that went well: whether there was a network namespace."""

    namespace: bool


def limits_for(size: int) -> Limits:
    """Limits for an image of so many bytes; several times what an honest one takes."""
    cpu = 10 + 2 * size // MIB
    return Limits(512 * MIB + 80 * size, cpu, 30.0 + 4 * cpu)


def attempt(do: Callable[[], Any], limits: Limits, where: str) -> Tried:
    """Do something in a child, for what it raises. Its result is lost.

    Raises:
        TapkitError: what it raised; or an ImageError that says which limit it went beyond, what
            it tried, or how the child died.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        os.close(reading)
        _in_child(do, limits, writing)
    os.close(writing)
    try:
        told = _read(reading, limits.clock)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)  # at its end, already; or it is too late, or we are
        _, status = os.waitpid(child, 0)
        os.close(reading)
    return _understood(told, status, limits, where)


def _read(fd: int, seconds: float) -> bytes | None:
    deadline = time.monotonic() + seconds
    told = b""
    while select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
        data = os.read(fd, 65536)
        if not data:
            return told
        told += data
    return None


def _understood(told: bytes | None, status: int, limits: Limits, where: str) -> Tried:
    remedy = "who made it? without --restricted there are no such limits"
    if told is None:
        raise _failed(f"loading took more than {limits.clock:g} seconds", where, remedy)
    if told:
        found = json.loads(told)
        if "namespace" in found:
            return Tried(found["namespace"])
        kind = ImageError if found["kind"] == "ImageError" else TapkitError
        raise kind(found["what"], found["where"], found["remedy"])
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            raise _failed(f"loading took more than {limits.cpu} seconds of CPU", where, remedy)
        died = signal.Signals(number).name
        raise _failed(f"loading it crashed the trial process ({died})", where, "who made it?")
    raise _failed("the trial process ended without a word", where, "who made it?")


def _failed(what: str, where: str, remedy: str) -> ImageError:
    return ImageError(f"refused by --restricted: {what}", where, remedy)


# -- in the child


def _in_child(do: Callable[[], Any], limits: Limits, writing: int) -> NoReturn:
    """The child's whole life. It leaves without any of the parent's clearing up."""
    status = 1
    try:
        told = _tried(do, limits, writing)
        os.write(writing, json.dumps(told).encode())
        status = 0
    finally:
        os._exit(status)


def _tried(do: Callable[[], Any], limits: Limits, writing: int) -> dict[str, Any]:
    refused: list[str] = []
    try:
        _leave_all(writing)
        namespace = _leave_network()
        _set_limits(limits)
        sys.dont_write_bytecode = True
        sys.addaudithook(_hook(refused))
        do()
    except BaseException as error:
        if not refused:
            return _told(_explained(error, limits))
    if refused:  # whether or not somebody caught the exception
        tried = ", ".join(dict.fromkeys(refused[:5]))
        return _told(ImageError(f"refused by --restricted: loading it tried {tried}"))
    return {"namespace": namespace}


def _explained(error: BaseException, limits: Limits) -> TapkitError:
    """What went wrong, where it was not the limit of memory."""
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(cause, MemoryError) for cause in causes):
        megabytes = limits.memory // MIB
        return ImageError(
            f"refused by --restricted: loading it takes more than {megabytes} MiB of memory"
        )
    if isinstance(error, TapkitError):
        return error
    return ImageError(f"loading it failed in the trial ({describe(error)})")


def _told(error: TapkitError) -> dict[str, Any]:
    kind = "ImageError" if isinstance(error, ImageError) else "TapkitError"
    return {"kind": kind, "what": error.what, "where": error.where, "remedy": error.remedy}


def _leave_all(writing: int) -> None:
    """The signals as they were at first, nothing to read from, nothing to write to but the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    highest = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 16)
    os.closerange(3, writing)
    os.closerange(writing + 1, highest)


def _leave_network() -> bool:
    """Into a network namespace with nothing in it; False where that is not permitted."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    kinds = (_CLONE_NEWNET, _CLONE_NEWNET | _CLONE_NEWUSER)
    return any(libc.unshare(kind) == 0 for kind in kinds)


def _set_limits(limits: Limits) -> None:
    signal.alarm(int(limits.clock) + 1)  # for a parent that was killed
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_AS, _in_use() + limits.memory),
    ):
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses RLIMIT_AS
            resource.setrlimit(kind, (value, hard))


def _in_use() -> int:
    """The size of this process's address space, in bytes."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        return 1024 * MIB


def _hook(refused: list[str]) -> Callable[[str, tuple[Any, ...]], None]:
    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            flags = args[2] if len(args) > 2 else 0
            if not isinstance(flags, int) or not flags & _WRITING:
                return
            event = f"open for writing {str(args[0])[:100]!r}"
        elif event not in _REFUSED:
            return
        refused.append(event)
        raise PermissionError(f"{event}: refused by --restricted")

    return hook
