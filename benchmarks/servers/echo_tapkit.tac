"""The tutorial's echo on tapkit: `QOTD_PORT=8007 twistd -ny echo_tapkit.tac`."""

import os

from tapkit import internet, protocol
from tapkit.application import Application


class Echo(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(data)


class EchoFactory(protocol.Factory):
    protocol = Echo


application = Application("echo")
server = internet.TCPServer(int(os.environ["QOTD_PORT"]), EchoFactory(), interface="127.0.0.1")
server.setServiceParent(application)
