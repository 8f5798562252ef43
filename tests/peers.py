"""Protocols, factories and clients that the network tests share, and their certificates."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tapkit.internet import TCPServer
from tapkit.protocol import ClientFactory, DatagramProtocol, Factory, Protocol

MEGABYTE = 1 << 20
HOST = "127.0.0.1"
QUOTE = b"An apple a day keeps the doctor away.\r\n"


class Quote(Protocol):
    def connectionMade(self) -> None:
        self.transport.write(QUOTE)
        self.transport.loseConnection()


class QuoteFactory(Factory):
    protocol = Quote


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)

    def connectionLost(self, reason: BaseException) -> None:
        self.factory.lost.append(reason)


class EchoFactory(Factory):
    protocol = Echo

    def __init__(self) -> None:
        self.lost: list[BaseException] = []
        self.events: list[str] = []

    def startFactory(self) -> None:
        self.events.append("start")

    def stopFactory(self) -> None:
        self.events.append(f"stop after {len(self.lost)} lost")


class PlainEcho(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.buffer = bytearray(1000)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, size: int) -> None:
        self.transport.write(bytes(self.buffer[:size]))


class TapkitEcho(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()


class DatagramEcho(DatagramProtocol):
    def __init__(self) -> None:
        self.events: list[Any] = []

    def startProtocol(self) -> None:
        self.events.append("start")

    def stopProtocol(self) -> None:
        self.events.append("stop")

    def datagramReceived(self, data: bytes, address: Any) -> None:
        if data == b"bad":
            raise ValueError("a bad datagram")
        self.transport.write(data, address)


class Asking(Protocol):
    """Sends a line, and notes what it gets."""

    def connectionMade(self) -> None:
        self.factory.events.append("made")
        self.transport.write(b"hello")

    def dataReceived(self, data: bytes) -> None:
        self.factory.events.append(data)


class AskingFactory(ClientFactory):
    protocol = Asking

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.again = 0

    def startedConnecting(self, connector: Any) -> None:
        self.events.append("connecting")

    def clientConnectionFailed(self, connector: Any, reason: BaseException) -> None:
        self.events.append(("failed", type(reason).__name__))
        self.retry(connector)

    def clientConnectionLost(self, connector: Any, reason: BaseException) -> None:
        self.events.append(("lost", type(reason).__name__))
        self.retry(connector)

    def retry(self, connector: Any) -> None:
        if self.again:
            self.again -= 1
            connector.connect()


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


class RecordingEcho(Recorder):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def pems(tmp_path: Path, authority: trustme.CA) -> dict[str, str]:
    """Paths of PEM files: a server's certificate and key, the authority, someone else's key."""
    names = {"certificate", "privkey", "both", "authority", "other"}
    paths = {name: str(tmp_path / f"{name}.pem") for name in names}
    issued = authority.issue_cert("localhost", HOST)
    issued.cert_chain_pems[0].write_to_path(paths["certificate"])
    issued.private_key_pem.write_to_path(paths["privkey"])
    issued.private_key_and_cert_chain_pem.write_to_path(paths["both"])
    authority.cert_pem.write_to_path(paths["authority"])
    authority.issue_cert("other").private_key_pem.write_to_path(paths["other"])
    return paths


def client_context(pems: dict[str, str]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=pems["authority"])


def taken_port() -> socket.socket:
    """A socket that listens on some port of this host."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((HOST, 0))
    sock.listen()
    return sock


def port_is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
            sock.listen()
        except OSError:
            return False
        return True
