"""Protocols, factories and their transport, over real sockets on both event loops."""

from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
import socket
import struct
import threading
from typing import Any

import pytest

from tapkit import protocol
from tapkit.errors import ServiceError, TapkitError
from tapkit.internet import TCPServer, UNIXServer
from tapkit.net import connection
from tapkit.net.connection import Address, Connection, Connections, address_of
from tapkit.protocol import (
    ClientFactory,
    ConnectionDone,
    DatagramProtocol,
    Factory,
    LineReceiver,
    Protocol,
    ServerFactory,
)
from tests.loops import NEW_LOOP, Run, ask, connected, runner, running, small_client, until

MEGABYTE = 1 << 20


@pytest.fixture(params=list(NEW_LOOP))
def run(request: pytest.FixtureRequest) -> Run:
    return runner(request.param)


class Recorder(Protocol):
    """Notes what happens to it on its factory."""

    def connectionMade(self) -> None:
        self.factory.protocols.append(self)
        self.events: list[Any] = []

    def dataReceived(self, data: bytes) -> None:
        self.events.append(data)

    def connectionLost(self, reason: BaseException) -> None:
        self.events.append(reason)


class RecorderFactory(Factory):
    protocol: Any = Recorder

    def __init__(self, protocol: Any = Recorder):
        self.protocol = protocol
        self.protocols: list[Any] = []


def serve(protocol_class: Any) -> TCPServer:
    """A server on a free port of 127.0.0.1 whose connections talk `protocol_class`."""
    service = TCPServer(0, RecorderFactory(protocol_class), "127.0.0.1")
    service.drain_timeout = 0.5
    return service


class Echo(Recorder):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class FakeTransport:
    """What a plug-in author's unit test would hand to makeConnection."""

    def __init__(self) -> None:
        self.written = b""
        self.disconnecting = False

    def write(self, data: bytes) -> None:
        self.written += data

    def loseConnection(self) -> None:
        self.disconnecting = True


# Hooks and the conversation.


def test_a_connection_goes_through_its_hooks(run: Run) -> None:
    """connectionMade, dataReceived, connectionLost come in this order, with a factory."""

    async def main() -> None:
        async with running(serve(Echo)) as service:
            assert await ask(service, b"hello") == b"hello"
            made = service.factory.protocols[0]
            await until(lambda: made.events)
            assert isinstance(made.events[-1], ConnectionDone)
            assert str(made.events[-1]) == "the connection was closed"
            assert made.factory is service.factory
            assert not made.connected

    run(main())


def test_build_protocol_gets_the_address_and_may_refuse(run: Run) -> None:
    """buildProtocol is told the peer's address; None closes the connection."""
    seen = []

    class Choosy(Factory):
        def buildProtocol(self, address: Any) -> Any:
            seen.append(address)

    async def main() -> None:
        service = TCPServer(0, Choosy(), "127.0.0.1")
        async with running(service), connected(service) as (reader, writer):
            mine = writer.get_extra_info("sockname")
            try:
                assert await reader.read() == b""
            except ConnectionResetError:
                pass
            assert seen == [mine]
            assert seen[0].host == "127.0.0.1"

    run(main())


def test_peer_and_host_are_addresses(run: Run) -> None:
    """getPeer and getHost are equal to (host, port), and read like an address."""

    async def main() -> None:
        async with running(serve(Recorder)) as service, connected(service) as (_, writer):
            made = await until(lambda: service.factory.protocols and service.factory.protocols[0])
            assert made.transport.getPeer() == writer.get_extra_info("sockname")
            assert made.transport.getHost() == ("127.0.0.1", service.bound_port)
            assert str(made.transport.getHost()) == f"127.0.0.1:{service.bound_port}"
            assert made.transport.get_extra_info("socket") is not None
            assert made.transport.get_extra_info("nothing", 3) == 3

    run(main())


def test_addresses_read_like_addresses() -> None:
    """IPv6 addresses stand in brackets, UNIX sockets are paths, nameless peers are empty."""
    assert str(address_of(("::1", 80, 0, 0))) == "[::1]:80"
    assert address_of(("::1", 80, 0, 0)) == ("::1", 80)
    assert address_of("/run/x") == "/run/x"
    assert address_of(None) == ""


def test_writelines_sends_all_pieces(run: Run) -> None:
    """writelines sends its pieces in order."""

    class Greeter(Recorder):
        def connectionMade(self) -> None:
            self.transport.writelines([b"a", b"", b"bc"])
            self.transport.loseConnection()

    async def main() -> None:
        async with running(serve(Greeter)) as service:
            assert await ask(service) == b"abc"

    run(main())


# Closing.


@pytest.mark.parametrize("chatty", [False, True])
def test_lose_connection_flushes_to_a_slow_reader(run: Run, chatty: bool) -> None:
    """All that was written arrives, however slowly it is read, and though the peer talks on."""
    data = bytes(range(256)) * (24 * MEGABYTE // 256)

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


# Exceptions in hooks.


class Failing(Recorder):
    """Fails in the hook it is told to."""

    def connectionMade(self) -> None:
        super().connectionMade()
        if self.factory.failing == "connectionMade":
            raise ValueError("a bad hook")

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"so far")
        if self.factory.failing == "dataReceived":
            raise ValueError("a bad hook")

    def readConnectionLost(self) -> None:
        if self.factory.failing == "readConnectionLost":
            raise ValueError("a bad hook")
        super().readConnectionLost()

    def connectionLost(self, reason: BaseException) -> None:
        super().connectionLost(reason)
        if self.factory.failing == "connectionLost":
            raise ValueError("a bad hook")


@pytest.mark.parametrize(
    "hook", ["connectionMade", "dataReceived", "readConnectionLost", "connectionLost"]
)
def test_a_failing_hook_closes_its_connection_alone(
    run: Run, caplog: pytest.LogCaptureFixture, hook: str
) -> None:
    """It is logged with traceback and peer; other connections and the server live on."""

    async def main() -> str:
        service = serve(Failing)
        service.factory.failing = None
        async with running(service), connected(service) as (reader, writer):
            await until(lambda: service.factory.protocols)
            service.factory.failing = hook
            answer = await ask(service, b"" if hook == "connectionMade" else b"x")
            assert answer == (b"" if hook == "connectionMade" else b"so far")
            failed = service.factory.protocols[1]
            await until(lambda: failed.events)
            if hook != "connectionLost":
                assert isinstance(failed.events[-1], ValueError)
            service.factory.failing = None
            writer.write(b"still")
            assert await reader.readexactly(6) == b"so far"
        return hook

    with caplog.at_level(logging.ERROR, "tapkit.protocol"):
        run(main())
    (record,) = caplog.records
    assert f"Failing.{hook} failed for 127.0.0.1:" in record.getMessage()
    assert "ValueError: a bad hook" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[2] is not None


def test_a_factory_without_a_protocol_says_so(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """The connection is closed, and the log names the factory and the remedy."""

    async def main() -> None:
        async with running(TCPServer(0, Factory(), "127.0.0.1")) as service:
            assert await ask(service) == b""

    run(main())
    assert "set its class attribute protocol, or override buildProtocol" in caplog.text
    assert "Factory.buildProtocol failed for 127.0.0.1" in caplog.text


# Back-pressure.


def test_an_echo_to_a_peer_that_does_not_read_stays_small(run: Run) -> None:
    """Tens of megabytes to a peer that reads later: the server holds back, and loses nothing."""
    total = 40 * MEGABYTE
    largest = 0

    class Watched(Echo):
        def dataReceived(self, data: bytes) -> None:
            nonlocal largest
            super().dataReceived(data)
            largest = max(largest, self.transport._transport.get_write_buffer_size())

    async def main() -> int:
        async with running(serve(Watched)) as service:
            client = small_client(service)
            sender = threading.Thread(target=client.sendall, args=(b"z" * total,))
            sender.start()
            try:
                made = await until(lambda: service.factory.protocols[0:])
                await until(lambda: not made[0].transport.reading, "a full buffer")
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(None, read_all, client, total)
            finally:
                client.close()
                sender.join()

    assert run(main()) == total
    assert 0 < largest < MEGABYTE


def read_all(client: socket.socket, total: int) -> int:
    got = 0
    while got < total:
        got += len(client.recv(MEGABYTE))
    return got


def test_a_producer_is_paused_and_resumed(run: Run) -> None:
    """A registered producer is told when to stop and go on; drain() waits for the same."""
    told = []

    class Producer:
        def pauseProducing(self) -> None:
            told.append("pause")

        def resumeProducing(self) -> None:
            told.append("resume")

    async def main() -> None:
        async with running(serve(Recorder)) as service, connected(service) as (reader, _):
            made = await until(lambda: service.factory.protocols and service.factory.protocols[0])
            transport = made.transport
            transport.registerProducer(Producer())
            with pytest.raises(TapkitError, match="registered already"):
                transport.registerProducer(Producer())
            await transport.drain()  # nothing to wait for
            transport.write(b"x" * 16 * MEGABYTE)
            assert told == ["pause"]
            drained = asyncio.ensure_future(transport.drain())
            done, _ = await asyncio.wait({drained}, timeout=0.02)
            assert not done
            await reader.readexactly(16 * MEGABYTE)
            await drained
            assert told == ["pause", "resume"]
            transport.unregisterProducer()
            transport.registerProducer(Producer())
            transport.unregisterProducer()
            with pytest.raises(TapkitError, match="only a producer that pushes"):
                transport.registerProducer(Producer(), False)

    run(main())


def test_a_late_producer_learns_that_the_buffer_is_full(run: Run) -> None:
    """registerProducer on a full transport pauses the producer at once."""
    told = []

    class Producer:
        def pauseProducing(self) -> None:
            told.append("pause")

    async def main() -> None:
        async with running(serve(Recorder)) as service, connected(service):
            made = await until(lambda: service.factory.protocols and service.factory.protocols[0])
            made.transport.write(b"x" * 16 * MEGABYTE)
            made.transport.registerProducer(Producer())
            assert told == ["pause"]
            made.transport.abortConnection()

    run(main())


def test_a_failing_producer_is_a_failing_hook(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in a producer is logged and closes the connection it writes to."""

    class Producer:
        def pauseProducing(self) -> None:
            raise ValueError("no pause")

    async def main() -> None:
        async with running(serve(Recorder)) as service, connected(service) as (reader, writer):
            made = await until(lambda: service.factory.protocols and service.factory.protocols[0])
            made.transport.registerProducer(Producer())
            made.transport.write(b"x" * 16 * MEGABYTE)
            assert len(await reader.read()) == 16 * MEGABYTE
            writer.close()
            await until(lambda: made.events)
            assert isinstance(made.events[-1], ValueError)

    run(main())
    assert "pauseProducing failed for 127.0.0.1" in caplog.text


def test_who_waits_in_drain_hears_of_the_loss(run: Run) -> None:
    """drain() on a connection that breaks raises; so does drain() after that."""

    async def main() -> None:
        async with running(serve(Recorder)) as service, connected(service):
            made = await until(lambda: service.factory.protocols and service.factory.protocols[0])
            made.transport.write(b"x" * 16 * MEGABYTE)
            waiting = asyncio.ensure_future(made.transport.drain())
            await asyncio.sleep(0)
            made.transport.abortConnection()
            with pytest.raises(ConnectionResetError):
                await waiting
            with pytest.raises(ConnectionResetError):
                await made.transport.drain()

    run(main())


def test_pause_producing_stops_the_data(run: Run) -> None:
    """While paused nothing is received; afterwards everything is, in order."""

    class Pausing(Recorder):
        def connectionMade(self) -> None:
            super().connectionMade()
            self.pauseProducing()

    async def main() -> None:
        async with running(serve(Pausing)) as service, connected(service) as (_, writer):
            writer.write(b"early")
            made = await until(lambda: service.factory.protocols and service.factory.protocols[0])
            assert not made.transport.reading
            for _ in range(20):
                await asyncio.sleep(0)
            assert made.events == []
            made.resumeProducing()
            await until(lambda: made.events)
            assert made.events == [b"early"]

    run(main())


# Lines.


class Lines(LineReceiver):
    """Notes its lines; does what some of them say."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def lineReceived(self, line: bytes) -> None:
        self.got.append(line)
        if line == b"RAW":
            self.setRawMode()
        elif line == b"QUIT":
            self.transport.loseConnection()
        elif line == b"FEED":
            self.dataReceived(b"fed\r\n")

    def rawDataReceived(self, data: bytes) -> None:
        raw, end, rest = data.partition(b"END")
        self.got.append(("raw", raw))
        if end:
            self.setLineMode(rest)


class BareLines(Lines):
    bare_newline = True


class ShortLines(Lines):
    MAX_LENGTH = 4


class ShortBareLines(ShortLines):
    bare_newline = True


class CommaLines(Lines):
    delimiter = b", "


# name: receiver, pieces of the stream, what it receives, whether it closes
LINES: dict[str, tuple[type[Lines], list[bytes], list[Any], bool]] = {
    "whole": (Lines, [b"a\r\nb\r\n"], [b"a", b"b"], False),
    "empty": (Lines, [b"\r\n\r\n"], [b"", b""], False),
    "cut": (Lines, [b"a", b"b\r", b"\nc\r\nd"], [b"ab", b"c"], False),
    "byte by byte": (Lines, [b"a", b"\r", b"\n", b"\r", b"\n"], [b"a", b""], False),
    "newline is data": (Lines, [b"a\nb\r\n"], [b"a\nb"], False),
    "newline ends": (BareLines, [b"a\nb\r\n\n", b"c\r", b"\n"], [b"a", b"b", b"", b"c"], False),
    "other delimiter": (CommaLines, [b"a, b,", b" c"], [b"a", b"b"], False),
    "raw": (Lines, [b"RAW\r\nxy\r\nENDz\r\n"], [b"RAW", ("raw", b"xy\r\n"), b"z"], False),
    "raw cut": (
        Lines,
        [b"RAW\r\n", b"xy", b"END", b"z\r\n"],
        [b"RAW", ("raw", b"xy"), ("raw", b""), b"z"],
        False,
    ),
    "raw twice": (
        Lines,
        [b"RAW\r\n1ENDRAW\r\n2\r\n", b"ENDz\r\n"],
        [b"RAW", ("raw", b"1"), b"RAW", ("raw", b"2\r\n"), ("raw", b""), b"z"],
        False,
    ),
    "nothing after the close": (Lines, [b"QUIT\r\nx\r\n", b"y\r\n"], [b"QUIT"], True),
    "fed from inside": (Lines, [b"FEED\r\nx\r\n"], [b"FEED", b"x", b"fed"], False),
    "longest": (ShortLines, [b"1234\r\n", b"1234\r", b"\n"], [b"1234", b"1234"], False),
    "longest, bare": (ShortBareLines, [b"1234\n1234\r", b"\n"], [b"1234", b"1234"], False),
    "too long": (ShortLines, [b"12345\r\nx\r\n"], [], True),
    "too long, bare": (ShortBareLines, [b"12345\n"], [], True),
    "too long without an end": (ShortLines, [b"123", b"456"], [], True),
}


@pytest.mark.parametrize(
    ("receiver", "pieces", "expected", "closes"), list(LINES.values()), ids=list(LINES)
)
def test_lines(
    receiver: type[Lines], pieces: list[bytes], expected: list[Any], closes: bool
) -> None:
    """Lines come out the same however the stream is cut; a line too long closes."""
    lines, transport = receiver(), FakeTransport()
    lines.makeConnection(transport)
    for piece in pieces:
        lines.dataReceived(piece)
    assert lines.got == expected
    assert transport.disconnecting is closes


def test_a_long_line_may_be_survived() -> None:
    """An override of lineLengthExceeded that does not close goes on with what comes next."""

    class Tolerant(ShortLines):
        def lineLengthExceeded(self, line: bytes) -> None:
            self.got.append(("long", line))

    lines = Tolerant()
    lines.makeConnection(FakeTransport())
    lines.dataReceived(b"123456")
    lines.dataReceived(b"78\r\n")
    assert lines.got == [("long", b"123456"), b"78"]


def test_many_lines_in_one_chunk_are_cheap() -> None:
    """A hundred thousand lines in one piece neither recurse nor copy the rest each time."""
    lines = Lines()
    lines.makeConnection(FakeTransport())
    lines.dataReceived(b"x\r\n" * 100_000)
    assert len(lines.got) == 100_000


def test_send_line_adds_the_delimiter() -> None:
    """sendLine writes the line and its delimiter."""
    lines, transport = CommaLines(), FakeTransport()
    lines.makeConnection(transport)
    lines.sendLine(b"a")
    assert transport.written == b"a, "


def test_lines_are_held_back_from_a_peer_that_does_not_read(run: Run) -> None:
    """Thousands of requests in one chunk do not make thousands of answers pile up."""
    answer = b"a" * 50_000
    largest = 0

    class Server(LineReceiver):
        def lineReceived(self, line: bytes) -> None:
            nonlocal largest
            self.sendLine(answer + line)
            largest = max(largest, self.transport._transport.get_write_buffer_size())

    count = 1000

    async def main() -> list[bytes]:
        async with running(serve(Server)) as service, connected(service) as (reader, writer):
            writer.write(b"".join(b"%d\r\n" % n for n in range(count)))
            await until(lambda: largest > 50_000, "answers to pile up")
            return [(await reader.readuntil(b"\r\n"))[len(answer) : -2] for _ in range(count)]

    assert run(main()) == [b"%d" % n for n in range(count)]
    assert largest < MEGABYTE


def test_a_line_may_pause_the_rest(run: Run) -> None:
    """Lines of the same chunk wait until resumeProducing, also one from inside the hook."""

    class Patient(LineReceiver):
        def connectionMade(self) -> None:
            self.got: list[bytes] = []
            self.factory.protocols.append(self)

        def lineReceived(self, line: bytes) -> None:
            self.got.append(line)
            self.pauseProducing()
            if line == b"go":
                self.resumeProducing()

    async def main() -> None:
        async with running(serve(Patient)) as service, connected(service) as (_, writer):
            writer.write(b"go\r\none\r\ntwo\r\n")
            made = (await until(lambda: service.factory.protocols))[0]
            await until(lambda: len(made.got) == 2)
            assert made.got == [b"go", b"one"]
            made.resumeProducing()
            assert made.got == [b"go", b"one", b"two"]
            writer.write(b"three\r\n")
            made.resumeProducing()
            await until(lambda: len(made.got) == 4)

    run(main())


def test_a_failing_held_back_line_closes_the_connection(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in a line that was held back is a failing hook like any other."""

    class Fragile(LineReceiver):
        def connectionMade(self) -> None:
            self.factory.protocols.append(self)

        def lineReceived(self, line: bytes) -> None:
            if line == b"bad":
                raise ValueError("a bad line")
            self.pauseProducing()

    async def main() -> None:
        async with running(serve(Fragile)) as service, connected(service) as (reader, writer):
            writer.write(b"good\r\nbad\r\n")
            made = (await until(lambda: service.factory.protocols))[0]
            await until(lambda: not made.transport.reading)
            made.resumeProducing()
            assert await reader.read() == b""

    run(main())
    assert "Fragile.dataReceived failed for 127.0.0.1" in caplog.text


# Factories.


class Counting(ServerFactory):
    def __init__(self) -> None:
        self.events: list[str] = []

    def startFactory(self) -> None:
        self.events.append("start")

    def stopFactory(self) -> None:
        self.events.append("stop")


def test_a_factory_of_two_services_starts_and_stops_once() -> None:
    """startFactory at the first use, stopFactory at the last; one stop too many does nothing."""
    factory = Counting()
    for call in ("doStart", "doStart", "doStop", "doStop", "doStop"):
        getattr(factory, call)()
    assert factory.events == ["start", "stop"]


def test_build_protocol_uses_any_callable() -> None:
    """Factory.protocol may be a class or, on the instance, any callable."""
    factory = ClientFactory()
    factory.protocol = Lines
    built = factory.buildProtocol(Address("h", 1))
    assert isinstance(built, Lines)
    assert built.factory is factory
    with pytest.raises(ServiceError, match=r"tapkit\.protocol\.Factory: set its class attribute"):
        Factory().buildProtocol(None)


# What is saved.


def test_a_saved_protocol_leaves_its_transport(run: Run) -> None:
    """A factory that holds its live protocols is saved without what only lives with them."""

    class_of_factory = RecorderFactory

    async def main() -> None:
        async with running(serve(Echo)) as service, connected(service) as (reader, writer):
            writer.write(b"x")
            await reader.readexactly(1)
            copied = pickle.loads(pickle.dumps(service.factory))
            assert isinstance(copied, class_of_factory)
            (saved,) = copied.protocols
            assert saved.transport is None
            assert not saved.connected
            assert saved.factory is copied
            assert copied.numPorts == 0
            with pytest.raises(TypeError, match="a live connection can't be saved"):
                pickle.dumps(service.factory.protocols[0].transport)

    run(main())


def test_a_saved_line_receiver_forgets_half_a_line() -> None:
    """What belongs to a connection that is gone is no state."""
    lines = Lines()
    lines.makeConnection(None)
    lines.dataReceived(b"ha")
    loaded = pickle.loads(pickle.dumps(lines))
    assert vars(loaded) == {"got": []}


# The list of hooks.


def camel_case(cls: type) -> set[str]:
    return {
        name
        for base in cls.__mro__
        for name, value in vars(base).items()
        if inspect.isfunction(value) and not name.startswith("_") and name != name.lower()
    }


def test_the_list_of_hooks_is_the_code() -> None:
    """HOOKS holds exactly the camelCase methods of the public classes."""
    classes = (LineReceiver, DatagramProtocol, ServerFactory, ClientFactory)
    assert set(protocol.HOOKS) == set().union(*map(camel_case, classes))


@pytest.mark.parametrize(
    ("base", "slip", "hook"),
    [
        (Protocol, "data_received", "dataReceived"),
        (Protocol, "connection_made", "connectionMade"),
        (LineReceiver, "line_received", "lineReceived"),
        (Factory, "build_protocol", "buildProtocol"),
        (DatagramProtocol, "datagram_received", "datagramReceived"),
    ],
)
def test_a_misspelt_hook_is_refused(base: type, slip: str, hook: str) -> None:
    """A hook in snake_case would never be called, so the class is not made."""
    with pytest.raises(TypeError, match=rf"Mine\.{slip} is never called; the hook is .* {hook}"):
        type("Mine", (base,), {slip: lambda self: None})


def test_a_coroutine_hook_is_refused() -> None:
    """A coroutine hook would never be awaited; the message says what to use."""
    with pytest.raises(TypeError, match=r"Mine\.lineReceived can't be a coroutine.*StreamServer"):

        class Mine(LineReceiver):
            async def lineReceived(self, line: bytes) -> None: ...


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
        async with running(UNIXServer(path, RecorderFactory(Echo))) as service:
            assert await ask(service, b"hello") == b"hello"
            made = service.factory.protocols[0]
            assert made.transport.getPeer() == ""

    run(main())
