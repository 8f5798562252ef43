"""`twistd --workers N`: one application served by N processes on the same sockets.

The application is loaded once, its ports are bound once, the privileges shed once; then workers
are forked (`tapkit.run.workers.fork_server`). The kernel gives each connection to whichever worker
accepts first. (SO_REUSEPORT was rejected: each worker would have a queue of its own, and what
waits in a dead worker's queue is reset.)

The master does not serve. It restarts workers that die, with growing delays; it is what signals,
`tapctl` and systemd speak to, and what it is told holds for all workers. Each of them has a copy
of the state, which goes its own way, and is forgotten at the end: nobody owns it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgpack  # type: ignore[import-untyped,unused-ignore]

from tapkit.application import Application
from tapkit.errors import DaemonError, UsageError
from tapkit.run import afterwards, logs, runner
from tapkit.run.daemon import Daemon
from tapkit.run.saving.policy import SavePolicy
from tapkit.run.stopping import StopRules
from tapkit.run.workers import fork_server
from tapkit.run.workers.fork_server import ForkServer
from tapkit.run.workers.worker import Worker, work

log = logging.getLogger("tapkit.workers")

PATIENCE = 30.0  # seconds for a worker to stop, beside what connections get


def count_of(text: str) -> int:
    """How many workers `--workers` asks for; `auto` is one a processor.

    Raises:
        UsageError: it is no number of workers.
    """
    if text == "auto":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _processors()
    if not text.isdigit() or not 0 < int(text) <= 1000:
        raise UsageError(f"{text!r} is no number of workers", "--workers", "1 to 1000, or auto")
    return int(text)


def policy(count: int) -> SavePolicy:
    """What becomes of the state: said at the start, and by `tapctl status`."""
    return SavePolicy(None, f"{count} workers have a copy each, and none of them owns it")


def run(
    count: int,
    private: Iterable[int],
    application: Application,
    reactor: str,
    _saving: SavePolicy,
    ready: Callable[[], None],
    control: Any = None,
    confine: Callable[[], None] | None = None,
    handover: Any = None,
    rules: StopRules = StopRules(),  # noqa: B008  # a Record
    **more: Any,
) -> None:
    """As `runner.run`, with workers.

    Parameters:
        count: how many.
        private: descriptors that are not for workers: the pidfile's, the control socket's.

    Raises:
        TapkitError: one of them did not start, or not all stopped cleanly.
    """
    saving = policy(count)
    afterwards.at_once()
    _bind(application)
    try:
        if confine is not None:
            confine()
        life = functools.partial(work, application, reactor, rules)
        server = fork_server.start(life, private)
    except BaseException:
        _release(application)
        raise
    make = functools.partial(Master, server, count)
    with contextlib.closing(server.orders), contextlib.closing(server.reports):
        runner.run(
            application, "asyncio", saving, ready, control, lambda: None, handover,
            rules=rules, make=make, **more,
        )  # fmt: skip


class Master(Daemon):
    """The process that workers belong to; what it is asked, all of them are."""

    owns_state = False

    def __init__(self, server: ForkServer, count: int, *arguments: Any):
        super().__init__(*arguments)
        self._server = server
        self._crew = [Worker(number) for number in range(1, count + 1)]
        self._ordered: list[Worker] = []  # workers whose pid is not known yet, in order
        self._early: dict[int, dict[str, Any]] = {}  # what a pid said before it was known
        self._changed = asyncio.Event()
        self._ending = False

    def workers(self) -> list[dict[str, Any]]:
        """What `tapctl status` says of each: number, pid, state, restarts, age in seconds."""
        now = time.monotonic()
        return [
            {
                "number": worker.number,
                "pid": worker.pid or None,
                "state": worker.state,
                "restarts": worker.restarts,
                "age": now - worker.since,
            }
            for worker in self._crew
        ]

    def reopen_logs(self) -> None:
        """Reopen the log, here and in every worker."""
        logs.reopen()
        self._signal(signal.SIGUSR1)

    def stop(self, why: str) -> None:
        again = self._stop_asked.is_set()
        super().stop(why)
        if again:
            self._signal(signal.SIGTERM)  # and they hurry as well

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._server.reports.fileno(), self._hear)
        loop.add_reader(self._server.orders.fileno(), self._orphaned)
        try:
            for worker in self._crew:
                self._order(worker)
            await self._until(lambda: all(w.state != "starting" for w in self._crew))
            failures = [worker.failure for worker in self._crew if worker.failure]
            if failures:
                raise DaemonError(f"a worker did not start: {failures[0]}")
            log.info("%d workers: %s", len(self._crew), ", ".join(str(w.pid) for w in self._crew))
        except BaseException:
            await self._end_workers()
            await self.application.stopService()
            raise

    async def _stop(self) -> None:
        if self.state != "stopping":
            self.state = "stopping"
            if self.handover is not None:
                self.handover.notifier.stopping()
            log.info("received %s, stopping the workers", self._why)
        await self._end_workers()
        await super()._stop()

    async def _end_workers(self) -> None:
        """TERM to all (HUP, where others serve already), KILL to who takes too long."""
        self._ending = True
        replaced = self.handover is not None and self.handover.successor is not None
        self._signal(signal.SIGHUP if replaced else signal.SIGTERM)
        limit = 2 * self._rules.drain_timeout + (self._rules.stop_timeout or 0.0) + PATIENCE
        try:
            await asyncio.wait_for(self._until(self._all_ended), limit)
        except asyncio.TimeoutError:
            left = [worker.pid for worker in self._crew if worker.pid]
            log.error("workers did not stop, and are killed: %s", ", ".join(map(str, left)))
            self._signal(signal.SIGKILL)
            await self._until(self._all_ended)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._server.reports.fileno())
        loop.remove_reader(self._server.orders.fileno())
        self._server.orders.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._server.pid, 0)

    def _all_ended(self) -> bool:
        return not self._ordered and not any(worker.pid for worker in self._crew)

    async def _until(self, fact: Callable[[], bool]) -> None:
        while not fact():
            self._changed.clear()
            await self._changed.wait()

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._crew:
            if worker.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, number)

    def _order(self, worker: Worker) -> None:
        if self._ending:
            return
        worker.state = "starting"
        worker.since = time.monotonic()
        self._ordered.append(worker)
        try:
            self._server.orders.send(b"F")
        except OSError:
            self._ordered.remove(worker)  # `_orphaned` says what it means

    def _hear(self) -> None:
        """Reports, as they come."""
        while True:
            try:
                data = self._server.reports.recv(fork_server.MOST)
            except (BlockingIOError, InterruptedError):
                break
            message = msgpack.unpackb(data)
            if "forked" in message:
                self._forked(message["forked"])
            elif "ended" in message:
                self._ended(message["ended"], message["status"])
            else:
                self._said(message)
        self._changed.set()

    def _forked(self, pid: int) -> None:
        worker = self._ordered.pop(0)
        worker.pid = pid
        if self._ending:
            os.kill(pid, signal.SIGTERM)
        if pid in self._early:
            self._said(self._early.pop(pid))

    def _said(self, message: dict[str, Any]) -> None:
        worker = self._by_pid(message["worker"])
        if worker is None:
            self._early[message["worker"]] = message
        elif "failed" in message:
            worker.failure = message["failed"]
        elif "ready" in message:
            worker.state, worker.failure = "running", ""

    def _ended(self, pid: int, status: int) -> None:
        worker = self._by_pid(pid)
        if worker is None:
            return
        how = f"exit status {status}" if status >= 0 else f"killed by signal {-status}"
        first = worker.state == "starting" and self.state == "starting"
        worker.pid = 0
        worker.state = "stopped"
        if first:
            worker.failure = worker.failure or how
        elif not self._ending:
            delay = worker.delay()
            why = f"{how}: {worker.failure}" if worker.failure else how
            when = f"in {delay:g} s" if delay else "at once"
            log.error("worker %d, PID %d, died (%s): restarted %s", worker.number, pid, why, when)
            worker.state = "waiting"
            worker.restarts += 1
            asyncio.get_running_loop().call_later(delay, self._order, worker)

    def _by_pid(self, pid: int) -> Worker | None:
        return next((worker for worker in self._crew if worker.pid == pid), None)

    def _orphaned(self) -> None:
        """The fork server is gone: workers that die could not be replaced."""
        asyncio.get_running_loop().remove_reader(self._server.orders.fileno())
        if not self._ending:
            self._ordered.clear()
            self.fail("the death of the fork server")
        for worker in self._crew:  # nobody reports their ends any more
            if worker.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGTERM)
                worker.pid, worker.state = 0, "stopped"
        self._changed.set()


def _bind(application: Application) -> None:
    """The privileged start, in an event loop of its own that is gone before the first fork."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_awaited(application.privilegedStartService()))
    finally:
        loop.close()


def _release(application: Application) -> None:
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_awaited(application.stopService()))
    finally:
        loop.close()


async def _awaited(begun: Any) -> None:
    if begun is not None:
        await begun


def _processors() -> int:
    return os.cpu_count() or 1


def private_descriptors(*holders: Any) -> list[int]:
    """The numbers of what is open in `holders`: sockets, or objects with an `fd`."""
    fds = [
        holder.fileno() if isinstance(holder, socket.socket) else getattr(holder, "fd", -1)
        for holder in holders
    ]
    return [fd for fd in fds if fd >= 0]
