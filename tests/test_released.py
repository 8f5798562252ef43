"""Images of every release load with today's code, on every Python, in every form."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import tapkit.internet
from tapkit import __version__, application, image
from tapkit.service import Service
from tests.released import RELEASED, everything

IMAGES = sorted(path for path in RELEASED.glob("*/*") if path.is_file())


def each_service(root: Any) -> list[Any]:
    found = [root]
    for one in found:
        found.extend(getattr(one, "services", ()))
    return found


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: f"{path.parent.name}{path.suffix}")
def test_loads(path: Path, tmp_path: Path) -> None:
    """What that release saved is there: the tree, its attributes, what is shared, the counter."""
    copy = tmp_path / path.name  # git keeps no modes, and an image others may write is refused
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o600)
    loaded = application.load(str(copy))
    servers, clients, spare = loaded.services
    assert (loaded.name, loaded.uid, loaded.gid) == ("everything", 1000, 1000)
    assert [one.parent for one in (servers, clients, spare)] == [loaded] * 3
    assert not any(one.running for one in each_service(loaded))
    tcp, tls, unix, udp, stream = servers.services
    assert (tcp.port, tcp.interface, tcp.backlog, tcp.name) == (8007, "127.0.0.1", 5, "server 0")
    assert (tls.certificate, tls.privkey) == ("cert.pem", "key.pem")
    assert (unix.path, unix.mode) == ("/run/everything.sock", 0o660)
    assert udp.protocol.factory is tcp.factory is tls.factory is unix.factory
    assert stream.handler.__name__ == "read_fortunes"
    assert tcp.factory.served == 42
    assert tcp.factory.next_quote() == b"An apple a day keeps the doctor away.\r\n"
    assert (clients.services[0].host, clients.services[0].reconnect) == ("localhost", True)
    assert clients.services[3].args == (b"every minute",)
    assert spare.disabled is True
    assert spare.factory.quoter.path.endswith("wisdom")


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: f"{path.parent.name}{path.suffix}")
def test_saved_again(path: Path) -> None:
    """Loaded and saved again by today's code, it is the same graph, in every form."""
    old = image.loads(path.read_bytes())
    for form in ("pickle", "xml", "source"):
        again = image.loads(image.dumps(old, form))
        assert isinstance(again, application.Application)
        assert len(each_service(again)) == len(each_service(old))
        assert image.dumps(again, "xml") == image.dumps(old, "xml")


def test_this_release_is_among_them() -> None:
    """The version in work has its images, and they have every service class there is."""
    assert {path.suffix for path in IMAGES if path.parent.name == __version__} == {
        ".tap",
        ".tax",
        ".tas",
    }
    there = {type(one) for one in each_service(everything())}
    classes = [getattr(tapkit.internet, name) for name in tapkit.internet.__all__]
    wanted = {one for one in classes if inspect.isclass(one) and issubclass(one, Service)}
    assert wanted <= there
