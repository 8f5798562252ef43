"""How this process came to be: its command line, its supervisor, the process it succeeds."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING

from tapkit.application import Application
from tapkit.errors import EXIT_FAILED
from tapkit.net import inherited
from tapkit.records import Record
from tapkit.run.process.pidfile import PidFile
from tapkit.run.reload.command_line import VARIABLE, CommandLine
from tapkit.run.reload.handover import Handover
from tapkit.run.systemd import notify as systemd
from tapkit.run.systemd.notify import Notifier

if TYPE_CHECKING:
    from tapkit.run.reload.succession import Successor

log = logging.getLogger("tapkit.reload")


class Origin(Record):
    """What a process learns of itself from its environment, once, at its start."""

    line: CommandLine
    notifier: Notifier
    successor: Successor | None

    def failed(self, reason: str) -> None:
        """It does not start; who waits to be succeeded is told why."""
        if self.successor is not None:
            self.successor.failed(EXIT_FAILED, reason)

    def follow(
        self,
        application: Application,
        pidfile: PidFile,
        ready: Callable[[], None],
        handover: Handover,
    ) -> Callable[[], None]:
        """What to call, in the event loop, when the services are started.

        Parameters:
            ready: tells who waits for it.
            handover: how this process is succeeded in its turn.
        """
        successor = self.successor
        handover.note_loaded(application)

        def serves() -> None:
            inherited.close_unclaimed(systemd.spelt)
            self.notifier.ready(f"{application.name} runs")
            self.notifier.beat()

        def takes_over() -> None:
            pidfile.take_over()
            log.info("PID %d has taken over", os.getpid())
            serves()

        def is_ready() -> None:
            ready()
            if successor is None:
                serves()

        if successor is not None:
            successor.takes_over = takes_over
            handover.note_loaded(application, successor.fingerprint)
        return is_ready


def of_this_process(environment: MutableMapping[str, str] = os.environ) -> Origin:
    """To be asked before a fork, and before anything changes the directory.

    What is for this process alone is taken out of the environment: a child must not speak for
    it. Sockets that were passed are for the services to claim.

    Raises:
        DaemonError: it was started to succeed a process that is gone.
    """
    line = CommandLine.of_this_process()
    notifier = systemd.notifier(environment)
    inherited.hand(passed := systemd.passed_sockets(environment))
    # systemd made these, and keeps them: their paths are not ours to remove.
    inherited.keep_paths(inherited.paths_of(passed))
    return Origin(line, notifier, _joined(environment))


def _joined(environment: MutableMapping[str, str]) -> Successor | None:
    """The succession this process was started for, if it was; taken out of the environment."""
    number = environment.pop(VARIABLE, "")
    if not number.isdigit():
        return None
    from tapkit.run.reload.succession import Successor

    fd = int(number)
    os.set_inheritable(fd, False)
    return Successor(socket.socket(fileno=fd))
