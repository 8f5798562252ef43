"""Port descriptions: one table of good ones, one of bad ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapkit.errors import EXIT_USAGE, UsageError
from tapkit.ports import PortDescription, parse, port_number

GOOD: dict[Any, PortDescription] = {
    8007: PortDescription("tcp", 8007),
    0: PortDescription("tcp", 0),
    "8007": PortDescription("tcp", 8007),
    "08007": PortDescription("tcp", 8007),
    "tcp:65535": PortDescription("tcp", 65535),
    "tcp:port=8007": PortDescription("tcp", 8007),
    "8007:interface=localhost": PortDescription("tcp", 8007, "localhost"),
    "tcp:8007:interface=127.0.0.1": PortDescription("tcp", 8007, "127.0.0.1"),
    r"tcp:8007:interface=\:\:1": PortDescription("tcp", 8007, "::1"),
    "tcp:8007:interface=[::1]": PortDescription("tcp", 8007, "::1"),
    "tcp:8007:interface=[::1]:backlog=5": PortDescription("tcp", 8007, "::1", 5),
    "tcp:8007:backlog=5:interface=": PortDescription("tcp", 8007, "", 5),
    "unix:/run/x.sock": PortDescription("unix", path="/run/x.sock"),
    "unix:/run/x.sock:mode=660": PortDescription("unix", path="/run/x.sock", mode=0o660),
    "unix:/run/x=y": PortDescription("unix", path="/run/x=y"),
    "unix:path=x:backlog=9": PortDescription("unix", path="x", backlog=9),
    r"unix:a\:b\\c": PortDescription("unix", path=r"a:b\c"),
    "ssl:443:certificate=c.pem:privkey=k.pem": PortDescription(
        "ssl", 443, certificate="c.pem", privkey="k.pem"
    ),
    "ssl:443:certificate=both.pem": PortDescription("ssl", 443, certificate="both.pem"),
    "udp:53": PortDescription("udp", 53),
    "udp:53:interface=[::]": PortDescription("udp", 53, "::"),
}


@pytest.mark.parametrize(("description", "meaning"), list(GOOD.items()), ids=map(str, GOOD))
def test_a_description_is_read(description: Any, meaning: PortDescription) -> None:
    """A description means this, and its own text means the same again."""
    assert parse(description) == meaning
    assert parse(str(meaning)) == meaning


BAD = {
    "": "a number or a description: '': write for example tcp:8007",
    "tcp": "a tcp port needs a port number: tcp: write for example tcp:8007",
    "tcp:": "the port is not a number: '': tcp:",
    "tcp:http": "the port is not a number: 'http': tcp:http",
    "-1": "the port is not a number: '-1'",
    "8_0": "the port is not a number: '8_0'",
    "８０": "the port is not a number: '８０'",  # noqa: RUF001  # digits, but not ours
    "80 ": "the port is not a number: '80 '",
    "/run/x.sock": "the port is not a number: '/run/x.sock'",
    "65536": "there is no port 65536: 65536: ports are 0 to 65535",
    "9" * 5000: "there is no port 9999",
    "tpc:80": "no kind of port 'tpc'; did you mean tcp?: tpc:80: the kinds are tcp, ssl, unix, udp",
    "http": "no kind of port 'http'",
    "tcp:80:interfac=::1": "no key 'interfac' here; did you mean interface?",
    "tcp:80:mode=660": "no key 'mode' here",
    "tcp:80:interface=::1": r"can't have '' here: tcp:80:interface=::1: after the first value",
    "tcp:80:interface=[::1": "can't have '' here",
    "tcp:80:": "can't have '' here",
    "tcp:80:localhost": "can't have 'localhost' here",
    "tcp:80:backlog=1:backlog=2": "backlog is said twice",
    "tcp:80:port=81": "port is said twice",
    "tcp:80:backlog=0": "the backlog is not a number above 0: '0'",
    "tcp:80:backlog=many": "the backlog is not a number above 0: 'many'",
    "unix": "a unix port needs a path: unix: write for example unix:/run/",
    "unix:": "the path is not a path: ''",
    "unix:/x:mode=888": "the mode is not octal permissions: '888': unix:/x:mode=888: such as 660",
    "unix:/x:mode=66": "the mode is not octal permissions: '66'",
    "unix:/x:mode=7777": "the mode is not octal permissions: '7777'",
    "unix:/x:mode=0x1ff": "the mode is not octal permissions: '0x1ff'",
    "ssl:443": "an ssl port needs a certificate: ssl:443: write for example ssl:443:certificate=",
    "ssl:443:privkey=k": "an ssl port needs a certificate",
    "ssl:443:certificate=": "the certificate is not a path: ''",
    "udp:53:backlog=1": "no key 'backlog' here: udp:53:backlog=1: the keys are interface",
}


@pytest.mark.parametrize(("description", "message"), list(BAD.items()), ids=lambda text: text[:30])
def test_a_mistake_is_said(description: str, message: str) -> None:
    """Every mistake names the description, what is wrong in it, and mostly what to write."""
    with pytest.raises(UsageError) as caught:
        parse(description)
    assert message in str(caught.value)
    assert caught.value.exit_status == EXIT_USAGE


@pytest.mark.parametrize("value", [True, None, 80.0, b"80", ["80"]])
def test_only_numbers_and_text_are_ports(value: Any) -> None:
    """What is neither is refused, too, before anything is bound."""
    with pytest.raises(UsageError, match="a port is a number or a description"):
        parse(value)


def test_defaults_fill_what_is_not_said() -> None:
    """Defaults yield to the description; those of another kind are left aside."""
    defaults = {"interface": "127.0.0.1", "certificate": "c.pem", "mode": 0o600}
    assert parse("80", **defaults).interface == "127.0.0.1"
    assert parse("tcp:80:interface=", **defaults).interface == ""
    assert parse("ssl:443", **defaults).certificate == "c.pem"
    assert parse("unix:/x", **defaults) == PortDescription("unix", path="/x", mode=0o600)


def test_the_kind_may_be_given_apart() -> None:
    """A bare number is of the kind asked for; a description's own kind wins."""
    assert parse("53", "udp").kind == "udp"
    assert parse("tcp:53", "udp").kind == "tcp"


def test_port_numbers() -> None:
    """port_number takes text and numbers, and names the place of a mistake."""
    assert port_number("80") == port_number(80) == 80
    with pytest.raises(UsageError, match="there is no port 70000: --port: ports are 0 to 65535"):
        port_number("70000", "--port")


words = st.text(min_size=1).filter(lambda text: "\0" not in text)


@given(st.integers(0, 65535), words.filter(lambda text: text[0] != "["), st.integers(1, 999))
def test_any_interface_survives_its_text(port: int, interface: str, backlog: int) -> None:
    """Whatever an interface is called, the description's text is read back equal."""
    description = PortDescription("tcp", port, interface, backlog)
    assert parse(str(description)) == description


@given(words, st.integers(0, 0o777))
def test_any_path_survives_its_text(path: str, mode: int) -> None:
    """So is any path, with any mode."""
    description = PortDescription("unix", path=path, mode=mode)
    assert parse(str(description)) == description


@given(st.text(alphabet="tcpunixsl:=[]\\0819ae ", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parser fail in another way; what it reads, it reads back."""
    try:
        meaning = parse(text)
    except UsageError:
        return
    assert parse(str(meaning)) == meaning
