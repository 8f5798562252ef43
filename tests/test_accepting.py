"""Whatever may serve a connection: factories, plain asyncio protocols, coroutines."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tapkit.errors import ServiceError
from tapkit.internet import StreamServer, TCPServer
from tests.loops import Run, ask, connected, running, small_client, until
from tests.loops import run as run
from tests.peers import (
    HOST,
    MEGABYTE,
    BufferedEcho,
    EchoFactory,
    PlainEcho,
    TapkitEcho,
    echo_stream,
)

# Whatever serves a connection.


@pytest.mark.parametrize(
    "factory", [PlainEcho, BufferedEcho, TapkitEcho, echo_stream, EchoFactory()]
)
def test_any_kind_of_factory_serves(run: Run, factory: Any) -> None:
    """asyncio protocols, our Protocol class, a coroutine and a Factory all serve and stop."""

    async def main() -> None:
        service = TCPServer(0, factory, HOST)
        async with running(service):
            assert await ask(service, b"hello") == b"hello"
            async with connected(service) as (reader, writer):
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
                await service.stopService()
                assert await reader.read() == b""

    run(main())


def test_a_plain_protocol_that_hangs_is_aborted(run: Run) -> None:
    """A foreign protocol with data nobody reads does not hold up a stop."""

    async def main() -> None:
        made: list[Any] = []

        class Hung(PlainEcho):
            def connection_made(self, transport: Any) -> None:
                made.append(self)
                transport.write(b"y" * 16 * MEGABYTE)

            def connection_lost(self, error: BaseException | None) -> None:
                made.append("lost")

        service = TCPServer(0, Hung, HOST)
        service.drain_timeout = 0.05
        await service.startService()
        client = small_client(service)
        await until(lambda: made)
        await service.stopService()
        assert made[1:] == ["lost"]
        client.close()

    run(main())


@pytest.mark.parametrize("factory", [lambda: 1 / 0, lambda: "no protocol"])
def test_a_bad_callable_closes_the_connection(
    run: Run, caplog: pytest.LogCaptureFixture, factory: Any
) -> None:
    """A factory that raises, or makes no protocol, is logged; asyncio would say nothing."""

    async def main() -> None:
        async with running(TCPServer(0, factory, HOST)) as service:
            assert await ask(service) == b""

    run(main())
    assert "ZeroDivisionError" in caplog.text or "which is no protocol" in caplog.text


def test_what_cannot_serve_is_refused_at_start(run: Run) -> None:
    """Something that is no factory at all fails the start in words."""

    async def main() -> None:
        with pytest.raises(ServiceError, match=r"builtins\.int can't serve connections"):
            await TCPServer(0, 3, HOST).startService()

    run(main())


# StreamServer.


def test_a_stream_server_echoes_and_stops(run: Run) -> None:
    """A coroutine serves; when the service stops it reads the end, and may still answer."""
    ended: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.write(b"bye")
        ended.append(b"ended")

    async def main() -> None:
        service = StreamServer(0, handler, HOST)
        await service.startService()
        assert await ask(service, b"hello") == b"hellobye"
        async with connected(service) as (reader, writer):
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            await service.stopService()
            assert await reader.read() == b"bye"
        assert ended == [b"ended", b"ended"]

    run(main())


def test_a_stream_handler_is_cancelled_after_the_drain(run: Run) -> None:
    """A handler that does not end by itself is cancelled, and over when the stop is."""
    events: list[str] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        events.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            events.append("cancelled")

    async def main() -> None:
        service = StreamServer(0, handler, HOST)
        service.drain_timeout = 0.05
        await service.startService()
        async with connected(service):
            await until(lambda: events)
            await service.stopService()
            assert events == ["begun", "cancelled"]

    run(main())


def test_a_failing_stream_handler_is_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """With traceback and peer; a peer that merely left is no error."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read():
            raise ValueError("a bad handler")
        raise ConnectionResetError("gone")

    async def main() -> None:
        async with running(StreamServer(0, handler, HOST)) as service:
            assert await ask(service, b"x") == b""
            assert await ask(service) == b""

    with caplog.at_level(logging.INFO, "tapkit.protocol"):
        run(main())
    (record,) = caplog.records[:]
    assert "handler failed for 127.0.0.1:" in record.getMessage()
    assert record.exc_info
