"""Ed25519 keys and what is done with them, by the library cryptography (RFC 8032)."""

from __future__ import annotations

import glob
import os
from typing import Any

from tapkit.errors import ImageError
from tapkit.image import custody, files
from tapkit.image.seal import places, statement, words
from tapkit.image.seal.secret import no_core_files
from tapkit.image.seal.statement import Statement
from tapkit.image.seal.trusted import TrustedKey

_MAX_KEY_FILE = 1 << 14
_DAEMON = "a daemon's own key, made by tapkit"


class Signer:
    """Signs images with a private key, which stays in here.

    Parameters:
        key: of the library's.
        host, application: what it is good for, if it is a daemon's own.
    """

    __slots__ = ("_key", "application", "host", "public")

    def __init__(self, key: Any, host: str | None = None, application: str | None = None):
        from cryptography.hazmat.primitives import serialization

        no_core_files()
        self._key = key
        self.host = host
        self.application = application
        self.public: bytes = key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )

    def sign(self, data: Any, application: str, generation: int) -> Statement:
        """The signature of an image's bytes.

        Raises:
            ImageError: the key is a daemon's own, and this is another application.
        """
        if self.application not in (None, application):
            raise ImageError(f"the key of {self.application!r} does not sign {application!r}", None)
        made = statement.about(data, self.public, application, generation, self.host)
        return made._replace(signature=self._key.sign(made.message()))

    def __repr__(self) -> str:
        return f"<signer {words.encoded(self.public)[:8]}>"

    def __reduce__(self) -> Any:
        raise TypeError("a private key is not saved")


def is_genuine(stated: Statement) -> bool:
    """Whether the holder of the key that a statement names has made it."""
    return is_signed_by(stated.key, stated.signature, stated.message())


def is_signed_by(key: bytes, signature: bytes, message: bytes) -> bool:
    """Ed25519's verification, RFC 8032 5.1.7.

    Parameters:
        key: 32 bytes; signature: 64 bytes. Any others verify nothing.
    """
    _, ed25519 = _library()
    from cryptography.exceptions import InvalidSignature

    try:
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def generate(path: str, trusted: TrustedKey) -> TrustedKey:
    """Make a key: the private one at `path`, the public at `path.pub`; neither may exist.

    Parameters:
        trusted: what the public one's file says besides the key.

    Raises:
        ImageError: a file is there, or can't be written.
    """
    serialization, ed25519 = _library()
    key = ed25519.Ed25519PrivateKey.generate()
    signer = Signer(key)
    public = trusted._replace(public=signer.public)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for name in (path, f"{path}.pub"):
        if os.path.lexists(name):
            raise ImageError("there is a file of this name", name, "a key is never replaced")
    files.write_atomic(path, pem, mode=0o600)
    files.write_atomic(f"{path}.pub", public.text().encode("utf-8"), mode=0o644)
    return public


def signer_from(path: str) -> Signer:
    """The signer whose private key a file holds: PEM, PKCS #8, as `tapctl keygen` writes.

    Raises:
        ImageError: it is missing, others may read it, or it holds none.
    """
    return Signer(_private_key(path))


def own_signer(application: str) -> Signer:
    """The signer of a daemon's saves: good for this machine and application, made at first need.

    Raises:
        ImageError: it can't be read, or not be made.
    """
    path = places.file_of("keys", application, ".key")
    host = places.host()
    if not os.path.lexists(path):
        about = TrustedKey(b"", _DAEMON, (glob.escape(application),), None, host)
        try:
            places.make_private(os.path.dirname(path))
        except OSError as error:
            raise ImageError(
                f"the daemon's own key can't be kept ({error.strerror})", path, None
            ) from error
        generate(path, about)
    return Signer(_private_key(path), host, application)


def _private_key(path: str) -> Any:
    serialization, ed25519 = _library()
    status = os.stat(path) if os.path.exists(path) else None
    text = files.read_guarded(path, _MAX_KEY_FILE)
    if status is not None and not custody.is_private(status):
        raise ImageError(
            f"others may read the private key (mode {status.st_mode & 0o777:04o})",
            path,
            f"chmod 600 {path}; if others could have read it, make a new one",
        )
    try:
        key = serialization.load_pem_private_key(text, password=None)
    except (ValueError, TypeError) as error:  # TypeError: it is encrypted
        raise ImageError(
            "it holds no private key that can be used", path, "make one with tapctl keygen"
        ) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ImageError("the private key is not of Ed25519", path, "make one with tapctl keygen")
    return key


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise ImageError(
            "the library for signatures is not installed", None, "pip install 'tapkit[sign]'"
        ) from error
    return serialization, ed25519
