"""The commands on encrypted images, beside Debian's age."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

from tapkit import application, image
from tapkit.image import age_header, files
from tapkit.image.seal import Seal, decrypted
from tapkit.image.seal.encryption import Keys, Lock
from tapkit.journal import Journaled
from tapkit.service import Service
from tests.place import ROOT, Place, wait_for
from tests.terminal import in_terminal

pyrage = pytest.importorskip("pyrage")

CANARY = "tapkit-canary-passphrase"
IDENTITY = pyrage.x25519.Identity.generate()
needs_age = pytest.mark.skipif(shutil.which("age") is None, reason="the program age is not here")


def by_key() -> Keys:
    return Keys(None, [str(IDENTITY).encode()])


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An image as mktap encrypts it to the identity."""
    place = Place(tmp_path_factory.mktemp("encrypted") / "place")
    made = place.mktap("--recipient", str(IDENTITY.to_public()), "qotd", "--port", "0")
    assert (made.returncode, made.stderr) == (0, "")
    return (place.path / "qotd.etap").read_bytes()


@pytest.fixture
def sealed(place: Place, encrypted: bytes) -> Place:
    """A place with an identity, a passphrase's file, and an image encrypted to the identity."""
    write_private(place, "id.txt", f"# an identity\n{IDENTITY}\n")
    write_private(place, "pass", f"{CANARY}\nnot this line\n")
    files.write_atomic(str(place.path / "qotd.etap"), encrypted)
    return place


def write_private(place: Place, name: str, text: str) -> None:
    files.write_atomic(str(place.path / name), text.encode())


def test_mktap_and_tapconvert(sealed: Place) -> None:
    """Encrypted as made; decrypted and encrypted again, in any form."""
    assert "qotd.etap" in sealed.file_names()
    recipient = str(IDENTITY.to_public())
    for arguments in (
        ["-d", "--identity", "id.txt", "qotd.etap"],
        ["-e", "--recipient", recipient, "qotd.tap", "x.etax"],
        ["--identity", "id.txt", "x.etax", "y.tas"],
        ["-e", "--recipient", recipient, "y.tas"],
    ):
        made = sealed.run("tapconvert", *arguments)
        assert (made.returncode, made.stderr) == (0, ""), arguments
    found = sealed.path / "y.etas"
    opened = decrypted(found.read_bytes(), "y", by_key()).data
    assert opened == (sealed.path / "y.tas").read_bytes()
    assert image.inspect(opened).name == "qotd"
    appended = sealed.mktap("-a", "qotd.etap", "--identity", "id.txt", "qotd", "--port", "1")
    assert (appended.returncode, appended.stderr) == (0, "")
    assert len(list(application.load(str(sealed.path / "qotd.etap"), keys=by_key()))) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["mktap", "-e", "qotd"], "there is no terminal to ask at: give --passphrase-file"),
        (["mktap", "-e", "--passphrase-file", "none", "qotd"], "no such file"),
        (["mktap", "-e", "--passphrase-file", "open", "qotd"], "others may read it (mode 0644)"),
        (["mktap", "-e", "--passphrase-file", "empty", "qotd"], "the passphrase is empty"),
        (["mktap", "-e", "--passphrase-fd", "99", "qotd"], "descriptor 99 can't be read"),
        (["mktap", "-e", "--passphrase-fd", "x", "qotd"], "not the number of a descriptor"),
        (["mktap", "--recipient", "open", "qotd"], "'hello' is no recipient"),
        (["tapconvert", "-d", "qotd.etap", "-"], "encrypted to keys, not to a passphrase"),
        (["tapconvert", "--identity", "open", "-d", "qotd.etap"], "others may read it"),
        (["tapconvert", "--identity", "pass", "-d", "qotd.etap"], "holds no key that can be used"),
        (["tapconvert", "-d", "plain.tax", "x.tap"], "the image is not encrypted: plain.tax"),
        (["twistd", "-e", "--check", "plain.tax"], "the image is not encrypted: plain.tax"),
        (["twistd", "-e", "qotd"], "a TAP builder is no image: --encrypted"),
        (["tapctl", "inspect", "qotd.etap"], "encrypted to keys, not to a passphrase"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(sealed: Place, command: list[str], said: str) -> None:
    """Each is told, nothing is written, and no secret is shown."""
    write_private(sealed, "open", "hello\n")
    (sealed.path / "open").chmod(0o644)
    write_private(sealed, "empty", "\nsecond\n")
    write_private(sealed, "plain.tax", image.dumps(application.Application("x"), "xml").decode())
    before = sealed.file_names()
    done = sealed.run(*command, start_new_session=True)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert CANARY not in done.stderr + done.stdout
    assert sealed.file_names() == before


def test_help_needs_no_library(place: Place) -> None:
    """--help, and images that are neither encrypted nor signed, import no cryptography."""
    code = (
        "import sys; sys.argv = ['mktap', 'qotd', '--port', '0'];"
        "from tapkit.scripts.mktap import main;"
        f'doc = open({str(ROOT / "bin" / "mktap")!r}).read().split(\'"""\')[1];'
        "main(sys.argv[1:], doc);"
        "from tapkit import application; application.load('qotd.tap');"
        "print([name for name in ('pyrage', 'cryptography', 'getpass') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place.path,
        env=place.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.endswith("Saved.\n[]\n"), done.stderr


def test_a_daemon_saves_encrypted(sealed: Place) -> None:
    """What twistd saves at stop is encrypted as its image was; no word of it is in the clear."""
    started = sealed.twistd("--identity", "id.txt", "qotd.etap")
    assert (started.returncode, started.stderr) == (0, "")
    sealed.kill()
    assert "qotd-shutdown.etap" in sealed.file_names()
    assert not any(name.endswith((".tap", ".tmp")) for name in sealed.file_names())
    saved = sealed.path / "qotd-shutdown.etap"
    assert age_header.sniff(saved.read_bytes())
    assert application.load(str(saved), keys=by_key()).name == "qotd"
    resumed = sealed.twistd("--check", "--resume", "--identity", "id.txt", "qotd.etap")
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming from qotd-shutdown.etap" in resumed.stderr


@pytest.mark.slow
def test_tapctl_edit_keeps_it_encrypted(sealed: Place) -> None:
    """An encrypted image is edited, and written encrypted; so is what can't be used."""
    sealed.env["EDITOR"] = "sed -i s/<name>qotd/<name>daily/"
    shown = sealed.run("tapctl", "inspect", "--identity", "id.txt", "qotd.etap")
    assert "tapkit.application.Application 'qotd'" in shown.stdout
    edited = sealed.run("tapctl", "edit", "--identity", "id.txt", "qotd.etap")
    assert (edited.returncode, edited.stderr) == (0, "")
    assert application.load(str(sealed.path / "qotd.etap"), keys=by_key()).name == "daily"
    sealed.env["EDITOR"] = "sed -i s/<name/<nome/"
    broken = sealed.run("tapctl", "edit", "--identity", "id.txt", "qotd.etap")
    assert broken.returncode == 1
    assert "qotd.edited.etax" in broken.stderr
    assert age_header.sniff((sealed.path / "qotd.edited.etax").read_bytes())
    assert not any(name.endswith(".tax") for name in sealed.file_names())


@needs_age
def test_stock_age_by_keys(sealed: Place) -> None:
    """Debian's age decrypts ours, and we decrypt its, binary and armored."""

    def age(*arguments: str) -> bytes:
        done = subprocess.run(
            ["age", *arguments], cwd=sealed.path, capture_output=True, timeout=60, check=True
        )
        return done.stdout

    plain = age("-d", "-i", "id.txt", "qotd.etap")
    assert image.inspect(plain).name == "qotd"
    files.write_atomic(str(sealed.path / "plain.tap"), plain)
    for flags in ([], ["--armor"]):
        age(*flags, "-r", str(IDENTITY.to_public()), "-o", "theirs.etap", "plain.tap")
        (sealed.path / "theirs.etap").chmod(0o600)
        checked = sealed.twistd("--check", "--identity", "id.txt", "theirs.etap")
        assert checked.returncode == 0, checked.stderr


def type_passphrases(place: Place, command: list[str], *answers: tuple[str, str]) -> str:
    with in_terminal(command, place.path, place.env) as terminal:
        for prompt, answer in answers:
            terminal.expect(prompt)
            terminal.await_hidden()  # age prompts first, and then turns the echo off
            terminal.type(answer + "\n")
        status = terminal.end()
        shown = terminal.shown
    assert status == 0, shown
    assert CANARY not in shown
    return shown


@pytest.mark.slow
@needs_age
def test_stock_age_by_passphrase(place: Place) -> None:
    """At a terminal, typed: Debian's age opens what mktap -e made, and twistd what age made."""
    make = place.command("mktap", "-e", "qotd", "--port", "0")
    type_passphrases(place, make, ("New passphrase", CANARY), ("The same again", CANARY))
    type_passphrases(
        place, ["age", "-d", "-o", "plain.tap", "qotd.etap"], ("Enter passphrase", CANARY)
    )
    assert image.inspect((place.path / "plain.tap").read_bytes()).name == "qotd"
    type_passphrases(
        place,
        ["age", "-p", "-o", "theirs.etap", "plain.tap"],
        ("Enter passphrase", CANARY),
        ("Confirm passphrase", CANARY),
    )
    (place.path / "theirs.etap").chmod(0o600)
    check = place.command("twistd", "--check", "theirs.etap")
    assert "can be saved" in type_passphrases(place, check, ("Passphrase of theirs.etap:", CANARY))


@pytest.mark.slow
def test_a_passphrase_typed_twice(place: Place) -> None:
    """Two that differ are asked for again; nothing is shown, and nothing written until it fits."""
    type_passphrases(
        place,
        place.command("mktap", "-e", "qotd", "--port", "0"),
        ("New passphrase", CANARY),
        ("The same again", "mistyped"),
        ("They differ.\r\nNew passphrase", CANARY),
        ("The same again", CANARY),
    )
    assert "qotd.etap" in place.file_names()


@pytest.mark.slow
def test_passphrase_from_a_file_and_a_descriptor(place: Place) -> None:
    """The first line of each; and the wrong one is told from damage."""
    write_private(place, "pass", f"{CANARY}\nnot this line\n")
    write_private(place, "wrong", "wrong\n")
    made = place.mktap("-e", "--passphrase-file", "pass", "qotd", "--port", "0")
    assert (made.returncode, made.stderr) == (0, "")
    with open(place.path / "pass") as file:
        fd = file.fileno()
        read = place.run(
            "twistd", "--check", "--passphrase-fd", str(fd), "qotd.etap", pass_fds=[fd]
        )
    assert read.returncode == 0, read.stderr
    wrong = place.run("twistd", "--check", "--passphrase-file", "wrong", "qotd.etap")
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "twistd: the passphrase is wrong: qotd.etap: nothing was loaded\n",
    )


@pytest.mark.slow
def test_a_reload_keeps_it_encrypted(sealed: Place) -> None:
    """The process that takes over has the state, and saves it as its predecessor did."""
    started = sealed.twistd("--identity", "id.txt", "qotd.etap")
    assert (started.returncode, started.stderr) == (0, "")
    os.kill(sealed.pid(), signal.SIGHUP)
    wait_for("the next process", lambda: "has taken over" in sealed.log())
    sealed.kill()
    saved = sealed.path / "qotd-shutdown.etap"
    assert application.load(str(saved), keys=by_key()).name == "qotd"
    assert not any(name.endswith(".tap") for name in sealed.file_names())


class Ledger(Journaled, Service):
    """Keeps a journal."""

    name = "ledger"


def test_no_journal_beside_it(sealed: Place) -> None:
    """Its commands would be in the clear: refused, and no pidfile is left."""
    app = application.new("books", Ledger())
    app.seal = Seal(Lock(recipients=[str(IDENTITY.to_public())]))
    application.save(app, str(sealed.path / "books.etap"))
    done = sealed.twistd("--identity", "id.txt", "books.etap")
    assert (done.returncode, "go into a journal in the clear" in done.stderr) == (1, True)
    assert "twistd.pid" not in sealed.file_names()
