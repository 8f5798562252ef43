"""The new process of a hot restart: it takes over what its predecessor hands it.

It was started by the same command line, with one end of a socket pair as an open descriptor,
whose number is in `command_line.VARIABLE`. What the two say is in `tapkit.run.reload.handover`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from tapkit import application as applications
from tapkit.application import Heirloom
from tapkit.errors import DaemonError
from tapkit.net import inherited
from tapkit.net.inherited import Handed
from tapkit.run.reload.channel import BlockingChannel

log = logging.getLogger("tapkit.reload")

Loaded = TypeVar("Loaded")


class Successor:
    """This process, as long as its predecessor still lives.

    Attributes:
        lock_fd: the pidfile, locked.
        takes_over: called in the event loop when the predecessor has agreed to leave.
        fingerprint: of the image's file, when the predecessor loaded what is carried over.
    """

    def __init__(self, sock: socket.socket):
        self.takes_over: Callable[[], object] = bool
        self.fingerprint: list[int] | None = None
        self._channel = BlockingChannel(sock)
        self._over = False
        hello = self._hear()
        self.lock_fd, *fds = self._channel.descriptors(1 + sum(n for _, n in hello["sockets"]))
        self._waits: bool = hello["waits"]
        self._tries: bool = hello["tries"]
        inherited.keep_paths(hello["kept_paths"])  # until the predecessor has agreed
        inherited.hold_back()
        places = iter(fds)
        inherited.hand(
            Handed(request, "", [socket.socket(fileno=next(places)) for _ in range(count)])
            for request, count in hello["sockets"]
        )

    @property
    def fd(self) -> int:
        """The channel's end; -1 once this process has taken over."""
        return self._channel.socket.fileno()

    def load(self, load: Callable[[], Loaded]) -> Loaded:
        """What to run: what `load` returns, from the file or from the state that is carried over.

        Also in the second case the file is loaded first, to find out whether the code works
        while the predecessor still serves: what fails now costs nobody a connection.
        """
        loaded = load() if self._tries else None
        self._channel.tell(loaded=True)
        if loaded is not None and not self._waits:
            return loaded
        told = self._hear()
        if loaded is not None and not told["state"]:
            return loaded
        del loaded
        data = self._channel.bulk(told["state"])
        self.fingerprint = told["fingerprint"]
        heirloom = Heirloom(
            data, told["form"], told["loaded_from"], told["made_with"], told["sealed"]
        )
        with applications.inheriting(heirloom):
            return load()

    def failed(self, _status: int, reason: str) -> None:
        """Tell the predecessor that it has to go on."""
        if not self._over:
            self._over = True
            with contextlib.suppress(OSError):
                self._channel.tell(failed=reason)
            self._channel.socket.close()

    def ready(self) -> None:
        """Tell the predecessor that it can leave, and call `takes_over` when it has agreed.

        It may have lost patience in this very moment, and will then end this process: until
        it agrees the pidfile is its. Where it is gone there is nobody else.
        """
        loop = asyncio.get_running_loop()
        sock = self._channel.socket

        def agreed() -> None:
            loop.remove_reader(sock.fileno())
            kept = []
            try:
                kept = self._channel.hear()["kept_paths"]
            except (EOFError, OSError):
                log.warning("the old process died before it handed over")
            inherited.keep_paths(set(inherited.kept_paths()) - set(kept), keep=False)
            self._over = True
            try:
                self.takes_over()
            except DaemonError as error:  # a pidfile on a full disk is no reason not to serve
                log.error("%s", error)
            with contextlib.suppress(OSError):
                self._channel.tell(taken=True)
            sock.close()
            inherited.let_in()

        with contextlib.suppress(OSError):
            self._channel.tell(ready=os.getpid())
        loop.add_reader(sock.fileno(), agreed)

    def _hear(self) -> dict[str, Any]:
        try:
            return self._channel.hear()
        except (EOFError, OSError):
            raise DaemonError("the old process died before it handed over") from None
