"""A worker: its own process's whole life, and what its master knows of it."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from tapkit.application import Application
from tapkit.net import inherited
from tapkit.run import runner
from tapkit.run.daemon import Daemon
from tapkit.run.saving.policy import SavePolicy
from tapkit.run.stopping import StopRules
from tapkit.run.systemd import notify as systemd
from tapkit.run.workers.fork_server import Reports

SHORT_LIFE = 10.0  # seconds; who dies sooner is restarted later
FIRST_DELAY = 0.1  # seconds until a worker that died soon is restarted
LONGEST_DELAY = 30.0


class Worker:
    """A worker, as the master knows it.

    Attributes:
        number: from 1; a successor has the same.
        pid: 0 between two lives.
        state: `starting`, `running`, `waiting` (to be restarted), `stopped`.
        restarts: how often it was restarted.
    """

    def __init__(self, number: int):
        self.number = number
        self.pid = 0
        self.state = "starting"
        self.restarts = 0
        self.since = time.monotonic()
        self.failure = ""
        self._short_lives = 0

    def delay(self) -> float:
        """Seconds until it is restarted: none after a long life."""
        if time.monotonic() - self.since >= SHORT_LIFE:
            self._short_lives = 0
            return 0.0
        self._short_lives += 1
        return min(FIRST_DELAY * 2.0 ** (self._short_lives - 1), LONGEST_DELAY)


class WorkerDaemon(Daemon):
    """A worker's own process: its ports are bound already, its master decides for it."""

    _replaced = False

    def reload(self, why: str, _source: str = "") -> asyncio.Task[int]:
        """Others serve in its place: accept no more, see off who is here, and leave."""
        self._replaced = True
        self.stop(why)
        return asyncio.ensure_future(asyncio.sleep(0, 0))

    async def _end_reload(self) -> None:
        if self._replaced:
            await self._wind_down()

    async def _start(self) -> None:
        # A terminal's Ctrl-C comes to all; the master passes on what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            await self.application.startService()
        except BaseException:
            await self.application.stopService()
            raise


def work(application: Application, reactor: str, rules: StopRules, report: Reports) -> None:
    """A worker's whole life."""
    inherited.let_in()
    inherited.keep_paths(inherited.noted_paths())  # the master removes them at the end
    saving = SavePolicy(None, f"it is worker PID {os.getpid()}")

    def ready() -> None:
        inherited.close_unclaimed(systemd.spelt, quietly=True)
        report(ready=True)

    runner.run(
        application, reactor, saving, ready, None, lambda: None, None,
        rules=rules._replace(leave=lambda: None), make=WorkerDaemon,
    )  # fmt: skip
