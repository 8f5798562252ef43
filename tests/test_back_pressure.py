"""A peer that does not read: what is held back, and who is told."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from tapkit.errors import TapkitError
from tests.loops import Run, connected, running, small_client, until
from tests.loops import run as run
from tests.peers import MEGABYTE, Recorder, RecordingEcho, serve


def test_an_echo_to_a_peer_that_does_not_read_stays_small(run: Run) -> None:
    """Tens of megabytes to a peer that reads later: the server holds back, and loses nothing."""
    total = 20 * MEGABYTE
    largest = 0

    class Watched(RecordingEcho):
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
