"""Signatures and encryption: stripped, forged, outlived, borrowed, rolled back, damaged.

The worker calls `prepare` first: the keys are of the machine it is on.
"""

from __future__ import annotations

import base64
import datetime
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tapkit.image import files, forms, seal, tap, trailer
from tests.hostile.case import Case, bomb, flipped

VECTORS = Path(__file__).parent.parent / "data" / "vectors" / "age.json"
STATEMENT_FLIPS, AGE_FLIPS = 40, 30
TEXTS = {"xml": ".tax", "source": ".tas"}

KNOWN: dict[str, Any] = {}
"""What `prepare` made: signers by name, the age identity, the lock."""


def prepare(machine: Any) -> None:
    """Keys: one good, one each with something against it; and the age identity of the worker."""
    import pyrage

    from tapkit.image.seal import rollback, signing
    from tapkit.image.seal.encryption import Lock

    yesterday = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=1)
    for name, how in {
        "good": {},
        "unknown": {"trust": False},
        "narrow": {"applications": ("web-*",)},
        "expired": {"expires": yesterday},
    }.items():
        KNOWN[name] = signing.signer_from(machine.key(name, **how))
    KNOWN["own"] = signing.own_signer("qotd")
    rollback.record("older", 1 << 40)
    identity = pyrage.x25519.Identity.generate()
    KNOWN["identity"] = str(identity).encode()
    KNOWN["lock"] = Lock(recipients=[str(identity.to_public())])


def cases() -> Iterator[Case]:
    for form in forms.names():
        yield from unbelievable(form)
    yield from statements()
    yield from sidecars()
    yield from encrypted()
    yield from vectors()


def put(
    folder: Path,
    signer: str,
    form: str = "pickle",
    name: str = "qotd",
    change: Callable[[Any], Any] = lambda stated: stated,
    data: bytes | None = None,
) -> Path:
    """An image with a signature of the named key, with something changed in what it states."""
    path = folder / f"hostile{forms.by_name(form).extensions[0]}"
    content = bomb(form) if data is None else data
    stated = change(KNOWN[signer].sign(content, name, 1_800_000_000))
    if tap.sniff(content):
        files.write_atomic(str(path), trailer.joined(content, stated.text()))
    else:
        files.write_atomic(str(path), content)
        seal.add_signature(str(path), stated)
    return path


def unbelievable(form: str) -> Iterator[Case]:
    """In every form, each thing that can be against a signature."""
    extension = forms.by_name(form).extensions[0]

    def changed(folder: Path) -> Path:
        path = put(folder, "good", form)
        data = path.read_bytes()
        place = 300 if form == "pickle" else data.index(b"touch")
        path.write_bytes(flipped(data, place))
        return path

    def stripped(folder: Path) -> Path:
        path = put(folder, "good", form)
        path.write_bytes(trailer.split(path.read_bytes())[0])
        if (sidecar := Path(f"{path}.sig")).exists():
            sidecar.unlink()
        return path

    def anothers(folder: Path) -> Path:
        """A good signature, of another image."""
        other = KNOWN["good"].sign(b"another", "qotd", 1_800_000_000)
        return put(folder, "good", form, change=lambda stated: other)

    good = "the good key"
    for name, make, said in (
        ("unsigned", lambda folder: bomb(form), "is not signed, and the worker wants it"),
        ("stripped", stripped, "is not signed, and the worker wants it"),
        ("unknown key", lambda f: put(f, "unknown", form), "a key that nobody here trusts"),
        ("out of scope", lambda f: put(f, "narrow", form), "trusted for web-.*, not for 'qotd'"),
        ("expired", lambda f: put(f, "expired", form), "was trusted until 20"),
        ("rolled back", lambda f: put(f, "good", form, "older"), "older than the last one of 'ol"),
        ("changed", changed, "changed after it was signed|damaged"),
        ("another's signature", anothers, "changed after it was signed"),
        (
            "a key's good name",
            lambda f: put(
                f, "unknown", form, change=lambda s: s._replace(key=KNOWN["good"].public)
            ),
            f"the signature is false: {good}",
        ),
        (
            "another machine's daemon",
            lambda f: put(f, "own", form, change=lambda s: resigned(s, host="0" * 32)),
            "good on its machine alone",
        ),
        (
            "no machine's daemon",
            lambda f: put(f, "own", form, change=lambda s: resigned(s, host=None)),
            "good on its machine alone",
        ),
        (
            "the daemon of another application",
            lambda f: put(f, "own", form, change=lambda s: resigned(s, application="web")),
            "a key that nobody here trusts",
        ),
    ):
        yield Case(f"{form}: {name}", make, said, demands=True, extension=extension)
    for name, said in (("changed", "changed after|damaged"), ("another's signature", "changed af")):
        make = changed if name == "changed" else anothers
        yield Case(f"{form}: {name}, though nothing is demanded", make, said, extension=extension)


def resigned(stated: Any, **changes: Any) -> Any:
    """The daemon's key, in the hands of somebody else."""
    changed = stated._replace(**changes, signature=b"")
    return changed._replace(signature=KNOWN["own"]._key.sign(changed.message()))


def statements() -> Iterator[Case]:
    """A bit of a signature's own text is another."""

    def flip(folder: Path, number: int) -> Path:
        path = put(folder, "good")
        data = path.read_bytes()
        size = trailer.size(data)
        path.write_bytes(
            flipped(data, len(data) - size + number * size // STATEMENT_FLIPS, number % 8)
        )
        return path

    said = "signature|signed|trusts|goes on"
    for number in range(STATEMENT_FLIPS):
        yield Case(f"statement bit {number}", lambda f, n=number: flip(f, n), said, demands=True)
    for cut in (1, 8, 12, 50, 100):
        yield Case(
            f"statement cut by {cut}",
            lambda folder, n=cut: put(folder, "good").read_bytes()[:-n],
            "is not signed|damaged",
            demands=True,
        )
    raw = "raw Ed25519 over the bytes"
    yield Case(
        raw,
        lambda f: put(
            f, "good", change=lambda s: s._replace(signature=KNOWN["good"]._key.sign(bomb()))
        ),
        "the signature is false",
        demands=True,
    )


def sidecars() -> Iterator[Case]:
    """What is called `.sig` and is none."""

    def aside(write: Callable[[Path], Any]) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            path = folder / "hostile.tax"
            files.write_atomic(str(path), bomb("xml"))
            write(folder / "hostile.tax.sig")
            return path

        return make

    for name, write, said in (
        ("FIFO", lambda path: os.mkfifo(path), "it is no file, so no signature"),
        ("directory", lambda path: path.mkdir(), "no file, so no signature|can't be read"),
        ("device", lambda path: path.symlink_to("/dev/zero"), "it is no file, so no signature"),
        ("endless", lambda path: path.write_bytes(bytes(1 << 20)), "too large for a signature"),
        ("empty", lambda path: path.write_bytes(b""), "the signature is damaged"),
        ("text", lambda path: path.write_bytes(b"trust me\n"), "the signature is damaged"),
        ("link to itself", lambda path: path.symlink_to(path.name), "can't be read"),
    ):
        yield Case(f"sig: {name}", aside(write), said, extension=".tax")


def encrypted() -> Iterator[Case]:
    """age files: of too much work, damaged, for others, in each other."""

    def age(number: int) -> bytes:
        made = KNOWN["lock"].encrypt(bomb())
        return flipped(made, number * (len(made) - 1) // AGE_FLIPS, number % 8)

    said = "encrypted|damaged|looks like|mangled|not a tapkit image"
    for number in range(AGE_FLIPS):
        yield Case(f"age bit {number}", lambda f, n=number: age(n), said, extension=".etap")
    for work in ("22", "23", "30", "63", "64", "999", "99999999999999999999", "-1", "018", "0"):
        yield Case(
            f"age work {work}",
            lambda folder, w=work: passphrase_file(w),
            "most that is done for a file|its work factor",
            extension=".etap",
        )
    for name, make, words in (
        ("cut", lambda f: KNOWN["lock"].encrypt(bomb())[:-20], "damaged"),
        ("cut in the header", lambda f: KNOWN["lock"].encrypt(bomb())[:100], "has no end"),
        ("more after it", lambda f: KNOWN["lock"].encrypt(bomb()) + b"x", "damaged"),
        (
            "in itself",
            lambda f: KNOWN["lock"].encrypt(KNOWN["lock"].encrypt(bomb())),
            "is encrypte",
        ),
        ("damage inside", lambda f: KNOWN["lock"].encrypt(flipped(bomb(), 90)), "damaged"),
        ("a newer age", lambda f: b"age-encryption.org/v2\n-> x\n", "is encrypted as"),
        (
            "a header of 1 MiB",
            lambda f: b"age-encryption.org/v1\n" + b"-> a b\nAA\n" * 100000,
            "no end",
        ),
        ("armor of nothing", lambda f: b"-----BEGIN AGE ENCRYPTED FILE-----\n", "its armor"),
        ("armor of junk", lambda f: b"-----BEGIN AGE ENCRYPTED FILE-----\n\xff\n", "its armor"),
        ("unsigned", lambda f: KNOWN["lock"].encrypt(bomb()), "is not signed, and the worker"),
    ):
        demands = name == "unsigned"
        yield Case(f"age: {name}", make, words, demands=demands, extension=".etap")


def passphrase_file(work: str) -> bytes:
    head = b"age-encryption.org/v1\n-> scrypt " + b"A" * 22 + b" " + work.encode()
    return head + b"\n" + b"B" * 43 + b"\n--- " + b"C" * 43 + b"\n" + bytes(64)


def vectors() -> Iterator[Case]:
    """C2SP's age vectors whose header or armor is wrong."""
    for name, text in json.loads(VECTORS.read_text()).items():
        head, _, data = base64.b64decode(text).partition(b"\n\n")
        if b"expect: header failure" in head and b"compressed" not in head and data:
            yield Case(
                f"C2SP: {name}",
                lambda folder, d=data: d,
                "damaged|encrypted|most that is done|passphrase|looks like|mangled|not a tapkit",
                extension=".etap",
            )
