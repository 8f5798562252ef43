"""Encrypted images: age files, made and opened by pyrage. No cipher is ours.

A lock says how an image is encrypted, keys what may open one. Neither is ever saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tapkit.errors import ImageError
from tapkit.image import age_header
from tapkit.image.seal.secret import Secret, no_core_files


class Lock:
    """How images are encrypted: to a passphrase, or to recipients, who alone can read them.

    Parameters:
        passphrase: or None.
        recipients: public keys: `age1...`, or a line as in `id_ed25519.pub`.

    Raises:
        ImageError: a recipient is none, both are given or neither, or pyrage is not installed.
    """

    def __init__(self, passphrase: Secret | None = None, recipients: Iterable[str] = ()):
        self._passphrase = passphrase
        self._recipients = [_recipient(text) for text in recipients]
        if (passphrase is None) == (not self._recipients):
            raise ImageError(
                "an image is encrypted to a passphrase or to recipients",
                None,
                "give one of the two",
            )
        need_library()  # missing: said now, not when there is something to save

    def __str__(self) -> str:
        if self._passphrase is not None:
            return "to its passphrase"
        count = len(self._recipients)
        return f"to {count} recipient{'s' if count > 1 else ''}"

    def encrypt(self, data: bytes) -> bytes:
        """The age file that holds these bytes. A passphrase takes it about a second."""
        pyrage = _pyrage()
        if self._passphrase is None:
            made: bytes = pyrage.encrypt(data, self._recipients)
        else:
            made = pyrage.passphrase.encrypt(data, self._passphrase.reveal())
        age_header.read(made, "what was encrypted")  # what we write we can read again
        return made


class Keys:
    """What may open an encrypted image.

    Parameters:
        ask: gives the passphrase when an image that needs one turns up, told which; or None.
        identities: the text of age identity files, or OpenSSH private keys.
        required: an image that is not encrypted is refused.
    """

    def __init__(
        self,
        ask: Callable[[str], Secret] | None = None,
        identities: Sequence[bytes] = (),
        *,
        required: bool = False,
    ):
        self._ask = ask
        self._identities = identities
        self.required = required

    @classmethod
    def of(cls, passphrase: str | Secret | None) -> Keys | None:
        """Keys that hold this passphrase."""
        if passphrase is None:
            return None
        secret = passphrase if isinstance(passphrase, Secret) else Secret(passphrase)
        return cls(lambda where: secret)

    def open(self, data: Any, where: str) -> tuple[bytes, Lock | None]:
        """The bytes in an age file, and the lock that encrypts what replaces them.

        The lock is None where the key that opened it does not tell who may read: an ssh key.

        Raises:
            ImageError: no key fits, the passphrase is wrong, or the file is damaged: each in
                its own words.
        """
        header = age_header.read(data, where)
        if header.work is None:
            return self._open_by_identity(data, where)
        if self._ask is None:
            raise ImageError(
                "the image is encrypted with a passphrase", where, "give it with --passphrase-file"
            )
        _pyrage()
        passphrase = self._ask(where)
        return open_by_passphrase(data, passphrase, where), Lock(passphrase)

    def _open_by_identity(self, data: Any, where: str) -> tuple[bytes, Lock | None]:
        if not self._identities:
            raise ImageError(
                "the image is encrypted to keys, not to a passphrase", where, "give an --identity"
            )
        identities, public = identities_in(self._identities)
        pyrage = _pyrage()
        try:
            opened: bytes = pyrage.decrypt(age_header.binary_or_tidy(data), identities)
        except pyrage.DecryptError as error:
            if "No matching keys" in str(error):
                raise ImageError(
                    "the image is encrypted to other keys than these", where, "another --identity?"
                ) from None
            raise age_header.damaged(where, _words(error)) from None
        return opened, Lock(recipients=public) if public else None


NO_KEYS = Keys()


def open_by_passphrase(data: Any, passphrase: Secret, where: str) -> bytes:
    """The bytes in an age file that a passphrase opens; its header was checked.

    Raises:
        ImageError: the passphrase is wrong, or the file is damaged.
    """
    pyrage = _pyrage()
    try:
        opened: bytes = pyrage.passphrase.decrypt(
            age_header.binary_or_tidy(data), passphrase.reveal()
        )
    except pyrage.DecryptError as error:
        if str(error) == "Decryption failed":
            raise ImageError("the passphrase is wrong", where, "nothing was loaded") from None
        raise age_header.damaged(where, _words(error)) from None
    return opened


def identities_in(texts: Iterable[bytes]) -> tuple[list[Any], list[str]]:
    """The private keys in identity files, and the public ones of those that tell.

    Raises:
        ImageError: there is none in one of them. No part of what is there is shown.
    """
    no_core_files()
    pyrage = _pyrage()
    found: list[Any] = []
    public: list[str] = []
    for text in texts:
        before = len(found)
        try:
            if b"-----BEGIN" in text:
                found.append(pyrage.ssh.Identity.from_buffer(text))
                continue
            for line in text.decode("ascii", "replace").split("\n"):
                if line.strip() and not line.startswith("#"):
                    found.append(pyrage.x25519.Identity.from_str(line.strip()))
                    public.append(str(found[-1].to_public()))
        except pyrage.IdentityError:
            raise _no_identity() from None
        if len(found) == before:
            raise _no_identity()
    return found, public


def recipients_in(text: str) -> list[str]:
    """The recipients a file lists, one a line; `#` begins a comment."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def is_recipient(text: str) -> bool:
    """Whether this is a recipient itself, rather than the name of a file of them."""
    return text.startswith(("age1", "ssh-ed25519 ", "ssh-rsa "))


def need_library() -> None:
    """Raises:
    ImageError: pyrage is not installed.
    """
    _pyrage()


def _recipient(text: str) -> Any:
    pyrage = _pyrage()
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        shown = "a private key" if "SECRET" in text.upper() else repr(text[:70])
        raise ImageError(
            f"{shown} is no recipient", None, "a recipient is a public key: age1..., or ssh-..."
        ) from error


def _no_identity() -> ImageError:
    return ImageError(
        "the identity file holds no key that can be used",
        None,
        "AGE-SECRET-KEY-1..., as age-keygen makes, or an ssh key without a passphrase",
    )


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or "it can't be decrypted"


def _pyrage() -> Any:
    try:
        import pyrage
    except ImportError as error:
        raise ImageError(
            "the library for encrypted images is not installed", None, "pip install 'tapkit[age]'"
        ) from error
    return pyrage
