"""A quote of the day server without an image. Run it with `twistd -y quotes.tac`."""

import os

from TwistedQuotes.quoteproto import QOTDFactory
from TwistedQuotes.quoters import FortuneQuoter

from tapkit.application import Application
from tapkit.internet import TCPServer

port = int(os.environ.get("QUOTES_PORT", "8007"))
fortunes = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fortunes.txt")

application = Application("quotes")
server = TCPServer(port, QOTDFactory(FortuneQuoter([fortunes])))
server.setServiceParent(application)
