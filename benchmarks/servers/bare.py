"""QOTD with nothing around it, the yardstick: `python bare.py asyncio|uvloop PORT`."""

import asyncio
import signal
import sys

QUOTE = b"An apple a day keeps the doctor away.\r\n"


class Quote(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(QUOTE)
        transport.close()


async def serve(port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Quote, "127.0.0.1", port)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.close()


def main(loop_name, port):
    if loop_name == "uvloop":
        import uvloop

        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    loop.run_until_complete(serve(int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
