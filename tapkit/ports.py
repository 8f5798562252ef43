"""Port descriptions: where a service listens, as text. `tcp:8007:interface=127.0.0.1`

The grammar is `[KIND:]WHERE[:KEY=VALUE]...`; the kind may be left out. A `:` or a
backslash inside a value is written with a backslash before it; an IPv6 address may stand in
brackets instead: `interface=[::1]`. WHERE is a port number or, for unix, a path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from tapkit.errors import UsageError
from tapkit.names import suggestion
from tapkit.records import Record

BACKLOG = 128
UNIX_MODE = 0o666
HIGHEST_PORT = 65535
EXAMPLE = "write for example tcp:8007:interface=127.0.0.1"


class PortDescription(Record):
    """Where a service listens.

    Attributes:
        kind: `tcp`, `ssl`, `unix` or `udp`.
        port: 0 to 65535; 0 leaves the choice to the system. 0 for unix.
        interface: an address or host name; "" is all of them.
        backlog: how many connections may wait to be accepted.
        path, mode: of a UNIX socket's file.
        certificate, privkey: paths of PEM files; privkey may be in the certificate's.
    """

    kind: str
    port: int = 0
    interface: str = ""
    backlog: int = BACKLOG
    path: str = ""
    mode: int = UNIX_MODE
    certificate: str = ""
    privkey: str = ""

    def __str__(self) -> str:
        """The description as text; `parse` reads it back equal."""
        return ":".join([self.kind, *self._texts()])

    def _texts(self) -> Iterator[str]:
        where, keys = KINDS[self.kind]
        value = _escape(str(getattr(self, where)))
        yield f"{where}={value}" if "=" in value else value
        for key in keys:
            value = getattr(self, key)
            if value != getattr(PortDescription, key):
                yield f"{key}={value:03o}" if key == "mode" else f"{key}={_escape(str(value))}"


# kind -> what comes first, and the keys that may follow it
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "tcp": ("port", ("interface", "backlog")),
    "ssl": ("port", ("interface", "backlog", "certificate", "privkey")),
    "unix": ("path", ("mode", "backlog")),
    "udp": ("port", ("interface",)),
}


def parse(description: int | str, kind: str = "tcp", **defaults: Any) -> PortDescription:
    """Read a port description; a plain number is one, too.

    Parameters:
        kind: what it is where it does not say.
        defaults: what holds where the description says nothing (`interface="127.0.0.1"`);
            those its kind does not know are left aside.

    Raises:
        UsageError: naming the description, the mistake in it and what to write.
    """
    if isinstance(description, int) and not isinstance(description, bool):
        description = str(description)
    if not isinstance(description, str) or not description:
        raise UsageError("a port is a number or a description", repr(description), EXAMPLE)
    kind, fields = _kind_of(description, kind)
    where, keys = KINDS[kind]
    known = {where, *keys}
    said = dict(_read_fields(description, fields, where, keys))
    values = {key: value for key, value in defaults.items() if key in known}
    values.update({key: READERS[key](said[key], description) for key in said})
    if where not in values:
        raise UsageError(f"a {kind} port needs a {NEEDED[where]}", description, EXAMPLES[kind])
    if kind == "ssl" and not values.get("certificate"):
        raise UsageError("an ssl port needs a certificate", description, EXAMPLES["ssl"])
    return PortDescription(kind, **values)


def port_number(value: int | str, where: str | None = None) -> int:
    """The port number `value` says, 0 to 65535.

    Raises:
        UsageError: it is no number, or out of range.
    """
    text = str(value)
    if not re.fullmatch(r"[0-9]+", text, re.ASCII):
        raise UsageError(f"the port is not a number: {text!r}", where, EXAMPLE)
    if len(text.lstrip("0")) > len(str(HIGHEST_PORT)) or int(text) > HIGHEST_PORT:
        raise UsageError(f"there is no port {text}", where, f"ports are 0 to {HIGHEST_PORT}")
    return int(text)


def _kind_of(description: str, kind: str) -> tuple[str, list[str]]:
    fields = _split(description)
    if fields[0] in KINDS:
        return fields[0], fields[1:]
    if not re.match(r"[^\W\d]", fields[0]):  # a kind begins with a letter
        return kind, fields
    close = suggestion(fields[0], KINDS)
    raise UsageError(
        f"there is no kind of port {fields[0]!r}{close}",
        description,
        f"the kinds are {', '.join(KINDS)}",
    )


def _read_fields(
    description: str, fields: list[str], where: str, keys: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    seen = set()
    for index, field in enumerate(fields):
        key, equals, value = field.partition("=")
        if index == 0 and (not equals or (where == "path" and key != where)):
            key, value = where, field
        elif not equals:
            raise UsageError(
                f"a port description can't have {_unescape(field)!r} here",
                description,
                r"after the first value come key=value pairs; "
                r"write an IPv6 address as [::1], any other : as \:",
            )
        elif key != where and key not in keys:
            raise UsageError(
                f"there is no key {key!r} here{suggestion(key, [where, *keys])}",
                description,
                f"the keys are {', '.join(keys)}",
            )
        if key in seen:
            raise UsageError(f"{key} is said twice", description, "say it once")
        seen.add(key)
        yield key, _unescape(value)


# One field, up to a colon that stands alone; a value may be in brackets as a whole.
FIELD = r"(?s:(?:(?<==)\[[^\]]*\](?=:|\Z)|\\.|[^:])*)"


def _split(description: str) -> list[str]:
    """The fields of a description; the escapes in them are left."""
    pattern = re.compile(FIELD)  # here, and not above: most starts read no description
    fields = []
    end = -1
    while end < len(description):
        field = pattern.match(description, end + 1)
        assert field is not None  # it matches nothing at all, too
        fields.append(field.group())
        end = field.end()
    return fields


def _escape(text: str) -> str:
    return re.sub(r"([\\:])", r"\\\1", text)


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _read_interface(text: str, _where: str) -> str:
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _read_backlog(text: str, where: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) < 1:
        raise UsageError(f"the backlog is not a number above 0: {text!r}", where)
    return int(text)


def _read_mode(text: str, where: str) -> int:
    if not re.fullmatch(r"[0-7]{3,4}", text, re.ASCII) or int(text, 8) > 0o777:
        raise UsageError(f"the mode is not octal permissions: {text!r}", where, "such as 660")
    return int(text, 8)


def _reader_of_path(what: str) -> Callable[[str, str], str]:
    def read(text: str, where: str) -> str:
        if not text or "\0" in text:
            raise UsageError(f"the {what} is not a path: {text!r}", where)
        return text

    return read


READERS: dict[str, Callable[[str, str], Any]] = {
    "port": port_number,
    "interface": _read_interface,
    "backlog": _read_backlog,
    "path": _reader_of_path("path"),
    "mode": _read_mode,
    "certificate": _reader_of_path("certificate"),
    "privkey": _reader_of_path("privkey"),
}
NEEDED = {"port": "port number", "path": "path"}
EXAMPLES = {
    "tcp": EXAMPLE,
    "ssl": "write for example ssl:443:certificate=server.pem:privkey=key.pem",
    "unix": "write for example unix:/run/qotd.sock:mode=660",
    "udp": "write for example udp:8007:interface=127.0.0.1",
}
