"""Hot restart, in the process that is replaced. Nobody is refused, reset, or forgotten.

The same command line is run again, as a new process: new code, a new Python, an edited image.
Listening sockets go to it as open descriptors, the pidfile's lock as well: a socket and a lock
live in the kernel as long as one process has them open. Then there are two ways:

    fresh       the new process loads the file, starts beside the old one, and is ready; only
                then the old one accepts no more, lets its connections finish, and leaves.
                (With a journal the old one stops first, as below: it has one writer.)
    carried     the new process loads the file to try the code. The old one accepts no more,
                lets the connections finish, stops its services and sends its state; the new one
                starts with that. Who connects meanwhile waits in the sockets' queues.

Carried is what happens unless the image's file has changed since it was loaded: an edited image
is meant to be taken, and a counter is not meant to be reset. A snapshot made while the old
process goes on serving was rejected: what its last connections change would be lost. The price
is a pause, as long as connections need to finish (`GRACE`, then as at a stop), the save, and the
start. Scripts and TAP builders are run anew: their state is never saved.

    old: sockets, lock ------> new
         <------------- loaded        code and image work
         state -------------->        (carried)
         <-------------- ready        ports bound, services started
         yours -------------->        from here on the pidfile is the new one's
         <-------------- taken        and from here on it serves

Whatever fails before `yours` - a mistake in the code, a hook that raises or hangs - and a death
before `taken`: the new process is ended, the old one goes on, with its services started again if
they were stopped, and says why. The old one decides: the new one never takes over by itself,
unless the old is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tapkit import image
from tapkit.application import Application
from tapkit.errors import DaemonError, describe
from tapkit.image.seal import OPEN
from tapkit.net import inherited
from tapkit.run.process.pidfile import PidFile
from tapkit.run.reload.command_line import CommandLine
from tapkit.run.saving import journaling
from tapkit.run.saving.policy import SHUTDOWN, SNAPSHOT, SavePolicy
from tapkit.run.systemd.notify import Notifier
from tapkit.service import IServiceCollection

if TYPE_CHECKING:
    from tapkit.run.daemon import Daemon
    from tapkit.run.reload.heir import Heir

log = logging.getLogger("tapkit.reload")

GRACE = 1.0  # seconds that connections get to end by themselves while newcomers wait
_TAKING_LIMIT = 2.0  # seconds for a new process that was told to take over
SOURCES = ("", "image", "state")

Groups = list[inherited.Handed]


class Handover:
    """Hands the work of this process on.

    Parameters:
        line: how the successor is started.
        pidfile: held by this process.
        notifier: the supervisor to be told.
        limit: seconds for the successor to load, and again to start; None: no limit.
        stays: this process stays and passes on signals (`tapkit.run.reload.standing_in`); the
            successor gets a session of its own: a terminal's Ctrl-C is for this one.
        obstacle: why there can be no successor.
    """

    def __init__(
        self,
        line: CommandLine,
        pidfile: PidFile,
        notifier: Notifier,
        limit: float | None,
        stays: bool,
        obstacle: str | None = None,
    ):
        self.line = line
        self.pidfile = pidfile
        self.notifier = notifier
        self.limit = limit
        self.stays = stays
        self.obstacle = obstacle
        self.successor: int | None = None
        self._loaded = _fingerprint(None)

    @property
    def left_to(self) -> int | None:
        """The process this one stays for, once it has handed over to it."""
        return self.successor if self.stays else None

    def note_loaded(self, application: Application, fingerprint: list[int] | None = None) -> None:
        """The application was loaded just now: what the file is later is compared with this.

        Parameters:
            fingerprint: of the file, where a predecessor loaded it.
        """
        now = _fingerprint(application.loaded_from)
        self._loaded = tuple(fingerprint) if fingerprint else now

    async def pass_on(self, daemon: Daemon, source: str = "") -> int:
        """Start the successor and hand over to it; this process has only to leave then.

        Parameters:
            source: `image`: the file, in any case; `state`: the live state, in any case; "":
                the file if it has changed since it was loaded.

        Returns:
            The successor's number.

        Raises:
            DaemonError: it did not work; this process serves as before.
        """
        if self.obstacle is not None:
            raise DaemonError(f"it can't be reloaded: {self.obstacle}", None, "restart it")
        carries = self._carries(daemon, source)
        journal = daemon.owns_state and journaling.services_of(daemon.application)
        waits = carries or bool(journal)
        groups = inherited.to_hand_on()
        self.notifier.reloading()
        try:
            with self._starting(groups, carries, waits, daemon.application) as successor:
                await self._within(successor.expect("loaded"), "load")
                if waits:
                    await self._pause(daemon, successor, groups, carries)
                else:
                    await self._agree(successor, inherited.kept_paths())
                    inherited.keep_paths(inherited.paths_of(groups))
        except BaseException:
            self.notifier.ready("the reload failed; it runs as before")
            raise
        finally:
            for group in groups:
                for sock in group.sockets:
                    sock.close()
        return self._agreed(daemon, successor.process.pid, waits)

    def _carries(self, daemon: Daemon, source: str) -> bool:
        application = daemon.application
        if source not in SOURCES:
            raise DaemonError(f"can't reload from {source!r}", None, "image or state")
        if application.loaded_from is None or not daemon.owns_state:
            if source == "state":
                raise DaemonError("it has no state of an image that could be carried over")
            return False
        if source:
            return source == "state"
        name = os.path.basename(application.loaded_from)
        if name.startswith(application.file_name(SNAPSHOT)):
            return True  # it changes whenever this process saves
        now = _fingerprint(application.loaded_from)
        return now is None or now == self._loaded

    @contextlib.contextmanager
    def _starting(
        self, groups: Groups, carries: bool, waits: bool, application: Application
    ) -> Iterator[Heir]:
        """The successor's process, told what it gets; ended if the body fails."""
        from tapkit.run.reload.heir import Heir

        successor = Heir(self.line, self.stays)
        try:
            readable = application.loaded_from and os.access(application.loaded_from, os.R_OK)
            successor.greet(
                [self.pidfile.fd, *(sock.fileno() for group in groups for sock in group.sockets)],
                sockets=[(group.request, len(group.sockets)) for group in groups],
                kept_paths=[*inherited.kept_paths(), *inherited.paths_of(groups)],
                waits=waits,
                tries=bool(readable) or not carries,
            )
            yield successor
        except BaseException:
            successor.kill()
            raise
        finally:
            successor.channel.socket.close()

    async def _within(self, step: Any, what: str) -> None:
        try:
            await asyncio.wait_for(step, self.limit)
        except asyncio.TimeoutError:
            raise DaemonError(
                f"the new process did not {what} within {self.limit:g} seconds",
                None,
                "see its log lines, or give it more with --start-timeout",
            ) from None

    async def _agree(self, successor: Heir, kept: list[str]) -> None:
        """Wait until it is ready, and leave the rest to it.

        Parameters:
            kept: paths of sockets that are neither's to remove.
        """
        await self._within(successor.expect("ready"), "start")
        # Before it speaks for itself, to a supervisor that listens to one process.
        self.notifier.ready("another process has taken over", successor.process.pid)
        # From here on there is no way back, not even for a stop that comes in between: only
        # where the new one dies before it has let anybody in.
        taking = asyncio.ensure_future(successor.take_over(kept))
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({taking}, timeout=_TAKING_LIMIT)
        if taking.cancel():
            return  # it is slow: it may have let clients in already
        try:
            taking.result()
        except DaemonError:
            self.pidfile.write()  # its number may be in it already
            raise

    async def _pause(self, daemon: Daemon, successor: Heir, groups: Groups, carries: bool) -> None:
        """Stop the services, send their state, and wait; on failure start them again."""
        paths = inherited.paths_of(groups)
        kept = set(inherited.kept_paths())
        inherited.keep_paths(paths)
        try:
            await wind_down(daemon.application, GRACE)
            await daemon.rest()
            data, message = self._state(daemon.application) if carries else (b"", {"state": 0})
            await successor.channel.tell(bulk=data, **message)
            await self._agree(successor, sorted(kept))
        except asyncio.CancelledError:
            inherited.keep_paths(set(paths) - kept, keep=False)
            raise  # this process is told to stop, and everything in it is stopped
        except BaseException:
            await successor.end()
            inherited.keep_paths(set(paths) - kept, keep=False)
            await _start_again(daemon, groups)
            raise

    def _state(self, application: Application) -> tuple[bytes, dict[str, Any]]:
        """The state of a stopped application, and the message that announces it."""
        with application.lifted():  # the successor is given the same `--set`
            data = image.dumps(
                application, "pickle", root=application.path_root, name=application.name
            )
        return data, {
            "state": len(data),
            "form": application.form,
            "loaded_from": application.loaded_from,
            "made_with": dict(application.made_with),
            "sealed": application.seal != OPEN,
            "fingerprint": self._loaded,
        }

    def _agreed(self, daemon: Daemon, pid: int, waited: bool) -> int:
        self.successor = pid
        self.notifier.hush()  # it is not the main process any more
        self.pidfile.leave()
        path = daemon.application.loaded_from
        # What an administrator edited is not overwritten with what it replaced.
        if waited or (path and path == _shutdown_path(daemon)):
            daemon.saver.policy = SavePolicy(None, f"PID {pid} has taken over")
        return pid


async def wind_down(application: Application, grace: float) -> None:
    """Accept no more; connections get `grace` seconds to end by themselves."""
    finishing = [
        service.finish(grace) for service in services(application) if hasattr(service, "finish")
    ]
    for failure in await asyncio.gather(*finishing, return_exceptions=True):
        if isinstance(failure, Exception):
            log.error("while accepting ended: %s", describe(failure), exc_info=failure)


def services(collection: Any) -> Iterator[Any]:
    """Every service below `collection`."""
    todo = list(collection)
    while todo:
        service = todo.pop()
        yield service
        if isinstance(service, IServiceCollection):
            todo.extend(service)


async def _start_again(daemon: Daemon, groups: Groups) -> None:
    """Serve again, on the sockets that were to be handed on."""
    inherited.hand(
        group._replace(sockets=[sock.dup() for sock in group.sockets]) for group in groups
    )
    try:
        await daemon.wake()
    finally:
        for group in inherited.unclaimed():
            for sock in group.sockets:
                sock.close()


def _shutdown_path(daemon: Daemon) -> str | None:
    saving = daemon.saving
    return None if saving.folder is None else saving.path(daemon.application, SHUTDOWN)


def _fingerprint(path: str | None) -> tuple[int, ...] | None:
    """What tells a file from itself after a change; None where there is none to be seen."""
    try:
        found = os.stat(path) if path else None
    except OSError:
        return None
    return found and (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
