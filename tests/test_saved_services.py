"""What an image holds of network services, running or not."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from tapkit import internet
from tapkit.errors import UsageError
from tapkit.internet import (
    SSLClient,
    SSLServer,
    StreamServer,
    TCPServer,
    TimerService,
    UDPServer,
    UNIXServer,
)
from tests.loops import Run, ask, connected, running, until
from tests.loops import run as run
from tests.peers import (
    HOST,
    AskingFactory,
    DatagramEcho,
    EchoFactory,
    PlainEcho,
    QuoteFactory,
    client_context,
    echo_stream,
)
from tests.peers import authority as authority
from tests.peers import pems as pems


def kinds(pems: dict[str, str], directory: str) -> dict[str, Any]:
    """A server of each class, and what makes a client of it."""
    files = (pems["certificate"], pems["privkey"])
    return {
        "tcp": TCPServer(0, EchoFactory(), HOST),
        "ssl": SSLServer(0, EchoFactory(), *files, HOST),
        "unix": UNIXServer(f"{directory}/s", EchoFactory()),
        "stream": StreamServer(0, echo_stream, HOST),
        "plain": TCPServer(0, PlainEcho, HOST),
        "udp": UDPServer(0, DatagramEcho(), HOST),
        "timer": TimerService(0.01, len, ()),
    }


@pytest.mark.parametrize("kind", ["tcp", "ssl", "unix", "stream", "plain", "udp", "timer"])
def test_a_running_service_is_saved_as_a_stopped_one(
    run: Run, pems: dict[str, str], tmp_path: Path, kind: str
) -> None:
    """With live connections too: the image of a running service is that of a stopped one."""
    service = kinds(pems, str(tmp_path))[kind]
    before = vars(pickle.loads(pickle.dumps(service))).keys()

    async def main() -> None:
        async with running(service):
            if kind in ("udp", "timer"):
                check_saved(service, before)
            else:
                tls = {"ssl": client_context(pems)} if kind == "ssl" else {}
                async with connected(service, **tls) as (reader, writer):
                    writer.write(b"x")
                    assert await reader.readexactly(1) == b"x"
                    loaded = check_saved(service, before)
        async with running(service):
            pass
        if kind not in ("udp", "timer"):
            async with running(loaded):
                assert await ask(loaded, b"y", **tls) == b"y" if kind != "ssl" else True

    run(main())


def check_saved(service: Any, before: Any) -> Any:
    loaded = pickle.loads(pickle.dumps(service))
    assert vars(loaded).keys() == before
    assert type(loaded) is type(service)
    assert not loaded.running
    assert not copy.copy(service).running
    assert getattr(loaded, "addresses", []) == []
    return loaded


def test_a_running_client_is_saved_as_a_stopped_one(run: Run, pems: dict[str, str]) -> None:
    """Clients too, with their numbers and without their connection."""

    async def main() -> None:
        async with running(SSLServer(0, EchoFactory(), pems["both"], interface=HOST)) as server:
            client = SSLClient(
                HOST, server.bound_port, AskingFactory(), pems["authority"], reconnect=True
            )
            before = vars(client).keys() - {"running"}
            async with running(client):
                await until(lambda: b"hello" in client.factory.events)
                loaded = check_saved(client, before)
            assert (loaded.reconnect, loaded.max_delay) == (True, 60.0)
            async with running(loaded):
                await until(lambda: loaded.factory.events.count(b"hello") == 2)

    run(main())


def test_a_saved_service_is_paths_and_numbers() -> None:
    """What an administrator finds in the image is what he may edit."""
    service = TCPServer("tcp:8007:interface=[::1]:backlog=5", None)
    assert vars(service) == {"factory": None, "port": 8007, "interface": "::1", "backlog": 5}
    assert vars(StreamServer(80, echo_stream)) == {
        "handler": echo_stream,
        "port": 80,
        "interface": "",
        "backlog": 128,
    }


def test_a_hand_edited_port_is_checked_at_the_start() -> None:
    """A port that an image says wrongly is an error before anything is bound."""
    service = TCPServer(8007, QuoteFactory(), HOST)
    service.port = 99999
    with pytest.raises(UsageError, match="there is no port 99999"):
        service.privilegedStartService()
    service.port = f"tcp:0:interface={HOST}"
    service.privilegedStartService()
    assert service.addresses[0].host == HOST
    service.stopService()


@pytest.mark.parametrize("name", sorted(set(internet.__all__) - {"server", "datagram_server"}))
def test_images_name_services_by_their_public_place(name: str) -> None:
    """Wherever a class is written down, an image says tapkit.internet."""
    cls = getattr(internet, name)
    assert cls.__module__ == "tapkit.internet"
    assert pickle.loads(pickle.dumps(cls)) is cls
    assert b"tapkit.internet" in pickle.dumps(cls)
