"""One sample: a process with many objects and a client that never rests, saved both ways.

    python snapshot_sample.py asyncio|uvloop COUNT FOLDER

prints one JSON object, in seconds: how long the event loop stood still at most while the state
was saved in the loop, and while it was saved by fork; the longest that the client waited for an
answer meanwhile; and how long each save took.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import socket
import sys
import time
from typing import Any

import image_objects

from tapkit import application, service
from tapkit.run import reactors
from tapkit.run.saving.policy import SNAPSHOT, SavePolicy
from tapkit.run.saving.saver import Saver

_REST = 0.3  # seconds before and after each save, so that each is seen alone


class Bank(service.Service):
    """The state."""

    def __init__(self, count: int):
        self.accounts = image_objects.accounts(count)

    def change(self) -> None:
        """What a request does: it changes objects all over the memory."""
        for account in random.choices(self.accounts, k=5):
            account.balance += 1.0


class Gaps:
    """The longest time between two turns of the event loop."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.perf_counter()

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            self.longest = max(self.longest, now - self._last)
            self._last = now


async def serve(bank: Bank, longest_wait: Any) -> Any:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            bank.change()
            writer.write(data)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = multiprocessing.get_context("spawn").Process(target=ask, args=(port, longest_wait))
    client.start()
    return server, client


def ask(port: int, longest_wait: Any) -> None:
    """The client: one question after the other, until the server is gone."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while True:
            began = time.perf_counter()
            connection.sendall(b"?")
            if not connection.recv(100):
                return
            longest_wait.value = max(longest_wait.value, time.perf_counter() - began)


async def sample(count: int, folder: str) -> dict[str, float]:
    bank = Bank(count)
    made = application.new("bank", bank)
    saver = Saver(made, SavePolicy(folder))
    longest_wait = multiprocessing.get_context("spawn").Value("d", 0.0)
    server, client = await serve(bank, longest_wait)
    gaps = Gaps()
    watching = asyncio.ensure_future(gaps.watch())
    saver.begin()
    saver.start_clock()
    await saver.snapshot("the first, which imports")
    told: dict[str, float] = {}
    for kind in ("loop", "fork"):
        await asyncio.sleep(_REST)
        gaps.longest = longest_wait.value = 0.0
        began = time.perf_counter()
        if kind == "loop":
            saver.policy.write(made, saver.policy.path(made, SNAPSHOT))
        else:
            await saver.snapshot("benchmark")
        told[f"{kind} took"] = time.perf_counter() - began
        await asyncio.sleep(_REST)
        told[f"{kind} gap"], told[f"{kind} wait"] = gaps.longest, longest_wait.value
    watching.cancel()
    client.terminate()
    client.join()
    server.close()
    return told


if __name__ == "__main__":
    loop = reactors.new_loop(sys.argv[1])
    asyncio.set_event_loop(loop)
    print(json.dumps(loop.run_until_complete(sample(int(sys.argv[2]), sys.argv[3]))))
