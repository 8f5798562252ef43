"""tapctl unit: a systemd unit file for an image."""

from __future__ import annotations

from tapkit.errors import EXIT_OK, ImageError

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

USAGE = """
Print a systemd unit that runs an image: hardened, with what the image says it needs. The image
is not loaded.

Usage:
  tapctl unit [options] IMAGE
  tapctl unit (-h | --help)

The service runs as the user the image names, or else as the one its file belongs to, with
/var/lib/NAME to keep its state in. `systemctl reload` is a hot restart. Sockets of a socket unit
are matched to services by name (FileDescriptorName=) or else by address.

Options:
  --socket    Print the socket unit instead, for systemd to listen on the image's ports.
  -h, --help  Show this.

Exit status: 0 it is printed, 1 there is no such image, 2 the command line is mistyped.
"""


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.image.overview import overview
    from tapkit.run.systemd import units
    from tapkit.scripts.images import STDIN, opened

    path = arguments["IMAGE"]
    if path == STDIN:
        raise ImageError("a unit needs the image's path", None, "name the file")
    image = opened(path)
    seen = overview(image.nodes)
    if not seen.services or not seen.services[0].name:
        raise ImageError("it holds no application", path, "make an image with mktap")
    what = units.deployment(seen.services[0].name, path, _uid(image))
    make = units.socket_unit if arguments["--socket"] else units.service_unit
    print(make(what, units.ports(seen)), end="")
    return EXIT_OK


def _uid(image: Any) -> int | None:
    from tapkit.image.facets import Facets

    flat = Facets(image.nodes.root).attributes
    uid = dict(zip(flat[::2], flat[1::2], strict=True)).get("uid")
    return uid if type(uid) is int else None
