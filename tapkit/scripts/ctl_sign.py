"""tapctl sign: a signature over all the bytes of an image."""

from __future__ import annotations

from tapkit.errors import EXIT_OK, ImageError
from tapkit.scripts import sealing

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

    from tapkit.image.seal.signing import Signer
    from tapkit.image.seal.statement import Statement

USAGE = """
Sign an image, as it is: of any form, encrypted or not. It is not loaded.

Usage:
  tapctl sign [options] IMAGE
  tapctl sign (-h | --help)

A .tap has its signature at its end; any other image in a file beside it, IMAGE.sig, that has to
be copied with it. The signature says which application is in the image, and has a generation
that is higher than that of the signature before.

Options:
  -k, --key=FILE          The private key, as tapctl keygen makes it.
  -n, --name=NAME         The application in the image; without it, the image is asked.
  --passphrase-file=FILE  To ask an encrypted image: its passphrase is the first line of FILE.
                          Without it, it is asked for at the terminal.
  --passphrase-fd=N       Its passphrase comes from the open descriptor N.
  --identity=FILE         Open it with this age identity, or ssh key; repeatable.
  -h, --help              Show this.

Exit status: 0 it is done; 1 it failed, and the image is as it was; 2 the command line is
mistyped.
"""

REPEATED = ("--identity",)


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.errors import UsageError
    from tapkit.image.seal import signing, trusted

    if arguments["--key"] is None:
        raise UsageError("which key shall sign?", "--key", "make one with tapctl keygen")
    signer = signing.signer_from(arguments["--key"])
    path = arguments["IMAGE"]
    name = signed(path, signer, arguments["--name"], arguments)
    print(f"Signed {path} as {name!r} with {trusted.fingerprint(signer.public)}.")
    return EXIT_OK


def signed(path: str, signer: Signer, name: str | None, arguments: dict[str, Any]) -> str:
    """Sign a file; the application's name that was signed.

    Raises:
        ImageError: it is no image, or says no name; the file is as it was.
    """
    from tapkit.image import files, seal
    from tapkit.image.seal import trust

    data, older = _contents(path)
    if name is None:
        name = _name_in(data, path, arguments)
    generation = max((stated.generation for stated in older), default=0)
    made, stated = seal.sealed(bytes(data), seal.Seal(None, signer, generation), name)
    if stated is None:
        files.write_atomic(path, made)
    else:
        seal.add_signature(path, stated)
    trust.found_in(files.read_guarded(path), path)  # what was written can be read
    return name


def _contents(path: str) -> tuple[Any, list[Statement]]:
    """The image's own bytes, and its signatures; one that is damaged is as good as none."""
    from tapkit.image import files, tap, trailer
    from tapkit.image.seal import trust

    data = files.read_guarded(path)
    try:
        return trust.found_in(data, path)[:2]
    except ImageError:
        return trailer.split(data)[0] if tap.sniff(data) else data, []


def _name_in(data: Any, path: str, arguments: dict[str, Any]) -> str:
    from tapkit.image import forms, seal

    opened = seal.decrypted(data, path, sealing.keys(arguments)).data
    name = forms.sniff(opened, path).inspect(opened, path).name
    if name is None:
        raise ImageError("the image does not say which application it is", path, "give --name")
    return name
