"""How a connection ends: flushed, lingering, aborted, half-closed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from tapkit.internet import UNIXServer
from tapkit.net import connection
from tapkit.net.connection import Connection
from tapkit.net.connections import Connections
from tapkit.protocol import ConnectionDone
from tests.loops import PATIENCE, Run, ask, connected, running, small_client, until
from tests.loops import run as run
from tests.peers import MEGABYTE, Recorder, RecorderFactory, RecordingEcho, serve

# Closing.


@pytest.mark.parametrize("chatty", [False, True])
def test_lose_connection_flushes_to_a_slow_reader(run: Run, chatty: bool) -> None:
    """All that was written arrives, however slowly it is read, and though the peer talks on."""
    data = bytes(range(256)) * (12 * MEGABYTE // 256)

    class Big(Recorder):
        def connectionMade(self) -> None:
            super().connectionMade()
            self.transport.write(data)
            self.transport.loseConnection()
            self.transport.write(b"dropped")

    async def main() -> None:
        service = serve(Big)
        service.drain_timeout = 10.0
        async with running(service):
            client = small_client(service)
            got = bytearray()

            def read_slowly() -> None:
                while piece := client.recv(65536):
                    got.extend(piece)
                    if chatty and len(got) % 7 == 0:
                        client.send(b"x" * 1000)  # never read by the protocol

            loop = asyncio.get_running_loop()
            try:
                if chatty:
                    client.send(b"x" * 100_000)
                await loop.run_in_executor(None, read_slowly)
            finally:
                client.close()
            assert len(got) == len(data)
            assert got == data
            made = service.factory.protocols[0]
            await until(lambda: made.events)
            assert [type(event) for event in made.events] == [ConnectionDone]

    run(main())


def test_a_lingering_close_ends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that reads all but never closes its side is let go after LINGER seconds."""
    monkeypatch.setattr(connection, "LINGER", 0.05)

    class Big(Recorder):
        def connectionMade(self) -> None:
            super().connectionMade()
            self.transport.write(b"x" * 16 * MEGABYTE)
            self.transport.loseConnection()

    async def main() -> None:
        async with (
            running(serve(Big)) as service,
            connected(service) as (reader, _),
        ):
            assert len(await reader.read()) == 16 * MEGABYTE
            made = service.factory.protocols[0]
            await until(lambda: made.events)
            assert isinstance(made.events[-1], ConnectionDone)

    run(main())


def test_abort_connection_drops_what_waits(run: Run) -> None:
    """abortConnection ends at once, and connectionLost says who did it."""

    class Aborting(Recorder):
        def dataReceived(self, data: bytes) -> None:
            self.transport.write(b"x" * 32 * MEGABYTE)
            self.transport.abortConnection()
            self.transport.write(b"more")
            self.transport.loseConnection()

    async def main() -> None:
        async with running(serve(Aborting)) as service, connected(service) as (reader, writer):
            writer.write(b"go")
            assert len(await reader.read()) < 32 * MEGABYTE
            made = service.factory.protocols[0]
            await until(lambda: made.events)
            assert isinstance(made.events[0], ConnectionAbortedError)
            assert len(made.events) == 1

    run(main())


def test_a_reset_by_the_peer_is_the_reason(run: Run) -> None:
    """connectionLost is told how the connection broke."""

    async def main() -> None:
        async with running(serve(Recorder)) as service:
            client = socket.create_connection(("127.0.0.1", service.bound_port))
            made = await until(lambda: service.factory.protocols and service.factory.protocols[0])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            await until(lambda: made.events)
            assert isinstance(made.events[-1], ConnectionResetError)

    run(main())


# Peers that talk: a close with unread input would reset the connection.

ANSWER = bytes(range(256)) * 200  # fits asyncio's buffer, not the client's: a short answer


class AnswerAtOnce(Recorder):
    def connectionMade(self) -> None:
        super().connectionMade()
        self.transport.write(ANSWER)
        self.transport.loseConnection()


class AnswerTheFirst(Recorder):
    """Answers the first data, which may not be all."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.transport.write(ANSWER)
        self.transport.loseConnection()


class AnswerPaused(AnswerTheFirst):
    def dataReceived(self, data: bytes) -> None:
        self.transport.pauseProducing()
        super().dataReceived(data)


def is_lost(made: Recorder) -> bool:
    return bool(made.events) and isinstance(made.events[-1], Exception)


def small_unix_client(service: Any) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(service.addresses[0])
    return client


def read_and_talk(client: socket.socket) -> bytes:
    """Read slowly to the end, saying something now and then; a reset is an exception."""
    got = bytearray()
    while piece := client.recv(1000):
        got += piece
        if len(got) < len(ANSWER):
            client.send(b"and another thing\n")
    client.close()
    return bytes(got)


@pytest.mark.parametrize("local", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("answering", [AnswerAtOnce, AnswerTheFirst, AnswerPaused])
def test_a_peer_that_talks_first_gets_its_answer(
    run: Run, tmp_path: Path, answering: type[Recorder], local: bool
) -> None:
    """However much it sends, before and after the close, no reset cuts its answer short."""

    async def main() -> None:
        path = str(tmp_path / "s")
        service = UNIXServer(path, RecorderFactory(answering)) if local else serve(answering)
        service.drain_timeout = 10.0
        async with running(service):
            # The loop, and so the server, does not run before all of this is sent.
            connect = small_unix_client if local else small_client
            with contextlib.ExitStack() as open_clients:
                clients = [open_clients.enter_context(connect(service)) for _ in range(20)]
                for client in clients:
                    client.sendall(b"hello\n" * 2000)
                read = functools.partial(asyncio.get_running_loop().run_in_executor, None)
                answers = [await read(read_and_talk, client) for client in clients]
            assert [len(answer) for answer in answers] == [len(ANSWER)] * len(clients)
            assert set(answers) == {ANSWER}
            protocols = service.factory.protocols
            await until(lambda: all(is_lost(made) for made in protocols))
            assert [type(made.events[-1]) for made in protocols] == [ConnectionDone] * 20

    run(main())


@pytest.mark.parametrize("answering", [AnswerTheFirst, AnswerPaused])
def test_a_peer_that_talked_and_stays_is_let_go(
    run: Run, monkeypatch: pytest.MonkeyPatch, answering: type[Recorder]
) -> None:
    """It reads the end at once; after BRIEF_LINGER seconds the connection is gone."""
    monkeypatch.setattr(connection, "BRIEF_LINGER", 0.05)
    monkeypatch.setattr(connection, "LINGER", 0.05)

    async def main() -> None:
        async with running(serve(answering)) as service, connected(service) as (reader, writer):
            writer.write(b"hello")
            assert await reader.read() == ANSWER
            made = service.factory.protocols[0]
            await until(lambda: len(made.events) == 2)
            assert made.events[0] == b"hello"
            assert isinstance(made.events[1], ConnectionDone)

    run(main())


def test_a_silent_peer_is_closed_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing was sent nothing can be lost: its connection does not linger."""
    monkeypatch.setattr(connection, "BRIEF_LINGER", 2 * PATIENCE)

    async def main() -> None:
        async with running(serve(AnswerAtOnce)) as service, connected(service) as (reader, _):
            assert await reader.read() == ANSWER
            made = service.factory.protocols[0]
            await until(lambda: made.events)  # and the peer has not closed
            assert isinstance(made.events[-1], ConnectionDone)

    run(main())


def test_idle_peers_do_not_hold_up_a_stop(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that talked, and whose all is read, are closed at once when the service stops."""
    monkeypatch.setattr(connection, "BRIEF_LINGER", 2 * PATIENCE)

    async def main() -> None:
        service = serve(RecordingEcho)
        service.drain_timeout = 2 * PATIENCE
        await service.startService()
        async with connected(service) as (reader, writer):
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            made = service.factory.protocols[0]
            await service.stopService()
            assert [type(event) for event in made.events] == [ConnectionDone]
            assert await reader.read() == b""

    run(main())


def test_a_close_after_the_peers_reset_is_a_close(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """loseConnection does not raise when the peer is gone already."""

    async def main() -> None:
        async with running(serve(AnswerTheFirst)) as service:
            client = socket.create_connection(("127.0.0.1", service.bound_port))
            made = await until(lambda: service.factory.protocols and service.factory.protocols[0])
            client.send(b"hello")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            await until(lambda: is_lost(made))

    run(main())
    assert "dataReceived failed" not in caplog.text


# Half-close, either way.


def test_an_end_from_the_peer_still_gets_its_answer(run: Run) -> None:
    """A peer that half-closes after its request reads the whole answer, large as it is."""
    answer = b"y" * 20 * MEGABYTE

    class Answering(Recorder):
        def dataReceived(self, data: bytes) -> None:
            self.transport.write(answer)

    async def main() -> None:
        async with running(serve(Answering)) as service:
            assert await ask(service, b"?") == answer

    run(main())


def test_read_connection_lost_may_write_on(run: Run) -> None:
    """Overriding readConnectionLost keeps the connection open for an answer that comes later."""

    class Later(Recorder):
        def readConnectionLost(self) -> None:
            asyncio.get_running_loop().call_later(0.01, self.finish)

        def finish(self) -> None:
            self.transport.pauseProducing()  # must not make the end be found again
            self.transport.resumeProducing()
            self.transport.write(b"late")
            self.transport.loseConnection()

    async def main() -> None:
        async with running(serve(Later)) as service:
            assert await ask(service, b"?") == b"late"
            made = service.factory.protocols[0]
            await until(lambda: len(made.events) == 2)

    run(main())


def test_lose_write_connection_reads_on(run: Run) -> None:
    """loseWriteConnection tells the peer the end, and what it still sends is received."""

    class HalfClosing(Recorder):
        def connectionMade(self) -> None:
            super().connectionMade()
            self.transport.write(b"bye")
            self.transport.loseWriteConnection()
            self.transport.loseWriteConnection()
            self.transport.write(b"dropped")

    async def main() -> None:
        async with running(serve(HalfClosing)) as service, connected(service) as (reader, writer):
            assert await reader.read() == b"bye"
            writer.write(b"still here")
            writer.write_eof()
            made = service.factory.protocols[0]
            await until(lambda: len(made.events) == 2)
            assert made.events[0] == b"still here"
            assert isinstance(made.events[1], ConnectionDone)

    run(main())


def test_both_ends_half_closed_is_closed(run: Run) -> None:
    """loseWriteConnection after the peer's end closes the connection."""

    class Closing(Recorder):
        def readConnectionLost(self) -> None:
            self.transport.write(b"end")
            self.transport.loseWriteConnection()

    async def main() -> None:
        async with running(serve(Closing)) as service:
            assert await ask(service, b"?") == b"end"
            made = service.factory.protocols[0]
            await until(lambda: isinstance(made.events[-1], ConnectionDone))

    run(main())


# Odds and ends of the connection itself.


def test_no_connection_outlives_its_service(run: Run) -> None:
    """A connection that is only being made when its service has stopped is aborted."""

    async def main() -> None:
        connections = Connections()
        connections.closing = True
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        factory = RecorderFactory()
        await loop.connect_accepted_socket(lambda: Connection(factory, connections), ours)
        await until(lambda: not connections.open)
        assert factory.protocols == []
        theirs.close()

    run(main())


def test_a_unix_peer_has_no_name(run: Run, tmp_path: Any) -> None:
    """Half-close and addresses work on UNIX sockets too."""

    async def main() -> None:
        path = str(tmp_path / "s")
        async with running(UNIXServer(path, RecorderFactory(RecordingEcho))) as service:
            assert await ask(service, b"hello") == b"hello"
            made = service.factory.protocols[0]
            assert made.transport.getPeer() == ""

    run(main())
