"""A service whose state counts its conversations, and the image of one: what must survive."""

from __future__ import annotations

from tapkit import application, internet, protocol, service


class Counting(protocol.Protocol):
    """Says how many there were, this one included."""

    def connectionMade(self) -> None:  # noqa: N802  # the tutorial's hook
        self.factory.count += 1
        self.transport.write(b"%d\r\n" % self.factory.count)
        self.transport.loseConnection()


class CountingFactory(protocol.ServerFactory):
    """Holds the count."""

    protocol = Counting
    count = 0


def save(path: str, port: int, socket: str) -> None:
    """Write the image of a counter on a TCP port and a UNIX socket."""
    both, factory = service.MultiService(), CountingFactory()
    both.addService(internet.TCPServer(port, factory, "127.0.0.1"))
    both.addService(internet.UNIXServer(socket, factory))
    application.save(application.new("counting", both), path)
