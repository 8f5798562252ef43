"""The load of an echo server: many connections, on each a message out and back, again and again.

    python echo_load.py PORT COUNT CONNECTIONS

prints one JSON object. Each round writes on every connection and then reads every answer, so
the server always has a batch to work on and the client needs no selector.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
import time

sys.path[0] = sys.path[0].rpartition("/")[0]
from benchmarks.load import stay_on_processor  # noqa: E402

_SECONDS = 60  # the longest run; a server that stalls fails it
MESSAGE = b"m" * 64


def measure(port: int, count: int, connections: int) -> dict[str, float]:
    """Send `count` messages in all; what it took, in seconds."""
    bad = 0
    with contextlib.ExitStack() as stack:
        peers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(connections)
        ]
        cpu, started = time.process_time(), time.perf_counter()
        for _ in range(count // connections):
            for peer in peers:
                peer.send(MESSAGE)
            for peer in peers:
                bad += peer.recv(len(MESSAGE), socket.MSG_WAITALL) != MESSAGE
        seconds = time.perf_counter() - started
    return {"count": count, "bad": bad, "seconds": seconds, "cpu": time.process_time() - cpu}


if __name__ == "__main__":
    signal.alarm(_SECONDS)
    stay_on_processor(-1)
    print(json.dumps(measure(*map(int, sys.argv[1:4]))))
