"""keygen, sign, verify, and daemons on a machine with a policy."""

from __future__ import annotations

import os

import pytest

from tapkit.image import files, seal
from tapkit.image.seal import signing
from tests.place import Place
from tests.trusting import Machine

pytest.importorskip("cryptography")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An image as mktap makes it."""
    place = Place(tmp_path_factory.mktemp("plain") / "place")
    done = place.mktap("qotd", "--port", "0")
    assert (done.returncode, done.stderr) == (0, "")
    return (place.path / "qotd.tap").read_bytes()


@pytest.fixture
def signed(place: Place, machine: Machine, plain: bytes) -> Place:
    """A place on the machine, with a trusted key and an image signed with it."""
    machine.take_in(place)
    signer = signing.signer_from(machine.key("release"))
    seal.write(plain, str(place.path / "qotd.tap"), seal.Seal(signer=signer), name="qotd")
    return place


def test_a_signed_daemons_life(signed: Place, machine: Machine) -> None:
    """The policy demands signatures: made, run, saved signed by the daemon, run from that; the
    image it began with is then an older one."""
    machine.policy("require-signature = yes")
    assert signed.twistd("qotd.tap").returncode == 0
    signed.kill()
    verified = signed.run("tapctl", "verify", "qotd-shutdown.tap")
    assert verified.returncode == 0, verified.stderr
    assert "signed as 'qotd' by a daemon's own key" in verified.stdout
    started = signed.twistd("qotd-shutdown.tap")
    assert started.returncode == 0, started.stderr
    signed.kill()
    older = signed.twistd("qotd.tap")
    assert older.returncode == 1
    assert "older than the last one of 'qotd' that ran" in older.stderr
    assert signed.twistd("--allow-rollback", "--check", "qotd.tap").returncode == 0
    assert "twistd.pid" not in signed.file_names()


@pytest.mark.slow
def test_the_policy_stops_commands(signed: Place, machine: Machine) -> None:
    """Unsigned images neither run nor take a service more; --require-signature asks the same."""
    assert signed.run("tapconvert", "qotd.tap", "plain.tax").returncode == 0
    asked = signed.twistd("--require-signature", "plain.tax")
    assert "is not signed, and --require-signature wants it signed: plain.tax" in asked.stderr
    machine.policy("require-signature = yes")
    for command in (["twistd", "plain.tax"], ["mktap", "-a", "plain.tax", "qotd"]):
        done = signed.run(*command)
        assert done.returncode == 1
        assert "policy.ini wants it signed: plain.tax" in done.stderr
    assert "twistd.pid" not in signed.file_names()


def test_keygen_sign_verify(place: Place, machine: Machine) -> None:
    """The three commands, as docs/security.md shows them."""
    machine.take_in(place)
    made = place.run("tapctl", "keygen", "-a", "qotd,web-*", "-e", "30d", "-c", "Alice", "alice")
    assert (made.returncode, made.stderr) == (0, "")
    public = (place.path / "alice.pub").read_text()
    assert "comment: Alice\napplications: qotd web-*\nexpires: 20" in public
    done = place.mktap("-t", "xml", "--sign", "alice", "qotd", "--port", "0")
    assert (done.returncode, done.stderr) == (0, "")
    signed = place.run("tapctl", "sign", "--key", "alice", "qotd.tax")
    assert signed.stdout.startswith("Signed qotd.tax as 'qotd' with ")
    unknown = place.run("tapctl", "verify", "qotd.tax")
    assert (unknown.returncode, "nobody here trusts" in unknown.stderr) == (1, True)
    by_key = place.run("tapctl", "verify", "--key", "alice.pub", "qotd.tax")
    assert (by_key.returncode, "by Alice (" in by_key.stdout) == (0, True)
    files.write_atomic(str(machine.user_trust / "alice.pub"), public.encode(), mode=0o644)
    assert place.run("tapctl", "verify", "qotd.tax").returncode == 0
    machine.key("bob")
    wrong = place.run("tapctl", "verify", "--key", machine.root / "bob.pub", "qotd.tax")
    assert "the image is signed by another key (" in wrong.stderr
    again = place.run("tapctl", "keygen", "alice")
    assert "a key is never replaced" in again.stderr


@pytest.mark.slow
def test_edit_signs_again(signed: Place, machine: Machine) -> None:
    """With the key; without it the signature is gone, and that is said."""
    signed.env["EDITOR"] = "sed -i s/<name>qotd/<name>daily/"
    edited = signed.run("tapctl", "edit", "--sign", machine.root / "release", "qotd.tap")
    assert edited.returncode == 0, edited.stderr
    assert "Signed as 'daily'." in edited.stdout
    assert signed.run("tapctl", "verify", "qotd.tap").returncode == 0
    signed.env["EDITOR"] = "sed -i s/<name>daily/<name>qotd/"
    unsigned = signed.run("tapctl", "edit", "qotd.tap")
    assert unsigned.returncode == 0
    assert "qotd.tap was signed; the signature no longer fit and is gone" in unsigned.stderr
    assert "is not signed" in signed.run("tapctl", "verify", "qotd.tap").stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said", "status"),
    [
        (["keygen", "--expires", "soon", "k"], "'soon' is no day: --expires", 2),
        (["keygen", "--expires", "99999999999d", "k"], "is no day", 2),
        (["keygen", "--applications", ",", "k"], "it names no application", 2),
        (["keygen", "none/k"], "make the directory first", 1),
        (["sign", "qotd.tap"], "which key shall sign?", 2),
        (["sign", "--key", "none", "qotd.tap"], "no such file: none", 1),
        (["sign", "--key", "qotd.tap", "qotd.tap"], "holds no private key", 1),
        (["verify", "none.tap"], "no such file", 1),
        (["verify", "--key", "qotd.tap", "qotd.tap"], "it is no public key of tapkit's", 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(signed: Place, command: list[str], said: str, status: int) -> None:
    """Each is told in a line, and changes nothing."""
    before = {
        name: os.stat(signed.path / name).st_mtime_ns
        for name in signed.file_names()
        if name != "lib"
    }
    done = signed.run("tapctl", *command)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
    assert done.stderr.count("\n") == 1
    after = {
        name: os.stat(signed.path / name).st_mtime_ns
        for name in signed.file_names()
        if name != "lib"
    }
    assert before == after
