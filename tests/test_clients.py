"""Connecting services: TCP, TLS and UNIX clients."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tapkit.errors import ServiceError
from tapkit.internet import SSLClient, SSLServer, TCPClient, TCPServer, UNIXClient, UNIXServer
from tests.loops import Run, running, until
from tests.loops import run as run
from tests.peers import HOST, QUOTE, AskingFactory, EchoFactory, QuoteFactory, taken_port
from tests.peers import authority as authority
from tests.peers import pems as pems


def test_a_client_asks_and_is_told(run: Run) -> None:
    """The factory's hooks tell the whole story, in order."""

    async def main() -> None:
        async with running(TCPServer(0, QuoteFactory(), HOST)) as server:
            client = TCPClient(HOST, server.bound_port, AskingFactory())
            async with running(client):
                await until(lambda: len(client.factory.events) == 4)
        assert client.factory.events[:3] == ["connecting", "made", QUOTE]
        assert client.factory.events[3][0] == "lost"

    run(main())


def test_a_client_may_be_told_to_connect_again(run: Run) -> None:
    """connector.connect() from a hook connects at once, as often as it is called."""

    async def main() -> None:
        async with running(TCPServer(0, QuoteFactory(), HOST)) as server:
            client = TCPClient(HOST, server.bound_port, AskingFactory())
            client.factory.again = 2
            async with running(client):
                await until(lambda: client.factory.events.count("made") == 3)
                await until(lambda: client._link.task.done())
                client.connect()
                await until(lambda: client.factory.events.count("made") == 4)

    run(main())


def test_a_client_comes_back(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """With reconnect it connects until the server is there, and again when it was lost."""

    async def main() -> None:
        with taken_port() as sock:
            port = sock.getsockname()[1]
        client = TCPClient(
            HOST, port, AskingFactory(), reconnect=True, initial_delay=0.01, max_delay=0.02
        )
        async with running(client):
            events = client.factory.events
            await until(lambda: events.count(("failed", "ConnectionRefusedError")) >= 3)
            async with running(TCPServer(port, EchoFactory(), HOST)) as server:
                await until(lambda: b"hello" in events)
                client.disconnect()
                await until(lambda: events.count(b"hello") == 2)
                assert len(server.factory.lost) == 1
        client.connect()
        client.disconnect()
        assert events[-1][0] in ("lost", "failed")
        assert "Connection refused" in caplog.text

    run(main())


def test_a_stopped_client_stays_stopped(run: Run) -> None:
    """A stop closes the connection, tells the factory, and ends the reconnecting."""

    async def main() -> None:
        async with running(TCPServer(0, EchoFactory(), HOST)) as server:
            client = TCPClient(HOST, server.bound_port, AskingFactory(), reconnect=True)
            await client.startService()
            await client.startService()
            await until(lambda: b"hello" in client.factory.events)
            await client.stopService()
            assert client.factory.events[-1] == ("lost", "ConnectionDone")
            assert client.factory.numPorts == 0
            await client.stopService()
            await until(lambda: server.factory.lost)

    run(main())


def test_a_client_gives_up_in_time(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """An attempt that takes longer than `timeout` has failed; a stop ends one under way."""

    class Silent(TCPClient):
        async def dial(self, make: Any) -> Any:
            await asyncio.Event().wait()

    async def main() -> None:
        client = Silent(HOST, 1, AskingFactory(), timeout=0.01)
        async with running(client):
            await until(lambda: ("failed", "TimeoutError") in client.factory.events)
        client.timeout = 30
        async with running(client):
            await until(lambda: client.factory.events[-1] == "connecting")

    run(main())
    assert "can't connect to 127.0.0.1:1: no answer in time" in caplog.text


def test_a_failing_client_hook_is_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in a factory's hook does not end the client."""

    class Broken(AskingFactory):
        def startedConnecting(self, connector: Any) -> None:
            raise ValueError("a bad hook")

    async def main() -> None:
        async with (
            running(TCPServer(0, QuoteFactory(), HOST)) as server,
            running(TCPClient(HOST, server.bound_port, Broken())) as client,
        ):
            await until(lambda: QUOTE in client.factory.events)

    run(main())
    assert "startedConnecting failed for 127.0.0.1:" in caplog.text


def test_unix_and_plain_clients(run: Run, tmp_path: Path) -> None:
    """A UNIX client, with a callable that returns an asyncio.Protocol for its factory."""
    got: list[bytes] = []

    class Plain(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            got.append(data)

    async def main() -> None:
        path = str(tmp_path / "s")
        async with running(UNIXServer(path, QuoteFactory())), running(UNIXClient(path, Plain)):
            await until(lambda: got)
            assert b"".join(got) == QUOTE

    run(main())


def test_an_ssl_client_checks_the_server(
    run: Run, pems: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """It trusts its authorities alone, may show a certificate, and says which file is bad."""

    async def main() -> None:
        async with running(SSLServer(0, QuoteFactory(), pems["both"], interface=HOST)) as server:
            port = server.bound_port
            good = SSLClient(
                HOST, port, AskingFactory(), pems["authority"], pems["certificate"], pems["privkey"]
            )
            async with running(good):
                await until(lambda: QUOTE in good.factory.events)
            async with running(SSLClient(HOST, port, AskingFactory())) as bad:
                await until(lambda: len(bad.factory.events) == 2)
                assert bad.factory.events[1] == ("failed", "SSLCertVerificationError")
            missing = SSLClient(HOST, port, AskingFactory(), "none.pem")
            with pytest.raises(ServiceError, match="can't read the certificate authorities"):
                await missing.startService()
            assert not missing.running
            empty = SSLClient(HOST, port, AskingFactory(), pems["privkey"])
            with pytest.raises(ServiceError, match="no certificate authorities: "):
                await empty.startService()

    run(main())
