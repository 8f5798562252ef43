"""age as others have it: C2SP's test vectors, and work that is refused before it is done."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tapkit.errors import ImageError
from tapkit.image import age_header
from tapkit.image.seal.encryption import Keys
from tapkit.image.seal.secret import Secret
from tests.age_vectors import VECTORS, Vector, scrypt_file

pytest.importorskip("pyrage")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_age_vectors(vector: Vector) -> None:
    """C2SP's: what shall open opens to the right bytes, all else is an ImageError that says so."""
    secrets = [Secret(text) for text in vector.passphrases]
    keys = Keys((lambda where: secrets[0]) if secrets else None, vector.identities)
    several = vector.expect == "success" and len(secrets) > 1
    if several:
        keys = Keys(lambda where: secrets[-1], vector.identities)
    if vector.expect == "success":
        opened = keys.open(vector.data, "x.etap")[0]
        assert hashlib.sha256(opened).hexdigest() == vector.digest
        return
    with pytest.raises(ImageError) as caught:
        keys.open(vector.data, "x.etap")
    said = str(caught.value)
    assert "x.etap" in said
    if vector.expect == "no match":
        words = ("to other keys than these", "the passphrase is wrong", "encrypted to keys, not")
        assert any(word in said for word in words)
    if vector.expect in ("HMAC failure", "payload failure"):
        assert "the encrypted image is damaged" in said


def test_enough_vectors() -> None:
    """The vectors are there: more than a hundred, of every kind of failure."""
    assert len(VECTORS) > 100
    assert {vector.expect for vector in VECTORS} == {
        "success",
        "no match",
        "HMAC failure",
        "header failure",
        "payload failure",
        "armor failure",
    }


@pytest.mark.parametrize("work", ["22", "23", "30", "63", "64", "255", "999", "99999999999999999"])
def test_the_work_of_a_file_is_capped(work: str) -> None:
    """No passphrase is asked for, and no step of work done, for a file that asks for too many."""

    def ask(where: str) -> Secret:
        raise AssertionError("it was asked for")

    with pytest.raises(ImageError, match=r"2\*\*21 is the most that is done for a file"):
        Keys(ask).open(scrypt_file(work), "x.etap")


@pytest.mark.parametrize("work", ["0", "-1", "+5", "018", "0x12", "1e1", "", "\uff15", " 5", "5 "])
def test_a_work_factor_that_is_none(work: str) -> None:
    """What is no plain number is damage, in our reader as in age's."""
    with pytest.raises(ImageError, match="its work factor"):
        Keys(lambda where: Secret("x")).open(scrypt_file(work), "x.etap")


def test_armor_hides_no_work() -> None:
    """The work factor of an armored file is read as well."""
    body = base64.b64encode(scrypt_file("25"))
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    armored = b"\n".join([age_header.ARMOR, *lines, b"-----END AGE ENCRYPTED FILE-----", b""])
    with pytest.raises(ImageError, match="is the most that is done"):
        Keys(lambda where: Secret("x")).open(armored, "x.etap")


def test_a_header_without_end() -> None:
    """A header is read to 64 KiB and no further."""
    endless = b"age-encryption.org/v1\n" + b"-> X25519 a\nb\n" * 100_000
    with pytest.raises(ImageError, match="its header has no end"):
        age_header.read(endless, "x")
    with pytest.raises(ImageError, match=r"encrypted as 'age-encryption\.org/v9'"):
        age_header.read(b"age-encryption.org/v9\n-> new\n", "x")
