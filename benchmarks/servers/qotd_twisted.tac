"""The tutorial's QOTD on Twisted: `QOTD_PORT=8007 twistd -noy qotd_twisted.tac`."""

import os

from twisted.application import internet, service
from twisted.internet import protocol


class QOTD(protocol.Protocol):
    def connectionMade(self):
        self.transport.write(self.factory.quote + b"\r\n")
        self.transport.loseConnection()


class QOTDFactory(protocol.Factory):
    protocol = QOTD
    noisy = False

    def __init__(self, quote):
        self.quote = quote


port = int(os.environ["QOTD_PORT"])
factory = QOTDFactory(b"An apple a day keeps the doctor away.")
application = service.Application("qotd")
server = internet.TCPServer(port, factory, backlog=128, interface="127.0.0.1")
server.setServiceParent(application)
