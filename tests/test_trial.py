"""The trial child: what it may not do, what it may not take, and how each is told."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tapkit.errors import DaemonError, ImageError, TapkitError
from tapkit.run import trial
from tapkit.run.trial import Limits, attempt, limits_for

MANY = Limits(1 << 30, 60, 120.0)

# A trial forks, so all are tried in a process with one thread, as twistd is when it loads.
ALONE = """
import json, sys
import psutil
sys.path.insert(0, {root!r})
from tests.test_trial import TRIED, told
found = {{name: told(case) for name, case in TRIED.items()}}
found["left"] = [child.pid for child in psutil.Process().children(recursive=True)]
print(json.dumps(found))
"""


def told(case: tuple[Callable[[], Any], Limits]) -> str:
    """What a trial says."""
    do, limits = case
    try:
        return repr(attempt(do, limits, "x.tap"))
    except TapkitError as error:
        return f"{type(error).__name__}: {error}"


def fail_ours() -> None:
    raise ImageError("it is bent", "x.tap", "mend it")


def fail_daemon() -> None:
    raise DaemonError("no", None, None)


def fail_other() -> None:
    raise ValueError("bad\nvalue")


def connect() -> None:
    socket.socket().connect(("127.0.0.1", 1))


def connect_quietly() -> None:
    try:
        connect()
    except OSError:
        pass


def look_up() -> None:
    socket.getaddrinfo("localhost", 80)


def listen() -> None:
    socket.socket().bind(("127.0.0.1", 0))


def run_program() -> None:
    subprocess.run(["true"])


def run_command() -> None:
    os.system("true")


def fork() -> None:
    os.fork()


def write_file() -> None:
    os.open("trial-canary", os.O_WRONLY | os.O_CREAT)


def remove_file() -> None:
    os.remove("trial-canary")


def write_behind_the_hook() -> None:
    """What a hook can't see, the kernel still refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.open(b"behind", os.O_WRONLY | os.O_CREAT, 0o600)
    if libc.write(fd, b"x", 1) < 0:
        raise ImageError(f"write: {os.strerror(ctypes.get_errno())}")


def connect_behind_the_hook() -> None:
    """The interfaces that there are: in an empty network namespace, lo alone and it is down."""
    names = [name for _, name in socket.if_nameindex()]
    raise ImageError(f"interfaces: {names}")


def allocate() -> None:
    bytearray(1 << 40)


def allocate_bit_by_bit() -> None:
    kept = []
    while True:
        kept.append(bytearray(1 << 24))


def spin() -> None:
    while True:
        pass


def sleep() -> None:
    time.sleep(600)


def crash() -> None:
    os.abort()


def leave() -> None:
    os._exit(0)


def leave_by_exception() -> None:
    sys.exit(3)


def print_much() -> None:
    print("x" * 100_000, flush=True)


TRIED: dict[str, tuple[Callable[[], Any], Limits]] = {
    **{
        do.__name__: (do, MANY)
        for do in (
            fail_ours, fail_daemon, fail_other, connect, connect_quietly, look_up, listen,
            run_program, run_command, fork, write_file, remove_file, write_behind_the_hook,
            connect_behind_the_hook, crash, leave, leave_by_exception, print_much, allocate,
        )
    },
    "allocate_bit_by_bit": (allocate_bit_by_bit, Limits(100 << 20, 60, 120.0)),
    "spin": (spin, Limits(1 << 30, 1, 120.0)),
    "sleep": (sleep, Limits(1 << 30, 60, 0.2)),
}  # fmt: skip

REFUSED = "ImageError: refused by --restricted: loading it tried"
SAID = {
    "fail_ours": "ImageError: it is bent: x.tap: mend it",
    "fail_daemon": "TapkitError: no",
    "fail_other": "ImageError: loading it failed in the trial (ValueError: bad value)",
    "connect": f"{REFUSED} socket.connect",
    "connect_quietly": f"{REFUSED} socket.connect",
    "look_up": f"{REFUSED} socket.getaddrinfo",
    "listen": f"{REFUSED} socket.bind",
    "run_program": f"{REFUSED} subprocess.Popen",
    "run_command": f"{REFUSED} os.system",
    "fork": f"{REFUSED} os.fork",
    "write_file": f"{REFUSED} open for writing 'trial-canary'",
    "remove_file": f"{REFUSED} os.remove",
    "write_behind_the_hook": "ImageError: write: File too large",
    "crash": "ImageError: refused by --restricted: loading it crashed the trial process (SIGABRT)"
    ": x.tap: who made it?",
    "leave": "ImageError: refused by --restricted: the trial process ended without a word"
    ": x.tap: who made it?",
    "leave_by_exception": "ImageError: loading it failed in the trial (SystemExit: 3)",
    "allocate": "ImageError: refused by --restricted: loading it takes more than 1024 MiB"
    " of memory",
    "allocate_bit_by_bit": "ImageError: refused by --restricted: loading it takes more than 100"
    " MiB of memory",
    "spin": "ImageError: refused by --restricted: loading took more than 1 seconds of CPU: x.tap:"
    " who made it? without --restricted there are no such limits",
    "sleep": "ImageError: refused by --restricted: loading took more than 0.2 seconds: x.tap:"
    " who made it? without --restricted there are no such limits",
}
LINUX = sys.platform.startswith("linux")


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each trial said; `left`: the children there were at the end; `files`: what is there."""
    folder = tmp_path_factory.mktemp("trials")
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", ALONE.format(root=root)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    found["files"] = [path.name for path in folder.iterdir() if path.stat().st_size]
    return found


@pytest.mark.parametrize("name", SAID)
def test_what_a_trial_says(name: str, tried: dict[str, Any]) -> None:
    """Each thing that a child may not do or take is refused, and named."""
    if not LINUX and name.startswith("allocate"):
        pytest.skip("RLIMIT_AS is not enforced here")
    assert tried[name] == SAID[name]


def test_nothing_is_left(tried: dict[str, Any]) -> None:
    """No file with anything in it, and no child: those that sleep, spin or died are reaped."""
    assert tried["files"] == []
    assert tried["left"] == []


def test_what_goes_well(tried: dict[str, Any]) -> None:
    """What is printed goes nowhere; it is told whether there was a network namespace."""
    assert tried["print_much"] in ("Tried(namespace=True)", "Tried(namespace=False)")


@pytest.mark.skipif(not LINUX, reason="network namespaces are Linux's")
def test_no_network_is_the_kernel_s_where_it_may_be(tried: dict[str, Any]) -> None:
    """With a namespace there is no interface but the loopback; without, it is not claimed."""
    if tried["print_much"] == "Tried(namespace=False)":
        pytest.skip("no network namespace is permitted here")
    assert tried["connect_behind_the_hook"] == "ImageError: interfaces: ['lo']"


def test_limits_grow_with_the_image() -> None:
    """A small image has half a gigabyte and ten seconds; a large one what it needs."""
    small, large = limits_for(100), limits_for(100 << 20)
    assert (small.memory >> 20, small.cpu) == (512, 10)
    assert large.memory > 80 * (100 << 20)
    assert large.cpu > 200
    assert trial.MIB == 1 << 20
