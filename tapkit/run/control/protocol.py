"""What is said over a daemon's control socket: one question, one answer, then the end.

    frame     = length (4 bytes, big-endian) + msgpack map of that length
    question  = {"command": str, "arguments": {str: ...}}
    answer    = {"ok": true, "result": ...}
              | {"ok": false, "error": {"what": str, "where": str or nil, "remedy": str or nil}}

Both sides bound what they read before they read it. A peer that says anything else is no tapkit.
"""

from __future__ import annotations

from typing import Any

import msgpack  # type: ignore[import-untyped,unused-ignore]

from tapkit.errors import DaemonError, TapkitError

HEAD = 4  # bytes of the length
LARGEST_QUESTION = 64 * 1024
LARGEST_ANSWER = 4 * 1024 * 1024


def frame(message: dict[str, Any]) -> bytes:
    """One message as it goes over the socket.

    Raises:
        DaemonError: it is longer than any may be.
    """
    body: bytes = msgpack.packb(message, default=str, unicode_errors="surrogateescape")
    if len(body) > LARGEST_ANSWER:
        raise DaemonError(f"the answer would be {len(body)} bytes, {LARGEST_ANSWER} are the most")
    return len(body).to_bytes(HEAD, "big") + body


def length_of(head: bytes, largest: int) -> int:
    """How many bytes follow the head of a frame.

    Raises:
        DaemonError: more than `largest`.
    """
    length = int.from_bytes(head, "big")
    if length > largest:
        raise DaemonError(f"a message of {length} bytes, where {largest} are the most")
    return length


def message_of(body: bytes) -> dict[str, Any]:
    """The message in the body of a frame.

    Raises:
        DaemonError: there is none.
    """
    try:
        message = msgpack.unpackb(body, unicode_errors="surrogateescape")
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise DaemonError(f"no msgpack message: {error or type(error).__name__}") from error
    if not isinstance(message, dict):
        raise DaemonError("a message that is no map")
    return message


def question(command: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The message that asks for `command`."""
    return {"command": command, "arguments": arguments}


def asked(message: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Command and arguments of a question.

    Raises:
        DaemonError: it is none.
    """
    command, arguments = message.get("command"), message.get("arguments", {})
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise DaemonError("a message that is no question")
    return command, arguments


def result(value: Any) -> dict[str, Any]:
    """The answer that gives what was asked for."""
    return {"ok": True, "result": value}


def refusal(error: TapkitError) -> dict[str, Any]:
    """The answer that says why not."""
    told = {"what": error.what, "where": error.where, "remedy": error.remedy}
    return {"ok": False, "error": told}


def answered(message: dict[str, Any]) -> Any:
    """What an answer gives.

    Raises:
        DaemonError: it is a refusal, or no answer.
    """
    if message.get("ok") is True:
        return message.get("result")
    error = message.get("error")
    if not isinstance(error, dict):
        raise DaemonError("an answer that is none")
    what, where, remedy = (error.get(key) for key in ("what", "where", "remedy"))
    raise DaemonError(str(what), where and str(where), remedy and str(remedy))
