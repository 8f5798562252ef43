"""A process that does nothing but fork workers, from an application loaded and bound once.

    master --fork--> fork server --fork--> worker, worker, ...

It is made before the master has an event loop, and never has one: so each worker, also one that
replaces a dead one days later, begins as a copy of the same quiet process, with the loaded
objects in pages they all share. (Forking from the master's running loop was rejected: a child
would have to give back an epoll instance, a control socket with its clients, and a stack of
callbacks that all belong to the master.)

The master writes a byte for each worker it wants. Fork server and workers report in datagrams:
`forked`, `ready`, `failed`, `ended`. When the master is gone the byte pipe ends, and the workers
are told to stop: nobody serves whom nobody can stop.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import socket
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, NoReturn

import msgpack  # type: ignore[import-untyped,unused-ignore]

from tapkit.errors import EXIT_FAILED, EXIT_OK, describe

log = logging.getLogger("tapkit.workers")

MOST = 60_000  # bytes of a report; what a worker says of its failure is cut to that
Reports = Callable[..., None]

_STOPS = {signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP}
_MASTERS = {signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2}


class ForkServer(NamedTuple):
    """The master's end.

    Attributes:
        pid: of the fork server.
        orders: a byte written here is a worker forked; at its end all are stopped.
        reports: msgpack maps come in here, one a datagram.
    """

    pid: int
    orders: socket.socket
    reports: socket.socket


def start(work: Callable[[Reports], None], private: Iterable[int]) -> ForkServer:
    """Fork the fork server.

    Parameters:
        work: a worker's whole life; given what tells the master.
        private: descriptors that are the master's alone. They are replaced by /dev/null, so that
            whoever holds their numbers may go on closing them.
    """
    orders, their_orders = socket.socketpair()
    reports, their_reports = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    reports.setblocking(False)
    gc.collect()
    gc.freeze()  # the collector would write to every shared object, and unshare its page
    pid = os.fork()
    if pid:
        their_orders.close()
        their_reports.close()
        return ForkServer(pid, orders, reports)
    try:
        orders.close()
        reports.close()
        _forget(private)
        _serve(their_orders, their_reports, work)
    except BaseException as error:
        log.critical("the fork server failed: %s", describe(error), exc_info=error)
    finally:
        os._exit(EXIT_FAILED)


def _forget(private: Iterable[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in private:
        os.dup2(nothing, fd, inheritable=False)
    os.close(nothing)


def _serve(
    orders: socket.socket, reports: socket.socket, work: Callable[[Reports], None]
) -> NoReturn:
    # Blocked, not ignored: one that is sent to a worker before it listens waits for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, _MASTERS | _STOPS)
    alarm, bell = os.pipe()
    os.set_blocking(bell, False)
    os.set_blocking(alarm, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(bell, warn_on_full_buffer=False)

    def report(**message: Any) -> None:
        with contextlib.suppress(OSError):  # the master is gone: the orders end
            reports.send(msgpack.packb(message)[:MOST])

    children: set[int] = set()
    while True:
        ready = select.select([orders.fileno(), alarm], [], [])[0]
        if alarm in ready:
            _drain(alarm)
            _reap(children, report)
        if orders.fileno() in ready:
            wanted = orders.recv(64)
            if not wanted:
                _stop(children)
            for _ in wanted:
                _fork(children, [orders], (alarm, bell), report, work)


def _fork(
    children: set[int],
    sockets: list[socket.socket],
    pipe: tuple[int, int],
    report: Reports,
    work: Callable[[Reports], None],
) -> None:
    pid = os.fork()
    if pid:
        children.add(pid)
        report(forked=pid)
        return
    status = EXIT_FAILED
    try:
        signal.set_wakeup_fd(-1)
        for number in (*_STOPS, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for number in _MASTERS:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _MASTERS | _STOPS)
        for sock in sockets:
            sock.close()
        for fd in pipe:
            os.close(fd)
        work(lambda **message: report(worker=os.getpid(), **message))
        status = EXIT_OK
    except BaseException as error:
        log.error("a worker failed: %s", describe(error))
        report(worker=os.getpid(), failed=describe(error)[: MOST // 2])
    finally:
        logging.shutdown()
        os._exit(status)


def _reap(children: set[int], report: Reports) -> None:
    for pid in list(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            children.discard(pid)
            report(ended=pid, status=os.waitstatus_to_exitcode(status))


def _stop(children: set[int]) -> NoReturn:
    """The master is gone, or has seen all workers end."""
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    for pid in children:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    os._exit(EXIT_OK)


def _drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(fd, 4096):
            pass
