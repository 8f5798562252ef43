"""Signatures: what is signed, where it is kept, and that nothing else passes for it."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from tapkit import image
from tapkit.errors import ImageError
from tapkit.image import files, forms, seal, trailer
from tapkit.image.seal import signing, statement, trust, trusted, words
from tapkit.image.seal.signing import Signer
from tests.trusting import Machine

ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")

DATA = Path(__file__).parent / "data" / "vectors"
SIGNER, OTHER = (
    Signer(ed25519.Ed25519PrivateKey.from_private_bytes(seed * 32)) for seed in (b"1", b"2")
)


def wycheproof() -> list[tuple[int, str, bytes, bytes, bytes, str]]:
    return [
        (number, comment, *(bytes.fromhex(text) for text in (group["pk"], message, made)), result)
        for group in json.loads((DATA / "ed25519.json").read_text())
        for number, comment, message, made, result in group["tests"]
    ]


def test_wycheproof() -> None:
    """All of Project Wycheproof's vectors of Ed25519: the valid verify, the invalid do not."""
    seen = set()
    for number, comment, key, message, made, result in wycheproof():
        verified = signing.is_signed_by(key, made, message)
        seen.add(result)
        if result != "acceptable":
            assert verified == (result == "valid"), (number, comment)
    assert seen >= {"valid", "invalid"}
    assert len(wycheproof()) == 210


@pytest.mark.parametrize("key", [b"", b"x" * 31, b"x" * 33])
def test_a_key_of_another_length(key: bytes) -> None:
    """It verifies nothing, and nothing is raised."""
    assert not signing.is_signed_by(key, bytes(64), b"")


def signed(data: bytes = b"the image", name: str = "qotd", generation: int = 7) -> bytes:
    return SIGNER.sign(data, name, generation).text()


def test_what_is_signed() -> None:
    """The key, the application, the generation, and a digest of all bytes, in so many words."""
    found = statement.read(signed())
    assert (found.key, found.application, found.generation) == (SIGNER.public, "qotd", 7)
    assert found.fits(b"the image")
    assert not found.fits(b"the image.")
    assert not found._replace(size=9).fits(b"the imagE")
    assert signing.is_genuine(found)
    lines = signed().decode().splitlines()
    assert lines[0] == "tapkit signature 1"
    assert [line.partition(":")[0] for line in lines[1:]] == [
        "key",
        "application",
        "generation",
        "signed",
        "sha256",
        "size",
        "signature",
    ]


@pytest.mark.parametrize("name", ["qotd", "", "with space", 'quo"te', "new\nline", "ünï", "\udc80"])
def test_any_name(name: str) -> None:
    """A name is one line, whatever is in it; what reads it gets it back."""
    found = statement.read(signed(name=name))
    assert found.application == name
    assert signing.is_genuine(found)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("application", "web"),
        ("generation", 8),
        ("signed", "2030-01-01T00:00:00+00:00"),
        ("sha256", "0" * 64),
        ("size", 10),
        ("host", "0" * 32),
        ("key", OTHER.public),
        ("signature", bytes(64)),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 12 else "",
)
def test_every_word_is_covered(field: str, value: object) -> None:
    """Change any one of them, and the signature is false."""
    assert not signing.is_genuine(statement.read(signed())._replace(**{field: value}))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + b"x",
        lambda text: text + b"\n",
        lambda text: b"\n" + text,
        lambda text: text.replace(b"generation: 7", b"generation: 07"),
        lambda text: text.replace(b"generation: 7", b"generation: 7_0"),
        lambda text: text.replace(b"generation: 7", b"generation: -7"),
        lambda text: text.replace(b"generation: 7", b"generation:  7"),
        lambda text: text.replace(b"generation: 7\n", b""),
        lambda text: text.replace(b"generation: 7\n", b"generation: 7\ngeneration: 7\n"),
        lambda text: text.replace(b"generation: 7", b"generation: " + b"9" * 900),
        lambda text: text.replace(b"generation: 7", b"generation: " + b"9" * 5000),
        lambda text: text.replace(b"generation: 7", b"generation: seven"),
        lambda text: text.replace(b'"qotd"', b"5"),
        lambda text: text.replace(b'"qotd"', b"qotd"),
        lambda text: text.replace(b'"qotd"', b'"qotd", "web"'),
        lambda text: text.replace(b'"qotd"', b'["qotd"]'),
        lambda text: text.replace(b'"qotd"', b"[" * 1000),
        lambda text: text.replace(b"size: 9", b"size: 9\nmore: 5"),
        lambda text: text.replace(b"size: 9", b"size: 9\x1b[2J"),
        lambda text: text.replace(b"signature 1", b"signature 2"),
        lambda text: text.replace(b"key: ", b"key: AAAA"),
        lambda text: text.replace(b"key: ", b"key: !"),
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.decode().encode("utf-16"),
        lambda text: b"",
    ],
)
def test_what_is_no_signature(change: object) -> None:
    """One signature has one text; all else is refused, in words."""
    with pytest.raises(
        ValueError, match=r"it |is no|is not|has no|makes no|codec|literal|Expecting|Extra|Exceeds"
    ):
        statement.read(change(signed()))  # type: ignore[operator]


def test_a_tap_has_it_at_its_end(tmp_path: Path) -> None:
    """One file to copy; the tools read the image as if it were not signed."""
    plain = image.dumps([5], name="qotd")
    data, aside = seal.sealed(plain, seal.Seal(signer=SIGNER), "qotd")
    assert aside is None
    assert data.startswith(plain)
    assert trailer.split(data)[0] == plain
    assert trailer.split(plain) == (plain, None)
    assert image.loads(data) == [5]
    assert image.inspect(data).name == "qotd"
    assert image.convert(data, "xml") == image.convert(plain, "xml")


@pytest.mark.parametrize(
    "tail",
    [
        trailer.SIGNED,
        b"\0\0\0\0" + trailer.SIGNED,
        b"\xff\xff\xff\xff" + trailer.SIGNED,
        b"x" * 20 + b"\0\0\0\5" + trailer.SIGNED,
        b"x" * 20000 + (20000).to_bytes(4, "big") + trailer.SIGNED,
    ],
)
def test_what_only_looks_like_a_signature(tail: bytes) -> None:
    """An image may go on with one signature, exactly; anything else is trailing data."""
    data = image.dumps([5])
    if trailer.size(tail) == len(tail):
        return  # an empty one is a block without a statement, which seal refuses
    with pytest.raises(ImageError, match=r"goes on after its end|truncated"):
        image.loads(data + tail)


@pytest.mark.parametrize("form", ["xml", "source"])
def test_a_text_has_it_beside(form: str, tmp_path: Path) -> None:
    """In a `.sig` file, written before the image, with those of the images that are kept."""
    path = str(tmp_path / "x") + forms.by_name(form).extensions[0]
    for number in range(12):
        image.save([number], path, form, seal=seal.Seal(signer=SIGNER), name="x", keep=2)
    assert sorted(os.listdir(tmp_path)) == [
        Path(path + end).name for end in ("", ".1", ".2", ".sig")
    ]
    assert len(statement.read_all(Path(path + ".sig").read_bytes())) == 8
    for end in ("", ".1", ".2"):
        data, found, where = trust.found_in(files.read_guarded(path + end), path + end)
        assert signing.is_genuine(trust.fitting(data, found, path, where))


def test_a_crash_between_signature_and_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signature is there first, and the old one still: whichever image is left is signed."""
    path = str(tmp_path / "x.tax")
    image.save([1], path, seal=seal.Seal(signer=SIGNER), name="x")
    real = files.write_atomic

    def crash(target: str, *args: object, **kwargs: object) -> None:
        if target == path:
            raise KeyboardInterrupt
        real(target, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "write_atomic", crash)
    with pytest.raises(KeyboardInterrupt):
        image.save([2], path, seal=seal.Seal(signer=SIGNER), name="x")
    data, found, where = trust.found_in(files.read_guarded(path), path)
    assert len(found) == 2
    assert trust.fitting(data, found, path, where) == found[1]


def test_an_unsigned_save_leaves_no_signature(tmp_path: Path) -> None:
    """A signature that no longer speaks of the file beside it would only be in the way."""
    path = str(tmp_path / "x.tax")
    image.save([1], path, seal=seal.Seal(signer=SIGNER), name="x")
    image.save([2], path)
    assert os.listdir(tmp_path) == ["x.tax"]


def test_generations_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock, so that machines agree; and past it, whatever the clock says."""
    monkeypatch.setattr(statement.time, "time", lambda: 1000.5)
    assert statement.next_generation(0) == 1000
    assert statement.next_generation(1000) == 1001
    assert statement.next_generation(5000) == 5001


def test_keys_are_private(machine: Machine) -> None:
    """A private key is for its owner alone, is never replaced, and shows itself nowhere."""
    path = machine.key(trust=False)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with pytest.raises(ImageError, match="there is a file of this name"):
        machine.key(trust=False)
    signer = signing.signer_from(path)
    pem = "".join(Path(path).read_text().splitlines()[1:-1])
    assert pem not in f"{signer} {signer!r} {seal.Seal(signer=signer)}"
    with pytest.raises((TypeError, ImageError)):
        image.dumps([signer])
    os.chmod(path, 0o640)
    with pytest.raises(ImageError, match=r"others may read the private key \(mode 0640\)"):
        signing.signer_from(path)
    files.write_atomic(path, b"-----BEGIN PRIVATE KEY-----\nxx\n", mode=0o600)
    with pytest.raises(ImageError, match="holds no private key that can be used"):
        signing.signer_from(path)
    with pytest.raises(ImageError, match="no such file"):
        signing.signer_from(path + "x")


def test_public_keys(machine: Machine) -> None:
    """What is written is read; a word too many or mistyped costs the key."""
    path = machine.key(trust=False, applications=("qotd", "web-*", "a b")) + ".pub"
    key = trusted.read(path)
    assert key.applications == ("qotd", "web-*", "a b")
    assert [key.may_sign(name) for name in ("qotd", "web-1", "a b", "qotdx", "web")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    text = Path(path).read_text()
    for broken in (
        text.replace("applications", "aplications"),
        text + "expires: soon\n",
        text + "comment: again\n",
        text.replace("key: ", "key: AA"),
        text.replace("tapkit public key 1", "tapkit public key 2"),
        text + "comment: \x1b[2J\n",
        "",
    ):
        files.write_atomic(path, broken.encode(), mode=0o644)
        with pytest.raises(ImageError, match=r"it is no public key of tapkit's"):
            trusted.read(path)


def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The extra to install is named."""
    for name in list(sys.modules):
        if name.startswith("cryptography"):
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImageError, match=r"pip install 'tapkit\[sign\]'"):
        signing.is_signed_by(bytes(32), bytes(64), b"")


def test_words() -> None:
    """base64 of another length is told from what is none."""
    assert words.decoded(words.encoded(b"abc"), 3) == b"abc"
    for text in (words.encoded(b"abcd"), "???", ""):
        with pytest.raises(ValueError, match=r"is not 3 bytes|is no base64"):
            words.decoded(text, 3)
