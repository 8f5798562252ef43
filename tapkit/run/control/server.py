"""A daemon's control socket: `tapctl` asks, the `Daemon` does. COMMANDS is all it can be asked.

The kernel says who asks: root, who started the daemon, or whom it became; nobody else is heard.
Whatever is sent, the daemon goes on: questions are bounded in size and time, connections in
number, and a handler that fails is an answer that says so. The sockets are served by plain
`sock_recv` and not by an asyncio server, whose close waits for its clients on 3.12 and later,
and removes the socket's path, which after a restart is the next daemon's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from tapkit.errors import DaemonError, TapkitError, describe
from tapkit.names import suggestion
from tapkit.net import inherited
from tapkit.net.listening import identity
from tapkit.run import logs
from tapkit.run.control import protocol, sockets
from tapkit.run.process.pidfile import PidFile

if TYPE_CHECKING:
    from tapkit.run.daemon import Daemon

log = logging.getLogger("tapkit.control")

MOST_CONNECTIONS = 32
QUESTION_LIMIT = 5.0  # seconds for a whole question to come, and for its answer to be taken
FAREWELL_LIMIT = 1.0  # seconds, when the daemon has stopped, for those who wait to be told


class ControlServer:
    """The control socket of this process.

    Parameters:
        pidfile: this process holds it locked, or will when it takes over from another one,
            which handed it the socket.
        uid: whom the process becomes, if it does.

    Raises:
        OSError: the socket can't be had.
    """

    def __init__(self, pidfile: PidFile, uid: int | None = None):
        path = sockets.path_beside(pidfile.path)
        self.facts: dict[str, Any] = {  # by their outside names: a chroot may come
            "pidfile": pidfile.path,
            "rundir": os.getcwd(),
            "log": logs.place(),
            "started": time.time(),
        }
        self._pidfile = pidfile
        self._heard = {0, os.getuid(), os.geteuid()} | ({uid} if uid is not None else set())
        handed = inherited.claim(f"control:{path}", None, socket.SOCK_STREAM)
        self._socket = handed[0] if handed else sockets.bind(path, uid)
        self._socket.setblocking(False)  # one that was handed over is made anew, and blocks
        inherited.note(f"control:{path}", [self._socket])
        self._identity = identity(path)
        self._serving: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[None] | None = None

    @contextlib.asynccontextmanager
    async def serving(self, daemon: Daemon) -> AsyncIterator[None]:
        """Answer while the daemon lives; tell those who wait for its end how it was."""
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        self.facts["image"] = daemon.application.loaded_from
        self._pidfile.when_ours(
            lambda: loop.add_reader(self._socket.fileno(), self._accept, daemon)
        )
        daemon.on_handed_over.append(self._hand_over)
        try:
            yield
        except BaseException as error:
            told = error if isinstance(error, Exception) else DaemonError(describe(error))
            self._ended.set_exception(told)
            self._ended.exception()  # nobody need have asked
            raise
        else:
            self._ended.set_result(None)
        finally:
            loop.remove_reader(self._socket.fileno())
            if self._identity is not None:  # not handed over: else they are another's to answer
                while self._accept(daemon):
                    pass  # who asked just now is not to find the door slammed
            await self._part()

    def close(self) -> None:
        """Remove the socket, if it still is ours: another process may have taken over."""
        self._socket.close()
        inside = self._pidfile.path  # "": it is outside the chroot
        path = sockets.path_beside(inside) if inside else None
        if path is not None and inherited.is_kept(path):
            return  # this process was to take over, and did not
        if path is None or self._identity is None or self._identity != identity(path):
            return
        try:
            os.unlink(path)
        except OSError as error:
            # Its privileges are shed. The next daemon there replaces it, and tapctl sees that
            # nobody listens.
            log.debug("can't remove the control socket: %s", describe(error))

    async def ended(self) -> None:
        """Wait until the daemon has stopped and saved.

        Raises:
            Exception: what its life ended with.
        """
        assert self._ended is not None
        await asyncio.shield(self._ended)

    def _hand_over(self) -> None:
        """From now on another process listens on the socket; what it has asked us is answered."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._identity = None

    def _accept(self, daemon: Daemon) -> bool:
        """Serve who has connected; whether anybody had."""
        try:
            connection, _ = self._socket.accept()
        except OSError:  # it left already, or there are no descriptors: it may ask again
            return False
        connection.setblocking(False)
        if not self._may_ask(connection) or len(self._serving) >= MOST_CONNECTIONS:
            connection.close()
            return True
        self._serving.add(asyncio.get_running_loop().create_task(self._serve(daemon, connection)))
        return True

    def _may_ask(self, connection: socket.socket) -> bool:
        try:
            uid = sockets.peer_uid(connection)
        except OSError:
            return False
        if uid not in self._heard:
            log.warning("user %d may not control this daemon, and was not heard", uid)
        return uid in self._heard

    async def _serve(self, daemon: Daemon, connection: socket.socket) -> None:
        """One question, one answer."""
        loop = asyncio.get_running_loop()
        try:
            message = await asyncio.wait_for(_receive(connection), QUESTION_LIMIT)
            answer = await self._answer(daemon, message)
            await asyncio.wait_for(loop.sock_sendall(connection, answer), QUESTION_LIMIT)
        except (OSError, EOFError, DaemonError, asyncio.TimeoutError) as error:
            log.debug("a control connection ended early: %s", describe(error))
        finally:
            # The place first, and not when the task is seen to be done: uvloop may accept in
            # between, and who asks again at once would be one too many.
            task = asyncio.current_task()
            assert task is not None
            self._serving.discard(task)
            connection.close()

    async def _answer(self, daemon: Daemon, message: dict[str, Any]) -> bytes:
        try:
            command, arguments = protocol.asked(message)
            handler = COMMANDS.get(command)
            if handler is None:
                close = suggestion(command, COMMANDS)
                raise DaemonError(
                    f"the daemon knows no {command!r}{close}",
                    None,
                    "tapctl and the daemon are of different versions: start the daemon anew",
                )
            return protocol.frame(protocol.result(await handler(self, daemon, arguments)))
        except TapkitError as error:
            return protocol.frame(protocol.refusal(error))
        except Exception as error:
            log.error("a control command failed: %s", describe(error), exc_info=error)
            return protocol.frame(protocol.refusal(DaemonError(f"it failed: {describe(error)}")))

    async def _part(self) -> None:
        """Let those who wait for the end be told, and drop the others."""
        if self._serving:
            await asyncio.wait(self._serving, timeout=FAREWELL_LIMIT)
        for task in list(self._serving):
            task.cancel()


@contextlib.contextmanager
def control_socket(pidfile: PidFile, uid: Any = None) -> Iterator[ControlServer | None]:
    """The control socket of this process, or None, said in the log, where there can be none:
    a daemon whose file system has no sockets still serves."""
    try:
        server = ControlServer(pidfile, uid if type(uid) is int else None)
    except OSError as error:
        log.warning("no control socket, so tapctl can't ask this daemon: %s", describe(error))
        yield None
        return
    try:
        yield server
    finally:
        server.close()


def serving(
    server: ControlServer | None, daemon: Daemon
) -> contextlib.AbstractAsyncContextManager[None]:
    """Answer, where there is a control socket, while the daemon lives."""
    return contextlib.nullcontext() if server is None else server.serving(daemon)


async def _receive(connection: socket.socket) -> dict[str, Any]:
    head = await _read(connection, protocol.HEAD)
    length = protocol.length_of(head, protocol.LARGEST_QUESTION)
    return protocol.message_of(await _read(connection, length))


async def _read(connection: socket.socket, length: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < length:
        more = await loop.sock_recv(connection, length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


# What can be asked, each given the server, the daemon and the arguments.


async def _status(server: ControlServer, daemon: Daemon, _: dict[str, Any]) -> dict[str, Any]:
    from tapkit.run.control.status import status

    uptime = max(0.0, time.time() - server.facts["started"])
    return {**status(daemon), **server.facts, "uptime": uptime}


async def _stop(server: ControlServer, daemon: Daemon, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answers when the daemon has stopped and saved; its process ends a moment later."""
    from tapkit.run.control.status import saved

    saves = arguments.get("save", True)
    (daemon.stop if saves else daemon.quit)("tapctl stop")
    await server.ended()
    return {"saved": saved(daemon) if saves else None}


async def _snapshot(_: ControlServer, daemon: Daemon, __: dict[str, Any]) -> dict[str, Any]:
    """Answers when it is on the disk."""
    done = await daemon.snapshot("tapctl snapshot")
    return done._asdict()


async def _reload(_: ControlServer, daemon: Daemon, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answers when the new process has taken over."""
    return {"pid": await daemon.reload("tapctl reload", str(arguments.get("source") or ""))}


Handler = Callable[["ControlServer", "Daemon", "dict[str, Any]"], Awaitable[Any]]

COMMANDS: dict[str, Handler] = {
    "status": _status,
    "stop": _stop,
    "snapshot": _snapshot,
    "reload": _reload,
}
"""Each command that the control socket takes."""
