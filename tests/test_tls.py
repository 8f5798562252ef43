"""TLS servers, and what can be wrong with a certificate."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from tapkit.errors import ServiceError
from tapkit.internet import SSLServer
from tapkit.protocol import Protocol
from tests.loops import Run, connected, running
from tests.loops import run as run
from tests.peers import HOST, MEGABYTE, EchoFactory, QuoteFactory, TapkitEcho, client_context
from tests.peers import authority as authority
from tests.peers import pems as pems


def test_an_ssl_server_speaks_tls(run: Run, pems: dict[str, str]) -> None:
    """With the key in its own file or in the certificate's."""

    async def main() -> None:
        for files in ((pems["certificate"], pems["privkey"]), (pems["both"],)):
            service = SSLServer(0, EchoFactory(), *files, interface=HOST)
            service.privilegedStartService()
            async with (
                running(service),
                connected(service, ssl=client_context(pems)) as (reader, writer),
            ):
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"hello"

    run(main())


def test_tls_flushes_before_it_closes(run: Run, pems: dict[str, str]) -> None:
    """loseConnection after megabytes: all of them arrive; half-closing is refused in words."""
    refusals: list[str] = []

    class Big(Protocol):
        def connectionMade(self) -> None:
            try:
                self.transport.loseWriteConnection()
            except Exception as error:
                refusals.append(str(error))
            self.transport.write(b"z" * 8 * MEGABYTE)
            self.transport.loseConnection()

    async def main() -> None:
        service = SSLServer(0, Big, pems["both"], interface=HOST)
        async with running(service), connected(service, ssl=client_context(pems)) as (reader, _):
            assert await reader.read() == b"z" * 8 * MEGABYTE

    run(main())
    assert len(refusals) == 1
    assert "a TLS connection can't be closed one way only" in refusals[0]


def test_tls_echo_is_bounded_too(run: Run, pems: dict[str, str]) -> None:
    """Back-pressure holds over TLS: a late reader gets all of it."""
    total = 8 * MEGABYTE

    async def main() -> None:
        service = SSLServer(0, TapkitEcho, pems["both"], interface=HOST)
        async with running(service), connected(service, ssl=client_context(pems)) as (r, w):
            w.write(b"e" * total)
            assert len(await r.readexactly(total)) == total

    run(main())


def test_what_is_wrong_with_a_certificate(tmp_path: Path, pems: dict[str, str]) -> None:
    """Every bad file is told by its path at the privileged start, and no port is bound."""
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("garbage")
    key = trustme.CA().issue_cert("x").private_key_pem.bytes()
    locked = tmp_path / "locked.pem"
    locked.write_bytes(encrypted(key))
    cases = {
        ("none.pem", ""): "can't read the certificate: No such file or directory: none.pem",
        (pems["both"], "none.pem"): "can't read the private key: No such file",
        (pems["certificate"], pems["other"]): "the private key does not belong to the certificate",
        (pems["certificate"], str(garbage)): "no certificate and private key there",
        (pems["certificate"], str(locked)): "the private key is encrypted: .*without a passphrase",
    }
    for files, message in cases.items():
        service = SSLServer(0, QuoteFactory(), *files, interface=HOST)
        with pytest.raises(ServiceError, match=message):
            service.privilegedStartService()
        assert service.addresses == []


def encrypted(key: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization as pem

    return pem.load_pem_private_key(key, None).private_bytes(
        pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret")
    )
