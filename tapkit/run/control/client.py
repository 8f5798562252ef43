"""Asking a daemon something over its control socket."""

from __future__ import annotations

import socket
import time
from typing import Any

from tapkit.errors import DaemonError
from tapkit.run.control import protocol, sockets

ANSWER_LIMIT = 5.0  # seconds; a daemon answers within a tenth of one unless something blocks it


class NobodyListensError(DaemonError):
    """There is no control socket, or the daemon that made it is gone."""


class NoAnswerError(DaemonError):
    """Somebody listens, but did not answer, or said what no daemon says."""


class DeniedError(DaemonError):
    """The daemon is another user's."""


def ask(pidfile: str, command: str, limit: float = ANSWER_LIMIT, **arguments: Any) -> Any:
    """Ask the daemon that holds `pidfile`; return what it answers.

    Parameters:
        limit: seconds for the whole answer.

    Raises:
        NobodyListensError, NoAnswerError, DeniedError: see there.
        DaemonError: the daemon's own refusal.
    """
    path = sockets.path_beside(pidfile)
    deadline = time.monotonic() + limit
    try:
        with sockets.connect(path, min(limit, ANSWER_LIMIT)) as connection:
            connection.sendall(protocol.frame(protocol.question(command, arguments)))
            head = _read(connection, protocol.HEAD, deadline)
            length = protocol.length_of(head, protocol.LARGEST_ANSWER)
            message = protocol.message_of(_read(connection, length, deadline))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        raise NobodyListensError("no daemon listens", path) from error
    except PermissionError as error:
        raise DeniedError("you may not ask this daemon", path, "ask its user, or root") from error
    except (BlockingIOError, TimeoutError) as error:
        raise NoAnswerError(f"no answer within {limit:g} seconds", path, _LOOK) from error
    except (EOFError, ConnectionResetError, BrokenPipeError) as error:
        remedy = "another user's daemon hears nobody else; a busy one may be asked again"
        raise NoAnswerError("the daemon closed without an answer", path, remedy) from error
    except OSError as error:
        raise NoAnswerError(f"no answer ({error.strerror})", path, _LOOK) from error
    return protocol.answered(message)


_LOOK = "something keeps it from answering: look into its log, `tapctl logs`"


def _read(connection: socket.socket, length: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < length:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        more = connection.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return bytes(data)
