"""LineReceiver: lines and raw data, however they are cut."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from tapkit.protocol import LineReceiver
from tests.loops import Run, connected, running, until
from tests.loops import run as run
from tests.peers import MEGABYTE, serve


class FakeTransport:
    """What a plug-in author's unit test would hand to makeConnection."""

    def __init__(self) -> None:
        self.written = b""
        self.disconnecting = False

    def write(self, data: bytes) -> None:
        self.written += data

    def loseConnection(self) -> None:
        self.disconnecting = True


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


def test_a_saved_line_receiver_forgets_half_a_line() -> None:
    """What belongs to a connection that is gone is no state."""
    lines = Lines()
    lines.makeConnection(None)
    lines.dataReceived(b"ha")
    loaded = pickle.loads(pickle.dumps(lines))
    assert vars(loaded) == {"got": []}
