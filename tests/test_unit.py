"""`tapctl unit`: a systemd unit for an image, as systemd itself understands it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tapkit.image.overview import Service
from tapkit.run.systemd import units
from tests.place import Place

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def unit(place: Place, *arguments: str) -> str:
    done = place.run("tapctl", "unit", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def settings(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def test_a_service_unit(place: Place) -> None:
    """Notify, absolute paths, -n, the image's user, and no capability it does not need."""
    place.mktap("-u", "0", "qotd", "--port", "8007")
    said = settings(unit(place, "qotd.tap"))
    assert said["Type"] == "notify"
    words = said["ExecStart"].split()
    assert os.path.isabs(words[0])
    assert words[1].endswith("/bin/twistd")
    assert "--nodaemon" in words
    assert f"--file={place.path / 'qotd.tap'}" in words
    assert said["User"] == "root"
    assert said["StateDirectory"] == "qotd"
    assert said["CapabilityBoundingSet"] == said["AmbientCapabilities"] == ""
    assert said["NoNewPrivileges"] == "yes"
    assert said["ProtectSystem"] == "strict"
    assert said["PrivateTmp"] == "no", "the image is below /tmp, and must be seen"


def test_a_port_below_1024(place: Place) -> None:
    """The one capability that binds it; and systemd can bind it instead."""
    place.mktap("qotd", "--port", "tcp:17:interface=127.0.0.1")
    said = settings(unit(place, "qotd.tap"))
    assert said["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert said["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE"
    text = unit(place, "--socket", "qotd.tap")
    assert "\nListenStream=127.0.0.1:17\n" in text
    assert "\nListenDatagram=127.0.0.1:17\n" in text


@pytest.mark.parametrize(
    "form",
    ["pickle", *(pytest.param(form, marks=pytest.mark.slow) for form in ("xml", "source"))],
)
def test_any_form_and_nothing_is_loaded(place: Place, form: str) -> None:
    """The unit of an image whose code is not even here."""
    from tests.reloads import COUNTER
    from tests.test_twistd import add_tap

    add_tap(place, "counter", COUNTER)
    made = place.mktap("-t", form, "counter", "--port", "8123", "--path", "/run/counter/sock")
    assert made.returncode == 0, made.stderr
    shutil.rmtree(place.path / "lib")
    (image,) = [name for name in place.file_names() if name.startswith("counter.")]
    said = unit(place, "--socket", image)
    assert "\nListenStream=127.0.0.1:8123\n" in said
    assert "\nListenStream=/run/counter/sock\n" in said
    assert settings(unit(place, image))["ReadWritePaths"] == "-/run/counter"


@needs_systemd
def test_systemd_accepts_it(place: Place) -> None:
    """`systemd-analyze verify` has nothing to say, and `security` finds it well hardened."""
    place.mktap("-n", "quotes", "-u", str(os.getuid()), "qotd", "--port", "17")
    service, sockets = place.path / "quotes.service", place.path / "quotes.socket"
    service.write_text(unit(place, "quotes.tap"))
    sockets.write_text(unit(place, "--socket", "quotes.tap"))
    verified = analyze("verify", "--man=no", service, sockets)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    service.write_text(service.read_text().replace("User=root", "User=daemon"))
    judged = analyze("security", "--offline=true", "--no-pager", service)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged.stdout)
    assert level is not None, judged.stderr
    assert float(level[1]) < 3.0


@needs_systemd
@pytest.mark.slow
def test_names_are_quoted(place: Place) -> None:
    """Blanks, quotes, % and $ in a path arrive as they are."""
    folder = place.path / 'a "b" 100% $HOME'
    folder.mkdir()
    place.mktap("-n", "odd", "qotd")
    (place.path / "odd.tap").rename(folder / "odd.tap")
    text = unit(place, str(folder / "odd.tap"))
    line = settings(text)["ExecStart"]
    assert r"a \"b\" 100%% $$HOME" in line
    service = place.path / "odd.service"
    service.write_text(text)
    verified = analyze("verify", "--man=no", service)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    command = [ANALYZE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nothing.tap"], 1, "no such file"),
        (["-"], 1, "needs the image's path"),
        ([], 2, ""),
        (["--sockets", "qotd.tap"], 2, "--socket"),
    ],
)
def test_mistakes(place: Place, arguments: list[str], status: int, message: str) -> None:
    """What is no image gets no unit."""
    done = place.run("tapctl", "unit", *arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_an_image_of_something_else(place: Place) -> None:
    """An image that holds no application is refused by name."""
    from tapkit import image

    image.save({"no": "application"}, str(place.path / "x.tap"))
    done = place.run("tapctl", "unit", "x.tap")
    assert done.returncode == 1
    assert "x.tap" in done.stderr


def described(kind: str, **said: int | str) -> units.Port | None:
    service = Service("application.services[0]", 1, f"tapkit.internet.{kind}", None, said, {})
    return units._port(service)


@pytest.mark.parametrize(
    ("kind", "said", "directive", "where"),
    [
        ("TCPServer", {"port": 80}, "ListenStream", "80"),
        ("TCPServer", {"port": 80, "interface": "::1"}, "ListenStream", "[::1]:80"),
        ("StreamServer", {"port": 80, "interface": "10.0.0.1"}, "ListenStream", "10.0.0.1:80"),
        ("UDPServer", {"port": 53}, "ListenDatagram", "53"),
        ("UNIXServer", {"path": "/run/x", "mode": 0o666}, "ListenStream", "/run/x"),
        ("UNIXServer", {"path": "relative", "mode": 0o666}, "ListenStream", ""),
        ("TCPServer", {"port": 0}, "ListenStream", ""),
        ("TCPServer", {"port": 80, "interface": "localhost"}, "ListenStream", ""),
    ],
)
def test_where_systemd_listens(
    kind: str, said: dict[str, int | str], directive: str, where: str
) -> None:
    """What systemd can listen on is told it; what it can't is left to the service."""
    port = described(kind, **said)
    assert port is not None
    assert (port.directive, port.where) == (directive, where)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("TCPClient", {"host": "example.org", "port": 80}),
        ("UNIXClient", {"path": "/run/x", "mode": 1}),
        ("TimerService", {}),
    ],
)
def test_what_listens_nowhere(kind: str, said: dict[str, int | str]) -> None:
    """Clients and the like have no line."""
    assert described(kind, **said) is None
