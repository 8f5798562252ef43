"""The samples, run as their README says: by real mktap and twistd processes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.place import ROOT, Place, ask, wait_for

SAMPLES = ROOT / "samples"
APPLE = b"An apple a day keeps the doctor away.\r\n"
FORTUNES = [
    quote.strip().encode() + b"\r\n"
    for quote in re.split(r"(?m)^%\n", (SAMPLES / "fortunes.txt").read_text(encoding="utf-8"))
]


@pytest.fixture
def tutorial(place: Place) -> Place:
    """A place where `samples` is first on PYTHONPATH."""
    place.env["PYTHONPATH"] = os.pathsep.join([str(SAMPLES), str(ROOT)])
    return place


@pytest.fixture
def drop_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The TwistedQuotes package, imported here."""
    monkeypatch.syspath_prepend(str(SAMPLES))
    import TwistedQuotes.quoters
    import TwistedQuotes.quotetap

    yield TwistedQuotes
    for name in [name for name in sys.modules if name.partition(".")[0] == "TwistedQuotes"]:
        del sys.modules[name]


class FakeTransport:
    """Remembers what a protocol does with it."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def loseConnection(self) -> None:
        self.told.append("lost")


# The drop-in among the others.


def test_drop_in_wins_the_name(tutorial: Place) -> None:
    """With samples on PYTHONPATH, mktap's qotd is TwistedQuotes; it is listed once."""
    shown = tutorial.mktap("--help")
    assert shown.stdout.count("  qotd  Example of a TAP builder module.\n") == 1
    assert tutorial.mktap("qotd").returncode == 0
    assert b"TwistedQuotes.quotetap" not in (tutorial.path / "qotd.tap").read_bytes()
    assert b"TwistedQuotes.quoteproto" in (tutorial.path / "qotd.tap").read_bytes()


def test_built_in_qotd_without_it(place: Place) -> None:
    """Without it, qotd is the one that comes with tapkit."""
    assert place.mktap("qotd").returncode == 0
    assert b"TwistedQuotes" not in (place.path / "qotd.tap").read_bytes()


def test_help_shows_the_tutorials_options(tutorial: Place) -> None:
    """mktap qotd --help: the three options, with the tutorial's words."""
    shown = tutorial.mktap("qotd", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    for words in (
        "-p, --port",
        "Port number to listen on.",
        "-s, --static",
        "A static quote to display.",
        "-f, --file",
        "A fortune-format text file to read quotes from.",
    ):
        assert words in shown.stdout


def test_mistyped_port_is_one_line(tutorial: Place) -> None:
    """The option says what it takes, and nothing is written."""
    failed = tutorial.mktap("qotd", "--port", "http")
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 1
    assert "--port" in failed.stderr
    assert tutorial.file_names() == []


# The drop-in at work.


def test_session(tutorial: Place) -> None:
    """mktap, twistd, a quote, kill, and the state is saved."""
    assert tutorial.mktap("qotd", "--port", "0").stdout == (
        "Saving qotd application to qotd.tap...\nSaved.\n"
    )
    started = tutorial.twistd("-f", "qotd.tap")
    assert (started.returncode, started.stderr) == (0, "")
    assert ask(tutorial.port()) == APPLE
    tutorial.kill()
    assert tutorial.file_names() == ["qotd-shutdown.tap", "qotd.tap", "twistd.log"]


def test_static_quote(tutorial: Place) -> None:
    """--static is what is served."""
    with tutorial.foreground("-n", "qotd", "--port", "0", "--static", "Haste makes waste."):
        assert ask(tutorial.port("foreground.log")) == b"Haste makes waste.\r\n"


def test_fortune_file_is_found_from_anywhere(tutorial: Place) -> None:
    """A relative --file is the one beside mktap, wherever the daemon runs."""
    (tutorial.path / "mine.txt").write_bytes("Façade\n".encode() + b"caf\xe9\n%\n")
    assert tutorial.mktap("qotd", "-p", "0", "-f", "mine.txt").returncode == 0
    (tutorial.path / "run").mkdir()
    with tutorial.foreground("-n", "-d", "run", "-f", "qotd.tap"):
        assert ask(tutorial.port("foreground.log")) == "Façade\n".encode() + b"caf\xe9\r\n"


# The listings, one by one.


def test_quoters_satisfy_the_interface(drop_in: Any) -> None:
    """IQuoter can be checked at run time; both quoters satisfy it."""
    quoters = drop_in.quoters
    assert isinstance(quoters.StaticQuoter("x"), quoters.IQuoter)
    assert isinstance(quoters.FortuneQuoter(["x"]), quoters.IQuoter)
    assert not isinstance("x", quoters.IQuoter)


def test_fortune_quoter_serves_every_quote_of_every_file(drop_in: Any, tmp_path: Path) -> None:
    """The choice is random, over files and over the quotes in one."""
    (tmp_path / "one").write_text("a\n%\nb\nmore\n%\n")
    (tmp_path / "two").write_text("100%\nsure\n")
    quoter = drop_in.quoters.FortuneQuoter([tmp_path / "one", tmp_path / "two"])
    assert {quoter.getQuote() for _ in range(200)} == {"a", "b\nmore", "100%\nsure"}


def test_protocol_writes_the_quote_and_leaves(drop_in: Any) -> None:
    """The whole protocol: a quote with CR LF, then the connection is closed."""
    factory = drop_in.quoteproto.QOTDFactory(drop_in.quoters.StaticQuoter("x"))
    protocol = factory.buildProtocol(("127.0.0.1", 1))
    transport = FakeTransport()
    protocol.makeConnection(transport)
    assert transport.told == [b"x\r\n", "lost"]


def test_makeservice_makes_the_tutorials_objects(drop_in: Any) -> None:
    """A TCP server with a QOTDFactory, whose quoter has the quote: what the images show."""
    config = drop_in.quotetap.Options()
    config.parseOptions(["--port=8008"])
    made = drop_in.quotetap.makeService(config)
    assert made.port == 8008
    assert type(made.factory) is drop_in.quoteproto.QOTDFactory
    assert made.factory.quoter.quote == "An apple a day keeps the doctor away."


# The .tac.


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_tac_runs_in_the_foreground_from_any_directory(place: Place, relative: bool) -> None:
    """twistd -ny finds the drop-in and the fortunes beside the script, however it is named."""
    script = os.fspath(SAMPLES / "quotes.tac")
    place.env["QUOTES_PORT"] = "0"
    with place.foreground("-ny", os.path.relpath(script, place.path) if relative else script):
        assert ask(place.port("foreground.log")) in FORTUNES


def test_tac_runs_as_a_daemon_and_saves_nothing(place: Place) -> None:
    """twistd -y: a script is run, never saved."""
    place.env["QUOTES_PORT"] = "0"
    started = place.twistd("-y", SAMPLES / "quotes.tac")
    assert (started.returncode, started.stderr) == (0, "")
    assert ask(place.port()) in FORTUNES
    place.kill()
    wait_for("the pidfile to go", lambda: place.file_names() == ["twistd.log"])


def test_fortunes_fit_a_datagram() -> None:
    """The sample quotes are as RFC 865 wants them: less than 512 characters."""
    assert len(FORTUNES) >= 5
    assert all(2 < len(quote) < 512 for quote in FORTUNES)


# What is said about them.


def test_readme_names_every_sample() -> None:
    """samples/README.md speaks of every file there, and of none that is not."""
    readme = (SAMPLES / "README.md").read_text()
    files = [path.name for path in SAMPLES.iterdir() if path.name != "README.md"]
    files += [path.name for path in (SAMPLES / "TwistedQuotes").iterdir()]
    present = {name for name in files if not name.startswith("__")}
    assert {name for name in present if name not in readme} == set()
    named = set(re.findall(r"`(?:samples/)?([\w-]+\.(?:py|tml|tac|txt))`", readme))
    assert named <= present


def test_samples_use_public_modules_alone() -> None:
    """A sample has no private door: what it imports of tapkit, anyone may."""
    sources = [*SAMPLES.glob("*/*.py"), *SAMPLES.glob("*.tac"), *ROOT.glob("tapkit_plugins/*.py")]
    assert len(sources) >= 6
    for source in sources:
        for line in re.findall(r"^(?:from|import) (tapkit\b.*)$", source.read_text(), re.M):
            assert not re.search(r"\b_|tapkit\.(run|scripts)\b", line), f"{source.name}: {line}"
