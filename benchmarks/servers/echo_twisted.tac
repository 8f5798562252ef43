"""The tutorial's echo on Twisted: `QOTD_PORT=8007 twistd -noy echo_twisted.tac`."""

import os

from twisted.application import internet, service
from twisted.internet import protocol


class Echo(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(data)


class EchoFactory(protocol.Factory):
    protocol = Echo
    noisy = False


application = service.Application("echo")
port = int(os.environ["QOTD_PORT"])
server = internet.TCPServer(port, EchoFactory(), backlog=128, interface="127.0.0.1")
server.setServiceParent(application)
