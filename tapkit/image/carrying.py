"""What an image carries as source text, read from its nodes: nothing of it is imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tapkit.image import nodes

CALL = ("tapkit.carried", "package")


class CarriedSource(NamedTuple):
    """A carried package: its name, its digest, and its files by path."""

    name: str
    digest: str | None
    files: dict[str, str | bytes]


def carried_in(image: nodes.Image) -> Iterator[CarriedSource]:
    """The packages whose source text is in an image."""
    for node in nodes.walk(image.root, *image.discarded):
        if type(node) is nodes.Object and _calls(node.call):
            name, digest, files = _arguments(node)
            if isinstance(name, str) and type(files) is nodes.Dict:
                texts = {str(path): text for path, text in files.items() if _is_text(text)}
                yield CarriedSource(name, digest if isinstance(digest, str) else None, texts)


def _calls(target: nodes.Node) -> bool:
    return type(target) is nodes.Global and (target.module, target.name) == CALL


def _arguments(node: nodes.Object) -> tuple[nodes.Node, ...]:
    args = node.args if type(node.args) is tuple else ()
    return args if len(args) == 3 else (None, None, None)


def _is_text(node: nodes.Node) -> bool:
    return isinstance(node, (str, bytes))
