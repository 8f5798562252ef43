"""A protocol's and a factory's hooks, over real sockets on both event loops."""

from __future__ import annotations

import inspect
import logging
import pickle
from typing import Any

import pytest

from tapkit import protocol
from tapkit.errors import ServiceError
from tapkit.internet import TCPServer
from tapkit.net.connections import Address, address_of
from tapkit.protocol import (
    ClientFactory,
    ConnectionDone,
    DatagramProtocol,
    Factory,
    LineReceiver,
    Protocol,
    ServerFactory,
)
from tests.loops import Run, ask, connected, running, until
from tests.loops import run as run
from tests.peers import Recorder, RecorderFactory, RecordingEcho, serve

# Hooks and the conversation.


def test_a_connection_goes_through_its_hooks(run: Run) -> None:
    """connectionMade, dataReceived, connectionLost come in this order, with a factory."""

    async def main() -> None:
        async with running(serve(RecordingEcho)) as service:
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
    factory.protocol = LineReceiver
    built = factory.buildProtocol(Address("h", 1))
    assert isinstance(built, LineReceiver)
    assert built.factory is factory
    with pytest.raises(ServiceError, match=r"tapkit\.protocol\.Factory: set its class attribute"):
        Factory().buildProtocol(None)


# What is saved.


def test_a_saved_protocol_leaves_its_transport(run: Run) -> None:
    """A factory that holds its live protocols is saved without what only lives with them."""

    class_of_factory = RecorderFactory

    async def main() -> None:
        async with running(serve(RecordingEcho)) as service, connected(service) as (reader, writer):
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
