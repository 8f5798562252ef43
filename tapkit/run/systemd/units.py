"""systemd units for an image: written from what the image says, which is not loaded.

A service gets what it needs and no more: its state's directory to write, its address families,
the one capability that a port below 1024 takes. What an image needs beyond that (a directory to
write, a device) an administrator adds by `systemctl edit`.
"""

from __future__ import annotations

import ipaddress
import os
import pwd
import re
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tapkit.image.overview import Overview, Service

_SAFE = re.compile(r"[\w@:,./=+-]+")  # needs no quotes in a unit file
_HOMES = ("/home/", "/root/", "/run/user/")
_TEMPORARY = ("/tmp/", "/var/tmp/")
_DATAGRAMS = ("UDPServer",)
_CLIENTS = ("Client",)

_HARDENED = """
NoNewPrivileges=yes
ProtectSystem=strict
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077
"""


class Port(NamedTuple):
    """Where a service listens, as far as the image says.

    Attributes:
        path: where in the image.
        directive: `ListenStream` or `ListenDatagram`.
        where: what follows it; "" where systemd could not be told.
        name: the service's, or None.
        number: of the port; None for a UNIX socket.
        mode: of a UNIX socket.
    """

    path: str
    directive: str
    where: str
    name: str | None
    number: int | None
    mode: int | None


class Deployment(NamedTuple):
    """What a unit is about.

    Attributes:
        name: of the application, and the unit.
        image: absolute path.
        twistd: the words that start twistd.
        user: whom it runs as: name or number.
    """

    name: str
    image: str
    twistd: list[str]
    user: str


def ports(seen: Overview) -> list[Port]:
    """Where the services of an image listen: what says a port or a path and is no client."""
    found = (_port(service) for service in seen.services)
    return [port for port in found if port is not None]


def deployment(name: str, image: str, uid: int | None) -> Deployment:
    """How an image would be run here: by this Python, as its own user or else its file's.

    Parameters:
        uid: what the image says.
    """
    path = os.path.abspath(image)
    script = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "twistd")
    owner = os.stat(path).st_uid if uid is None else uid
    try:
        user = pwd.getpwuid(owner).pw_name
    except KeyError:
        user = str(owner)
    return Deployment(name, path, [sys.executable, script], user)


def service_unit(what: Deployment, listening: Iterable[Port]) -> str:
    """The text of NAME.service."""
    return "\n".join(_service_lines(what, list(listening)))


def socket_unit(what: Deployment, listening: Iterable[Port]) -> str:
    """The text of NAME.socket: systemd listens, and starts the service for who connects."""
    return "\n".join(_socket_lines(what, list(listening)))


def _service_lines(what: Deployment, listening: list[Port]) -> Iterator[str]:
    state = f"/var/lib/{what.name}"
    command = [*what.twistd, "--nodaemon", f"--rundir={state}"]
    yield f"# {what.name}.service: made by `tapctl unit`. To install it:"
    yield f"#   put it into /etc/systemd/system, then systemctl enable --now {what.name}"
    yield "# To give it more than it has here: systemctl edit"
    yield "[Unit]"
    yield f"Description={_text(what.name)}, a tapkit application"
    yield "Wants=network-online.target"
    yield "After=network-online.target"
    yield ""
    yield "[Service]"
    yield "Type=notify"
    yield f"ExecStart={_command([*command, f'--file={what.image}'])}"
    yield "ExecReload=/bin/kill -HUP $MAINPID"
    yield "KillMode=mixed"
    yield "Restart=on-failure"
    yield "TimeoutStartSec=100"  # twistd itself gives up at 90
    yield "TimeoutStopSec=60"
    yield "WatchdogSec=30"
    yield f"User={what.user}"
    yield f"StateDirectory={_text(what.name)}"
    yield "StateDirectoryMode=0700"
    yield from _paths(what, listening)
    yield from _HARDENED.strip().splitlines()
    yield "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"
    low = any(port.number is not None and 0 < port.number < 1024 for port in listening)
    yield f"CapabilityBoundingSet={'CAP_NET_BIND_SERVICE' * low}"
    yield f"AmbientCapabilities={'CAP_NET_BIND_SERVICE' * low}"
    yield ""
    yield "[Install]"
    yield "WantedBy=multi-user.target"
    yield ""


def _paths(what: Deployment, listening: list[Port]) -> Iterator[str]:
    """What of the file system it sees: not what would hide its own files from it."""
    used = [what.image, *what.twistd, sys.prefix + "/"]
    yield f"ProtectHome={'read-only' if _any_below(used, _HOMES) else 'yes'}"
    yield f"PrivateTmp={'no' if _any_below(used, _TEMPORARY) else 'yes'}"
    sockets = sorted({os.path.dirname(port.where) for port in listening if port.number is None})
    if sockets:
        yield f"ReadWritePaths={' '.join('-' + _word(folder) for folder in sockets)}"


def _socket_lines(what: Deployment, listening: list[Port]) -> Iterator[str]:
    yield f"# {what.name}.socket: made by `tapctl unit --socket`. Put it beside"
    yield f"# {what.name}.service, then systemctl enable --now {what.name}.socket"
    yield "[Unit]"
    yield f"Description=The ports of {_text(what.name)}, a tapkit application"
    yield ""
    yield "[Socket]"
    for port in listening:
        if not port.where:
            yield f"# {port.path}: it has no fixed port and address; it binds one itself"
            continue
        yield f"{port.directive}={_text(port.where)}"
    modes = {port.mode for port in listening if port.mode is not None}
    if len(modes) == 1:
        yield f"SocketMode={modes.pop():04o}"
    names = {port.name for port in listening if port.where}
    if len(names) == 1 and (name := names.pop()) and re.fullmatch(r"[\w.-]{1,255}", name):
        yield f"FileDescriptorName={name}"
    yield ""
    yield "[Install]"
    yield "WantedBy=sockets.target"
    yield ""


def _port(service: Service) -> Port | None:
    settings = service.settings
    kind = service.class_name.rpartition(".")[2]
    path, number = settings.get("path"), settings.get("port")
    if kind.endswith(_CLIENTS) or "host" in settings:
        return None
    if isinstance(path, str) and "mode" in settings:
        where, mode = os.path.abspath(path), settings["mode"]
        return Port(
            service.path,
            "ListenStream",
            where if os.path.isabs(path) else "",
            service.name,
            None,
            mode if isinstance(mode, int) else None,
        )
    if not isinstance(number, int):
        return None
    directive = "ListenDatagram" if kind.endswith(_DATAGRAMS) else "ListenStream"
    where = _address(str(settings.get("interface", "")), number)
    return Port(service.path, directive, where, service.name, number, None)


def _address(interface: str, port: int) -> str:
    if not port:
        return ""
    if not interface:
        return str(port)
    try:
        address = ipaddress.ip_address(interface)
    except ValueError:
        return ""  # a host name: systemd takes none
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _any_below(paths: Iterable[str], roots: tuple[str, ...]) -> bool:
    return any(os.path.realpath(path).startswith(roots) for path in paths)


def _command(words: Iterable[str]) -> str:
    return " ".join(_word(word).replace("$", "$$") for word in words)


def _word(text: str) -> str:
    if _SAFE.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{_text(escaped)}"'


def _text(text: str) -> str:
    """Text in which systemd replaces nothing."""
    return text.replace("%", "%%").replace("\n", " ")
