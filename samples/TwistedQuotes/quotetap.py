"""The TAP builder: the options of `mktap qotd`, and the service they make."""

import os

from tapkit import internet, usage
from TwistedQuotes import quoteproto, quoters


class Options(usage.Options):
    optParameters = [
        ["port", "p", 8007, "Port number to listen on.", int],
        ["static", "s", "An apple a day keeps the doctor away.", "A static quote to display."],
        ["file", "f", None, "A fortune-format text file to read quotes from."],
    ]


def makeService(config):
    if config["file"]:
        # The daemon may run in another directory than mktap does.
        quoter = quoters.FortuneQuoter([os.path.abspath(config["file"])])
    else:
        quoter = quoters.StaticQuoter(config["static"])
    return internet.TCPServer(config["port"], quoteproto.QOTDFactory(quoter))
