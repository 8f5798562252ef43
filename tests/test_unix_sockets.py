"""UNIX socket servers: their paths, stale sockets, refusals."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from tapkit.errors import ServiceError
from tapkit.internet import UNIXServer
from tapkit.net import listening
from tests.loops import Run, ask, running
from tests.loops import run as run
from tests.peers import QUOTE, QuoteFactory


def test_a_unix_server_serves_and_cleans_up(run: Run, tmp_path: Path) -> None:
    """The socket has its mode, is the service's address, and is gone after the stop."""
    path = str(tmp_path / "s")

    async def main() -> None:
        service = UNIXServer(path, QuoteFactory(), mode=0o600)
        for _ in range(2):
            async with running(service):
                assert service.addresses == [path]
                assert service.bound_port is None
                assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
                assert await ask(service) == QUOTE
            assert not os.path.exists(path)

    run(main())


def test_a_unix_path_relative_to_another_directory(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is removed though the process changed its directory after the bind."""
    monkeypatch.chdir(tmp_path)
    service = UNIXServer("s", QuoteFactory())
    service.privilegedStartService()
    monkeypatch.chdir("/")

    async def main() -> None:
        await service.startService()
        await service.stopService()

    run(main())
    assert list(tmp_path.iterdir()) == []


def stale_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """A socket file whose server was killed does not keep the next one from starting."""
    path = str(tmp_path / "s")
    stale_socket(path)
    service = UNIXServer(path, QuoteFactory())
    service.privilegedStartService()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    service.stopService()
    assert not os.path.exists(path)


def test_a_live_socket_is_in_use(tmp_path: Path) -> None:
    """Someone listens there, even with a full backlog: the start fails, the socket stays."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen(0)
        with pytest.raises(ServiceError, match=f"can't listen on {path}: Address already in use"):
            UNIXServer(path, QuoteFactory()).privilegedStartService()
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.setblocking(False)
            waiting.connect_ex(path)
            with pytest.raises(ServiceError, match="Address already in use: stop what listens"):
                UNIXServer(path, QuoteFactory()).privilegedStartService()
        assert os.path.exists(path)


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    """A path with something else there is refused, and that is left alone."""
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(ServiceError, match="a file that is no socket is there: move it away"):
        UNIXServer(str(path), QuoteFactory()).privilegedStartService()
    assert path.read_text() == "precious"


def test_another_ones_socket_is_not_removed(tmp_path: Path) -> None:
    """A path that became someone else's meanwhile stays at the stop."""
    path = str(tmp_path / "s")
    service = UNIXServer(path, QuoteFactory())
    service.privilegedStartService()
    os.unlink(path)
    stale_socket(path)
    service.stopService()
    assert os.path.exists(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none/s", "No such file or directory: make the directory first"),
        ("x" * 200, "AF_UNIX path too long"),
    ],
)
def test_why_a_unix_socket_cannot_be_made(tmp_path: Path, path: str, message: str) -> None:
    """The system's reason and, where there is one, the remedy."""
    with pytest.raises(ServiceError, match=message):
        UNIXServer(str(tmp_path / path), QuoteFactory()).privilegedStartService()


def test_a_unix_socket_half_made_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure after bind() leaves no file."""

    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "no chmod")

    monkeypatch.setattr(listening.os, "chmod", refuse)
    with pytest.raises(ServiceError, match="Operation not permitted"):
        UNIXServer(str(tmp_path / "s"), QuoteFactory()).privilegedStartService()
    assert list(tmp_path.iterdir()) == []
