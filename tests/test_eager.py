"""Connections that begin before the event loop has them: nobody can tell the difference."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
from typing import Any

import pytest

from tapkit.net import eager
from tapkit.net.connection import Connection
from tapkit.net.connections import Connections
from tapkit.protocol import ConnectionDone, Protocol
from tests.loops import Run, ask, connected, running, small_client, until
from tests.loops import run as run
from tests.peers import MEGABYTE, QUOTE, Recorder, RecordingEcho, serve


def test_a_short_conversation_never_reaches_the_loop(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said and closed in connectionMade costs no transport, no task."""
    handed: list[Any] = []
    monkeypatch.setattr(eager.Fresh, "hand_over", lambda self, transport: handed.append(self))

    class Quote(Recorder):
        def connectionMade(self) -> None:
            super().connectionMade()
            self.transport.write(QUOTE)
            self.transport.loseConnection()

    async def main() -> None:
        async with running(serve(Quote)) as service:
            for _ in range(3):
                assert await ask(service) == QUOTE
            made = service.factory.protocols
            assert [[type(event) for event in one.events] for one in made] == [[ConnectionDone]] * 3
            assert not any(one.connected for one in made)

    run(main())
    assert handed == []


def test_many_at_once(run: Run) -> None:
    """More than one batch waits in the backlog: all are served, each from the first byte on."""
    count = eager.BATCH + 40

    async def main() -> None:
        service = serve(RecordingEcho)
        service.backlog = count
        async with running(service):
            said = [b"%d" % number for number in range(count)]
            assert await asyncio.gather(*(ask(service, word) for word in said)) == said

    run(main())


def test_what_connection_made_sees(run: Run) -> None:
    """Peer, host and socket are known in connectionMade, and are the same later."""

    class Curious(RecordingEcho):
        def look(self) -> tuple[Any, ...]:
            sock = self.transport.get_extra_info("socket")
            option = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
            there = (self.transport.getPeer(), self.transport.getHost(), sock.fileno(), option)
            return (*there, self.transport.get_extra_info("peercert", "none"))

        def connectionMade(self) -> None:
            super().connectionMade()
            self.first = self.look()

    async def main() -> None:
        async with running(serve(Curious)) as service, connected(service) as (reader, writer):
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            made = service.factory.protocols[0]
            assert made.first == made.look()
            assert made.first[0] == writer.get_extra_info("sockname")
            assert made.first[1] == writer.get_extra_info("peername")
            assert made.first[3:] == (socket.SOCK_STREAM, "none")

    run(main())


def test_more_than_the_kernel_takes(run: Run) -> None:
    """What connectionMade writes beyond the socket's buffer is sent later, in order, once."""
    data = bytes(range(256)) * (8 * MEGABYTE // 256)

    class Big(Recorder):
        def connectionMade(self) -> None:
            super().connectionMade()
            for start in range(0, len(data), MEGABYTE):
                self.transport.write(data[start : start + MEGABYTE])
            assert self.transport._transport.get_write_buffer_size() > 0
            self.transport.loseWriteConnection()

    async def main() -> None:
        async with running(serve(Big)) as service, connected(service) as (reader, _):
            assert await reader.read(-1) == data

    run(main())


@pytest.mark.parametrize("aborted", [False, True])
def test_closed_between_the_two(run: Run, aborted: bool) -> None:
    """A close right after connectionMade, before the loop has the socket, is a close."""

    class Later(Recorder):
        def connectionMade(self) -> None:
            super().connectionMade()
            self.transport.write(b"hello")
            close = self.transport.abortConnection if aborted else self.transport.loseConnection
            asyncio.get_running_loop().call_soon(close)

    async def main() -> None:
        async with running(serve(Later)) as service:
            assert await ask(service) == b"hello"
            made = service.factory.protocols[0]
            await until(lambda: made.events)
            wanted = ConnectionAbortedError if aborted else ConnectionDone
            assert [type(event) for event in made.events] == [wanted]

    run(main())


def test_a_peer_that_is_gone_already(run: Run) -> None:
    """A connection reset while it waited in the backlog is lost, with its reason, once."""

    class Greets(Recorder):
        def connectionMade(self) -> None:
            super().connectionMade()
            self.transport.write(b"hello")
            self.transport.write(b"again")

    async def main() -> None:
        async with running(serve(Greets)) as service:
            client = small_client(service)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            made = await until(lambda: service.factory.protocols and service.factory.protocols[0])
            await until(lambda: made.events)
            assert len(made.events) == 1
            assert isinstance(made.events[0], ConnectionError)
            assert not service._listener.connections.open

    run(main())


def test_a_hook_that_raises(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in connectionMade is logged with the peer, and closes that connection alone."""

    class Breaks(Recorder):
        def connectionMade(self) -> None:
            super().connectionMade()
            if len(self.factory.protocols) == 1:
                raise RuntimeError("no mood")
            self.transport.write(b"fine")
            self.transport.loseConnection()

    async def main() -> None:
        async with running(serve(Breaks)) as service:
            assert await ask(service) == b""
            assert await ask(service) == b"fine"

    with caplog.at_level(logging.ERROR):
        run(main())
    assert "Breaks.connectionMade failed for 127.0.0.1:" in caplog.text


def test_out_of_file_descriptors(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without descriptors the server says so once, waits, and serves those that waited."""
    monkeypatch.setattr(eager, "RETRY", 0.02)

    class Exhausted:
        """A listening socket whose first accepts fail, as with EMFILE they would."""

        def __init__(self, sock: socket.socket):
            self.sock, self.left = sock, 2

        def _accept(self) -> Any:
            if self.left:
                self.left -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return self.sock._accept()  # type: ignore[attr-defined]

        def __getattr__(self, name: str) -> Any:
            return getattr(self.sock, name)

    async def main() -> None:
        async with running(serve(RecordingEcho)) as service:
            server = service._listener._servers[0]
            server._sock = Exhausted(server._sock)
            assert await ask(service, b"patience") == b"patience"

    with caplog.at_level(logging.ERROR):
        run(main())
    assert caplog.text.count("can't accept a connection (Too many open files)") == 2


def test_closing_while_it_waits_for_descriptors(run: Run) -> None:
    """A server closed while it pauses does not begin to accept again."""

    async def main() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        server = eager.EagerServer(sock, lambda: None)
        await server.start_serving()
        server._pause(OSError(errno.ENFILE, "Too many open files in system"))
        retry = server._retry
        server.close()
        server.close()
        assert retry is not None
        assert retry.cancelled()
        assert sock.fileno() == -1

    run(main())


def test_the_loop_ends_meanwhile(run: Run) -> None:
    """Cancelled while the loop takes the socket, it is closed, and lost no more than once."""

    async def main() -> None:
        lost: list[Any] = []

        class Made(Protocol):
            def connectionLost(self, reason: BaseException) -> None:
                lost.append(reason)

        class One:
            def buildProtocol(self, _peer: Any) -> Any:
                return Made()

        ours, theirs = socket.socketpair()
        with ours, theirs:
            listening = socket.create_server(("127.0.0.1", 0))
            server = eager.EagerServer(listening, lambda: None)
            connection = Connection(One(), Connections())
            fresh = eager.Fresh(ours, "")
            connection.connection_made(fresh)
            task = asyncio.ensure_future(server._hand_over(fresh, connection))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            server.close()
            theirs.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(theirs, 1) == b""
            assert len(lost) <= 1  # uvloop itself tells nobody

    run(main())
