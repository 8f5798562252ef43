"""Encrypted images: age files, never in the clear, and each mistake in its own words."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tapkit import application, image
from tapkit.errors import ImageError, TapkitError, UsageError
from tapkit.image import age_header, files, forms
from tapkit.image.seal import Seal, decrypted
from tapkit.image.seal.encryption import Keys, Lock
from tapkit.image.seal.secret import Secret
from tests.age_vectors import VECTORS, scrypt_file
from tests.place import ROOT

pyrage = pytest.importorskip("pyrage")


CANARY = "tapkit-canary-passphrase"
IDENTITY = pyrage.x25519.Identity.generate()
OTHER = pyrage.x25519.Identity.generate()


def to_key(key: Any = IDENTITY) -> Lock:
    return Lock(recipients=[str(key.to_public())])


def by_key(*keys: Any) -> Keys:
    return Keys(None, [str(key).encode() for key in keys or (IDENTITY,)])


@pytest.mark.parametrize("form", forms.names())
def test_every_form(form: str, tmp_path: Path) -> None:
    """Saved encrypted, and loaded: the same object, and nothing of it in the file."""
    path = str(tmp_path / "x") + forms.encrypted_extension(forms.by_name(form).extensions[0])
    image.save(["a secret quote"], path, form, seal=Seal(to_key()))
    held = Path(path).read_bytes()
    assert held.startswith(b"age-encryption.org/v1\n")
    assert b"secret quote" not in held
    loaded = image.load_known(path, keys=by_key())
    assert loaded.obj == ["a secret quote"]
    assert loaded.info.form == form
    assert image.loads(image.dumps([5], form)) == [5]


def test_armored_files_are_read(tmp_path: Path) -> None:
    """As `age --armor` writes them."""
    path = tmp_path / "x.etap"
    armored = pyrage.encrypt(image.dumps([5]), [IDENTITY.to_public()], armored=True)
    files.write_atomic(str(path), armored)
    assert image.load_known(str(path), keys=by_key()).obj == [5]


@pytest.mark.parametrize(
    ("data", "keys", "said"),
    [
        (to_key().encrypt(b"x"), None, "is encrypted to keys, not to a passphrase: x: give an -"),
        (to_key().encrypt(b"x"), by_key(OTHER), "to other keys than these: x: another --identity?"),
        (to_key().encrypt(b"x")[:-3], by_key(), "the encrypted image is damaged"),
        (to_key().encrypt(b"x") + b"x", by_key(), "the encrypted image is damaged"),
        (to_key().encrypt(b"x")[:60], by_key(), "damaged (its header has no end)"),
        (scrypt_file("5"), None, "encrypted with a passphrase: x: give it with --passphrase-file"),
        (image.dumps(5), Keys(required=True), "the image is not encrypted"),
        (to_key().encrypt(b"x"), Keys(None, [b"# none\n"]), "holds no key that can be used"),
        (to_key().encrypt(b"x"), Keys(None, [b"AGE-SECRET-KEY-1XX"]), "holds no key that can be"),
    ],
    ids=range(9),
)
def test_each_failure_has_its_words(data: bytes, keys: Keys | None, said: str) -> None:
    """No key, the wrong one, damage, not encrypted at all: none is taken for another."""
    with pytest.raises(ImageError) as caught:
        decrypted(data, "x", keys)
    assert said in str(caught.value)
    assert "1XX" not in str(caught.value)
    assert str(IDENTITY) not in str(caught.value)


def test_a_wrong_passphrase_is_not_damage() -> None:
    """The vectors' passphrase file, with another passphrase and with a bit flipped."""
    data = next(vector for vector in VECTORS if vector.name == "scrypt").data
    with pytest.raises(ImageError, match="the passphrase is wrong: x"):
        decrypted(data, "x", Keys.of("another"))
    with pytest.raises(ImageError, match="is damaged"):
        decrypted(data[:-1] + bytes([data[-1] ^ 1]), "x", Keys.of("password"))


def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra to install is named, before anybody types a passphrase."""
    data = to_key().encrypt(b"x")
    monkeypatch.setitem(sys.modules, "pyrage", None)
    for action in (
        lambda: Lock(Secret("x")),
        lambda: decrypted(data, "x", by_key()),
        lambda: decrypted(scrypt_file("5"), "x", Keys(lambda where: pytest.fail("asked"))),
    ):
        with pytest.raises(ImageError, match=r"pip install 'tapkit\[age\]'"):
            action()


def test_a_name_that_promises_encryption(tmp_path: Path) -> None:
    """Nothing is written in the clear into a file that is called `.etax`."""
    with pytest.raises(UsageError, match="a file of this name is encrypted"):
        image.save([1], str(tmp_path / "x.etax"))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("recipient", ["age1", "bob", "AGE-SECRET-KEY-1X", "ssh-ed25519 x"])
def test_what_is_no_recipient(recipient: str) -> None:
    """A private key in the wrong place is refused and not shown."""
    with pytest.raises(ImageError, match="is no recipient") as caught:
        Lock(recipients=[recipient])
    assert "SECRET" not in str(caught.value)


def test_a_passphrase_shows_itself_nowhere() -> None:
    """Not in its repr, its str, a pickle, an image, or an error's text."""
    secret = Secret(CANARY)
    assert CANARY not in f"{secret} {secret!r} {[secret]} {Lock(secret)} {Seal(Lock(secret))}"
    for save in (pickle.dumps, image.dumps):
        with pytest.raises((TypeError, TapkitError)) as caught:
            save([secret])
        assert CANARY not in str(caught.value)
    with pytest.raises(ImageError, match="the passphrase is empty"):
        Secret("")
    assert application.Application("x").seal == Seal()


def test_the_application_keeps_its_seal(tmp_path: Path) -> None:
    """What was loaded encrypted is encrypted in every save, to the same keys, whatever asks."""
    made = application.Application("qotd")
    made.seal = Seal(to_key())
    assert made.file_name("shutdown") == "qotd-shutdown.etap"
    path = str(tmp_path / made.file_name())
    application.save(made, path)
    loaded = application.load(path, keys=by_key())
    for data in (application.dumps(loaded), Path(path).read_bytes()):
        assert age_header.sniff(data)
    application.save(loaded, path, keep=1)
    loaded.setStyle("xml")
    application.save(loaded, str(tmp_path / loaded.file_name("snapshot")))
    assert sorted(os.listdir(tmp_path)) == ["qotd-snapshot.etax", "qotd.etap", "qotd.etap.1"]
    for name in os.listdir(tmp_path):
        assert age_header.sniff((tmp_path / name).read_bytes())


def test_other_recipients_for_what_is_saved(tmp_path: Path) -> None:
    """A daemon can save what it could not read itself."""
    path = str(tmp_path / "qotd.tap")
    application.save(application.Application("qotd"), path)
    loaded = application.load(path, lock=to_key(OTHER))
    saved = str(tmp_path / loaded.file_name("shutdown"))
    application.save(loaded, saved)
    with pytest.raises(ImageError, match="to other keys than these"):
        application.load(saved, keys=by_key())
    assert application.load(saved, keys=by_key(OTHER)).name == "qotd"


KILLED = """
import os, sys
from tapkit import application
from tapkit.image import files
from tapkit.image.seal import Seal
from tapkit.image.seal.encryption import Lock
from tests.test_files import FaultyOS

class Kill(FaultyOS):
    def __getattr__(self, name):
        call = super().__getattr__(name)
        if not callable(call) or isinstance(call, type):
            return call
        def killing(*args, **kwargs):
            if len(self.calls) + 1 == self._fail_at:
                os.kill(os.getpid(), 9)
            return call(*args, **kwargs)
        return killing

made = application.Application("qotd")
made.quote = "canary-in-the-clear"
made.seal = Seal(Lock(recipients=[sys.argv[1]]))
for fail_at in range(1, 40):
    child = os.fork()
    if not child:
        files.os = Kill(fail_at)
        application.save(made, "qotd.etap", keep=1)
        os._exit(0)
    if os.WTERMSIG(os.waitpid(child, 0)[1]) == 0:
        print("survived", fail_at)
        break
"""


def test_killed_at_any_call_nothing_is_in_the_clear(tmp_path: Path) -> None:
    """SIGKILL before any system call of an encrypted save: no file there has a word of it."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(IDENTITY.to_public())],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 10
    left = list(tmp_path.iterdir())
    assert len(left) > 1  # temporaries of the killed among them
    assert all(b"canary-in-the-clear" not in path.read_bytes() for path in left)


@pytest.mark.slow
def test_the_library_with_a_passphrase(tmp_path: Path) -> None:
    """`image.save` and `image.load` take one; the wrong one loads nothing."""
    path = str(tmp_path / "x.etax")
    image.save([5], path, passphrase=CANARY)
    assert image.load(path, passphrase=CANARY) == [5]
    with pytest.raises(ImageError, match="the passphrase is wrong"):
        image.load(path, passphrase="wrong")
    with pytest.raises(ImageError, match="encrypted with a passphrase"):
        image.load(path)
