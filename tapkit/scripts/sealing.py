"""What the options of several commands say of encryption and signatures."""

from __future__ import annotations

import contextlib

from tapkit.errors import UsageError
from tapkit.scripts import passphrases

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tapkit.application import Application
    from tapkit.image.seal.encryption import Keys, Lock
    from tapkit.image.seal.signing import Signer

REPEATED = ("--recipient", "--identity")
"""Options that may be given more than once."""

_MAX_KEYS = 1 << 16


def keys(arguments: dict[str, Any], *, required: bool = False) -> Keys:
    """What opens encrypted images: --identity, --passphrase-file, --passphrase-fd, the terminal.

    Parameters:
        required: an image that is not encrypted is refused.
    """
    from tapkit.image.seal.encryption import Keys

    texts = [passphrases.private_text(path, _MAX_KEYS) for path in arguments.get("--identity", ())]
    return Keys(passphrases.asking(arguments), texts, required=required)


def lock(arguments: dict[str, Any], what: str) -> Lock:
    """How an image is to be encrypted: to the recipients given, else to a passphrase."""
    return recipients_lock(arguments) or passphrase_lock(arguments, what)


def passphrase_lock(arguments: dict[str, Any], what: str) -> Lock:
    """Encrypts to a new passphrase."""
    from tapkit.image.seal import encryption

    encryption.need_library()  # before anybody types
    return encryption.Lock(passphrases.new(arguments, what))


def recipients_lock(arguments: dict[str, Any]) -> Lock | None:
    """Encrypts to the recipients given, each a key or a file of keys; None: none was."""
    given = arguments["--recipient"]
    if not given:
        return None
    from tapkit.image import files
    from tapkit.image.seal import encryption

    found: list[str] = []
    for word in given:
        if encryption.is_recipient(word):
            found.append(word)
            continue
        listed = encryption.recipients_in(
            bytes(files.read_guarded(word, _MAX_KEYS)).decode("utf-8", "replace")
        )
        if not listed:
            raise UsageError(f"{word} lists no recipient", "--recipient", "age1..., one a line")
        found += listed
    return encryption.Lock(recipients=found)


def signer(path: str | None) -> Signer | None:
    """The signer that --sign names."""
    if path is None:
        return None
    from tapkit.image.seal import signing

    return signing.signer_from(path)


def loader(arguments: dict[str, Any]) -> Callable[[str, str | None], Application]:
    """What loads the image that twistd runs. Passphrases are asked for when it is called."""

    def load(path: str, form: str | None) -> Application:
        from tapkit import application as applications
        from tapkit.image.seal import policy

        demanded = policy.in_force(
            require=arguments["--require-signature"],
            allow_rollback=arguments["--allow-rollback"],
        )
        with _placeholders(arguments):
            loaded = applications.load(
                path,
                form,
                keys=keys(arguments, required=arguments["--encrypted"]),
                lock=recipients_lock(arguments),
                policy=demanded,
                runs=not arguments["--check"],
            )
        if loaded.seal.lock is not None and not arguments["--no_save"]:
            _refuse_journal(loaded, path)
        return loaded

    return load


def _refuse_journal(application: Application, path: str) -> None:
    """What is saved of an encrypted image is never in the clear; a journal would be."""
    from tapkit.errors import ImageError
    from tapkit.run.saving import journaling

    if journaling.services_of(application):
        raise ImageError(
            "its commands would go into a journal in the clear, and its image is encrypted",
            path,
            "keep the image on an encrypted disk instead",
        )


def _placeholders(arguments: dict[str, Any]) -> contextlib.AbstractContextManager[None]:
    if not arguments["--placeholders"]:
        return contextlib.nullcontext()
    if arguments["--restricted"]:
        raise UsageError("--placeholders and --restricted contradict each other")
    from tapkit.image.lenient import placeholders_allowed

    return placeholders_allowed()


def refuse_for(source: str, arguments: dict[str, Any]) -> None:
    """Options of twistd that only mean something for an image.

    Raises:
        UsageError: one is given.
    """
    options = ("--encrypted", "--require-signature", "--allow-rollback", "--placeholders")
    for option in (*options, *REPEATED):
        if arguments[option]:
            raise UsageError(f"{source} is no image", option, "make an image with mktap")
