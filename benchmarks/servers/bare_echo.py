"""Echo with nothing around it, the yardstick: `python bare_echo.py asyncio|uvloop PORT`."""

import asyncio
import sys

import bare


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


bare.Quote = Echo

if __name__ == "__main__":
    bare.main(*sys.argv[1:])
