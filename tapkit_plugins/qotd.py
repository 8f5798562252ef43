"""qotd: the quote of the day, over TCP and UDP (RFC 865). The example of a TAP builder to copy.

A TAP builder is a module that `plugins.tml` registers. mktap imports it and uses two names of
it: `Options`, which reads the rest of the command line, and `makeService`, which makes a service
of what was read. The service is saved, not run: what it is made of must be plain objects, and
what only lives while it runs (open files, sockets, what was read from files) is left out of what
is saved, as `FortuneQuoter.volatile` shows.

From the bottom up: quoters have quotes; a protocol is one connection's conversation; its factory
holds the quoter, and whatever outlives a connection; `makeService` puts them together.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from typing import Any, Protocol

from tapkit import internet, ports, protocol, service, usage
from tapkit.errors import ServiceError
from tapkit.styles import Persistent

log = logging.getLogger("tapkit.qotd")

DEFAULT_QUOTE = "An apple a day keeps the doctor away."

# RFC 865 asks for quotes of less than 512 characters. TCP carries a longer one whole; as a
# datagram it would be fragmented or lost on its way, so it is cut.
LONGEST_DATAGRAM = 512

_SEPARATOR = rb"(?m)^%[ \t\r]*$"
_LINE_END = rb"\r?\n"


class Quoter(Protocol):
    """Where quotes come from."""

    def load(self) -> None:
        """Make ready. Raises ServiceError where there is no quote to be had."""

    def quote(self) -> bytes:
        """One quote, without a newline at its end."""


class StaticQuoter:
    """Always the same quote."""

    def __init__(self, text: str):
        self.text = text

    def load(self) -> None:
        """There is nothing to do."""

    def quote(self) -> bytes:
        # surrogateescape: so the bytes of a command line that are no UTF-8 come out again.
        return self.text.encode("utf-8", "surrogateescape")


class FortuneQuoter(Persistent):
    """One of the quotes in a fortune file, at random; read again whenever the file changes.

    The image stores the file's name, not its content, and the quotes leave as the bytes they
    are in the file, whatever their encoding.
    """

    volatile = ("_quotes", "_version")

    _quotes: list[bytes] = []
    _version: Any = None

    def __init__(self, path: str):
        self.path = path

    def load(self) -> None:
        self._version, self._quotes = _version_of(self.path), read_fortunes(self.path)

    def quote(self) -> bytes:
        if self._version != _version_of(self.path):
            self._load_again()
        import random  # a static quote, and a fast start, do without

        return random.choice(self._quotes)

    def _load_again(self) -> None:
        try:
            self.load()
        except ServiceError as error:
            if not self._quotes:
                raise
            # Old quotes are better than none; and the version is noted: one warning is enough.
            self._version = _version_of(self.path)
            log.warning("%s; until then the quotes it had are served", error)


def read_fortunes(path: str) -> list[bytes]:
    """The quotes of a fortune file: lines that hold only a `%` separate them.

    Raises:
        ServiceError: it can't be read, or there is no quote in it.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a FIFO would make everybody wait
            raise ServiceError("the fortunes are no regular file", path, "name a text file")
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise ServiceError(
            f"can't read the fortunes ({error.strerror})",
            path,
            "make it readable, or name another with --file",
        ) from error
    quotes = [part.strip(b"\r\n") for part in re.split(_SEPARATOR, text) if part.strip()]
    if not quotes:
        raise ServiceError("there is no quote in the fortunes", path, "separate quotes with `%`")
    return quotes


class QuoteProtocol(protocol.Protocol):
    """One TCP connection: a quote, and goodbye. What the other side says is thrown away."""

    def connectionMade(self) -> None:
        self.transport.write(self.factory.next_quote())
        self.transport.loseConnection()


class QuoteFactory(protocol.Factory):
    """What all connections share.

    Attributes:
        quoter: where the quotes come from.
        served: how many quotes were served; saved with the rest, so it counts on after a
            restart.
    """

    protocol = QuoteProtocol

    def __init__(self, quoter: Quoter):
        self.quoter = quoter
        self.served = 0

    def startFactory(self) -> None:
        self.quoter.load()  # a missing file is told to whoever starts the daemon

    def next_quote(self) -> bytes:
        """One more quote, as it goes over the wire: every line ends with CR LF."""
        quote = self.quoter.quote()
        self.served += 1
        return (re.sub(_LINE_END, b"\r\n", quote) if b"\n" in quote else quote) + b"\r\n"


class QuoteDatagrams(protocol.DatagramProtocol):
    """The UDP side: any datagram is answered with a quote."""

    def __init__(self, factory: QuoteFactory):
        self.factory = factory

    def startProtocol(self) -> None:
        self.factory.doStart()

    def stopProtocol(self) -> None:
        self.factory.doStop()

    def datagramReceived(self, data: bytes, address: Any) -> None:
        if self._may_answer(address):
            self.transport.write(shortened(self.factory.next_quote()), address)

    def _may_answer(self, address: Any) -> bool:
        """Whether a datagram comes from a client, not from a server.

        The sender's address is easily forged. One that names echo (port 7), another qotd (17)
        or chargen (19) would make that server and this one answer each other for ever; so would
        one that names this port, on this machine or a sister. No client's system gives it such
        a port.
        """
        return int(address[1]) >= 1024 and address[1] != self.transport.getHost()[1]


def shortened(quote: bytes) -> bytes:
    """A quote of at most 512 bytes, cut between two characters, still ending with CR LF."""
    if len(quote) <= LONGEST_DATAGRAM:
        return quote
    end = LONGEST_DATAGRAM - 2
    for _ in range(3):  # a character of UTF-8 goes on for at most three bytes 10xxxxxx
        if quote[end] & 0xC0 == 0x80:
            end -= 1
    return quote[:end].rstrip(b"\r\n") + b"\r\n"


def a_port(text: str) -> str:
    """Refuse what is no port description, while mktap can name the option it was given to."""
    ports.parse(text)
    return text


class Options(usage.Options):
    """What `mktap qotd` can be told."""

    longdesc = "Serve a quote of the day (RFC 865) to whoever connects by TCP or asks by UDP."

    optParameters = [
        ["port", "p", "8007", "Listen here: a port number or a description.", a_port],
        ["interface", "i", "", "Listen on this address only; without it on all."],
        ["static", "s", None, f"Serve this quote; without it: {DEFAULT_QUOTE}"],
        ["file", "f", None, "Serve the quotes of this file, separated by lines of a single %."],
    ]

    def postOptions(self) -> None:
        if self["static"] is not None and self["file"] is not None:
            raise usage.UsageError(
                "--static and --file contradict each other", None, "give one of them"
            )
        if self["file"] is not None:
            # The daemon may run in another directory than mktap does.
            self["file"] = os.path.abspath(self["file"])


def makeService(config: Options) -> service.MultiService:
    """A TCP and a UDP server on ports of the same number, sharing one factory.

    A description may ask for less: `udp:8007` for datagrams alone, `unix:` and `ssl:` for
    connections alone. With port 0 the system gives each its own number, and the log says which:
    the one TCP gets may be taken for UDP, so asking for the same would now and then fail.
    """
    quoter = _quoter(config)
    quoter.load()  # a mistyped --file is told at once
    factory = QuoteFactory(quoter)
    together = service.MultiService()
    where = ports.parse(config["port"], interface=config["interface"])
    if where.kind != "udp":
        connections = internet.server(str(where), factory)
        connections.setServiceParent(together)
    if where.kind in ("tcp", "udp"):
        datagrams = internet.UDPServer(where.port, QuoteDatagrams(factory), where.interface)
        datagrams.setServiceParent(together)
    return together


def _quoter(config: Options) -> Quoter:
    if config["file"] is not None:
        return FortuneQuoter(config["file"])
    return StaticQuoter(DEFAULT_QUOTE if config["static"] is None else config["static"])


def _version_of(path: str) -> Any:
    """What changes whenever the file does; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
