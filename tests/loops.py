"""Running a coroutine on either event loop, with a deadline, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvloop

PATIENCE = 20.0  # seconds; a deadline for what takes milliseconds
NEW_LOOP = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=list(NEW_LOOP))
def run(request: pytest.FixtureRequest) -> Run:
    """What runs a coroutine, on each event loop in turn."""
    return runner(request.param)


def runner(kind: str) -> Run:
    """What runs a coroutine to its end on that loop; it may leave no task behind."""
    return lambda main: run_with(NEW_LOOP[kind], main)


def run_with(new_loop: Callable[[], asyncio.AbstractEventLoop], main: Any) -> Any:
    loop = new_loop()
    try:
        result = loop.run_until_complete(asyncio.wait_for(main, PATIENCE))
        loop.run_until_complete(asyncio.sleep(0))
        left = asyncio.all_tasks(loop)
        assert not left, f"tasks left behind: {left}"
        return result
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with contextlib.suppress(BaseException):
                loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def until(fact: Callable[[], Any], what: str = "it") -> Any:
    """Wait for a fact that tells nobody when it comes about."""
    deadline = asyncio.get_running_loop().time() + PATIENCE / 2
    while not (value := fact()):
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.002)  # between two looks at a fact, not instead of one
    return value


@contextlib.asynccontextmanager
async def running(service: Any) -> AsyncIterator[Any]:
    """The service, started, and stopped at the end."""
    await service.startService()
    try:
        yield service
    finally:
        await service.stopService()


@contextlib.asynccontextmanager
async def connected(service: Any, **options: Any) -> AsyncIterator[Any]:
    """A client's (reader, writer) to a service on 127.0.0.1, or on its UNIX socket."""
    where = service.addresses[0]
    if isinstance(where, str):
        reader, writer = await asyncio.open_unix_connection(where)
    else:
        host = where.host.replace("0.0.0.0", "127.0.0.1")
        reader, writer = await asyncio.open_connection(host, where.port, **options)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(writer.wait_closed(), PATIENCE)


async def ask(service: Any, say: bytes = b"", **options: Any) -> bytes:
    """Connect, say something, half-close if possible, and read to the end."""
    async with connected(service, **options) as (reader, writer):
        writer.write(say)
        if writer.can_write_eof():
            with contextlib.suppress(OSError):  # closed already
                writer.write_eof()
        return await asyncio.wait_for(reader.read(), PATIENCE)


def small_client(service: Any) -> socket.socket:
    """A blocking client socket with a small receive buffer: a reader that can be slow."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", service.bound_port))
    return client
