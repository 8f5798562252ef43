"""A process that faults are put into: commands, a snapshot, commands, a snapshot, commands, a stop.

    python -m tests.faults.scenario

For each line `MODE FOLDER` on stdin it forks one that lives such a life in FOLDER, on what is
there; `loop`: saves in the event loop, `fork`: by fork. It says `pid N`, waits for a line - in
which a tracer can attach - and then says `ack N` for each command when that is durable, and
`end STATUS`. In mode `child` it is the child that saves the first snapshot which says `pid N`
and waits.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401  # else each life imports it, and that fails too
import logging
import os
import signal
import traceback
from pathlib import Path
from typing import Any, NoReturn

from tapkit import application as applications
from tapkit import image
from tapkit.application import Application
from tapkit.errors import TapkitError
from tapkit.journal import commit, recovery  # noqa: F401
from tapkit.run.saving import forking, generations
from tapkit.run.saving.policy import SavePolicy
from tapkit.run.saving.saver import Saver
from tests.faults import ledger
from tests.faults.ledger import Ledger

PATIENCE = 20  # seconds; a life takes a tenth of one


def recovered(folder: Path) -> Application:
    """The application as `twistd --resume` finds it."""
    found = generations.newest(str(folder / "ledger.tap"), str(folder))
    made = applications.load(found.path)
    Saver(made, SavePolicy(str(folder))).recover()
    return made


def say(word: str, number: int) -> None:
    os.write(1, b"%s %d\n" % (word.encode(), number))


def wait_for_tracer() -> None:
    say("pid", os.getpid())
    os.read(0, 1)


class WaitingPolicy(SavePolicy):
    """Its first save waits for a tracer."""

    waited = False

    def write(self, application: Any, path: str) -> int:
        if not self.waited:
            wait_for_tracer()
        return super().write(application, path)


class Life:
    """One life of a daemon, without its ports."""

    def __init__(self, mode: str, folder: str):
        self.application = recovered(Path(folder))
        self.ledger: Ledger = self.application.services[0]
        policy = WaitingPolicy(folder) if mode == "child" else SavePolicy(folder)
        self.policy = policy
        self.failed = False  # a save
        self.saver = Saver(self.application, policy)
        policy.rehearse(self.application)  # as a daemon does; afterwards nothing is imported
        if mode == "loop":
            forking.memory_is_short = lambda: "it is pretended to be"
        else:
            forking.memory_is_short = lambda: None

    async def live(self) -> None:
        self.saver.begin()
        self.saver.start_clock()
        for _ in range(2):
            await self.add(3)
            await self.snapshot()
        await self.add(2)
        await self.saver.halt()
        try:
            await self.saver.finish()
        except TapkitError:
            self.failed = True
            await self.saver.close()

    async def add(self, count: int) -> None:
        for _ in range(count):
            number = len(self.ledger.entries) + 1
            try:
                await self.ledger.add(number)
            except TapkitError:
                continue  # not acknowledged
            say("ack", number)

    async def snapshot(self) -> None:
        try:
            await self.saver.snapshot("test")
        except TapkitError:
            self.failed = True
        if isinstance(self.policy, WaitingPolicy):
            self.policy.waited = True


def lead(mode: str, folder: str) -> NoReturn:
    status = 3
    try:
        signal.alarm(PATIENCE)
        life = Life(mode, folder)
        if mode != "child":
            wait_for_tracer()
        asyncio.run(life.live())
        status = 2 if life.failed else 0
    except (TapkitError, OSError):
        status = 1  # it did not start, or a put-in fault hit the loop itself
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def main() -> None:
    logging.disable()  # what is put in is no news
    image.loads(applications.dumps(ledger.make()))  # imports, once for all lives
    while (line := read_line()) is not None:
        if not line:
            continue  # it was for a life that was killed before it could read it
        pid = os.fork()
        if not pid:
            lead(*line.split())
        say("end", os.waitpid(pid, 0)[1])


def read_line() -> str | None:
    """Unbuffered: the children read from here as well. None at the end."""
    line = b""
    while byte := os.read(0, 1):
        if byte == b"\n":
            return line.decode()
        line += byte
    return None


if __name__ == "__main__":
    main()
