"""The load: connect, read a quote to its end, close; many at once. Runs as its own process.

    python load.py PORT COUNT WINDOW

prints one JSON object. It keeps WINDOW connections open and always reads the oldest: a server
answers in the order it accepts, so no selector is needed, and a connection costs four system
calls (socket, connect, one recv that waits for the end, close). That makes the client cheaper
than any server under test, which is what lets one process of Python load them.
"""

from __future__ import annotations

import collections
import json
import os
import signal
import socket
import sys
import time

_SECONDS = 60  # the longest run; a server that stalls fails it
_LIMIT = 4096  # bytes; more than any quote


def measure(port: int, count: int, window: int) -> dict[str, float]:
    """Make `count` connections, `window` at a time; what it took, in seconds."""
    waiting: collections.deque[socket.socket] = collections.deque()
    bad = 0
    cpu, started = time.process_time(), time.perf_counter()
    for _ in range(count):
        if len(waiting) == window:
            bad += not _finish(waiting.popleft())
        waiting.append(_begin(port))
    while waiting:
        bad += not _finish(waiting.popleft())
    seconds = time.perf_counter() - started
    return {"count": count, "bad": bad, "seconds": seconds, "cpu": time.process_time() - cpu}


def _begin(port: int) -> socket.socket:
    # A blocking connect to the loopback returns as soon as the kernel has queued it for
    # accept. The window must be smaller than the server's backlog, or it waits a second.
    connection = socket.socket()
    connection.connect(("127.0.0.1", port))
    return connection


def _finish(connection: socket.socket) -> bool:
    with connection:
        return connection.recv(_LIMIT, socket.MSG_WAITALL).endswith(b"\r\n")


def stay_on_processor(index: int, pid: int = 0) -> None:
    """Keep a process on one of the processors it may use, where the system can.

    Client and server then do not take turns on one while another idles.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, {sorted(os.sched_getaffinity(pid))[index]})


if __name__ == "__main__":
    signal.alarm(_SECONDS)  # for the whole run: a timeout each would cost a system call
    stay_on_processor(-1)
    print(json.dumps(measure(*map(int, sys.argv[1:4]))))
