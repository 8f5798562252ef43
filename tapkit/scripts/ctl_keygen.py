"""tapctl keygen: a key to sign images with."""

from __future__ import annotations

import datetime

from tapkit.errors import EXIT_OK, UsageError

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

USAGE = """
Make a key to sign images with: the private one in FILE, the public one in FILE.pub.

Usage:
  tapctl keygen [options] FILE
  tapctl keygen (-h | --help)

Who copies FILE.pub into a trust folder, /etc/tapkit/trust.d or ~/.config/tapkit/trust.d, trusts
what FILE signs. What the key is good for is said in FILE.pub, and can be changed there.

Options:
  -a, --applications=NAMES  Good for these applications alone: names or patterns such as web-*,
                            separated by commas.
  -e, --expires=WHEN        Good until this day, such as 2027-12-31, or for so many days: 365d.
  -c, --comment=TEXT        Whose it is, to be shown.
  -h, --help                Show this.

FILE is for its owner alone; keep it where no daemon can read it. No file is replaced.

Exit status: 0 it is done, 1 it failed, 2 the command line is mistyped.
"""


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.image.seal import signing, trusted

    names = arguments["--applications"]
    globs = ("*",) if names is None else tuple(filter(None, names.split(",")))
    if not globs:
        raise UsageError("it names no application", "--applications")
    about = trusted.TrustedKey(
        b"", arguments["--comment"] or "", globs, _last_day(arguments["--expires"])
    )
    made = signing.generate(arguments["FILE"], about)
    print(f"Made the key {trusted.fingerprint(made.public)} in {arguments['FILE']}.")
    print(f"To trust it, copy {arguments['FILE']}.pub into a trust folder.")
    return EXIT_OK


def _last_day(text: str | None) -> datetime.date | None:
    if text is None:
        return None
    today = datetime.datetime.now(datetime.timezone.utc).date()
    try:
        if text.endswith("d"):
            return today + datetime.timedelta(days=int(text[:-1]))
        return datetime.date.fromisoformat(text)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no day", "--expires", "such as 2027-12-31, or 365d"
        ) from None
