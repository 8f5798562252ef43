"""The protocol: whoever connects is sent a quote, and then the connection is closed."""

from tapkit.protocol import Factory, Protocol


class QOTD(Protocol):
    def connectionMade(self):
        quote = self.factory.quoter.getQuote()
        self.transport.write(quote.encode("utf-8", "surrogateescape") + b"\r\n")
        self.transport.loseConnection()


class QOTDFactory(Factory):
    protocol = QOTD

    def __init__(self, quoter):
        self.quoter = quoter
