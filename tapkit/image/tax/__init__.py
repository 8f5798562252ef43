"""`.tax`: an image as XML that an administrator edits.

The element is the attribute. Its text is a str; anything else says what it is: `type=` for the
standard types, `class=` for an object with attributes, `new=` and `call=` for one that is made
with arguments, `ref=` for one that is somewhere else and has an `id=` there. Nothing is guessed.

How to read this package: `escapes` (characters), `dotted` (names of classes), `atoms`, `moments`
and `standard` (types that are text), `writer` with `line`, `simple`, `rows`, `tags`, `readable`
and `code`; `builder` with `kinds`, `calls`, `holders`, `texts` and `special` (elements to nodes);
`careful` (expat) and `quick` with `plans`, the two ways elements are found; `patterns`, `learned`
and `taking` (elements that are alike, found at one stroke); `merge` with `layout`, `homes` and
`alignment` (a hand-edited file is written over and keeps its comments); `faults` and `blame`.
The vocabulary for a person is in docs/tax.md.
"""

from __future__ import annotations

from tapkit.image import nodes
from tapkit.image.tax.faults import Mistake, TaxError

__all__ = ["Mistake", "TaxError", "read", "write"]


def write(image: nodes.Image, previous: str | bytes | None = None) -> bytes:
    """The XML of an image.

    Parameters:
        previous: the text this is to replace. Its comments, its order and ids, and whatever
            spells what has not changed are kept. A previous text that is no readable .tax
            counts as none.

    Raises:
        ImageError: the image holds out-of-band buffers.
    """
    from tapkit.image.tax.writer import Writer

    if previous is not None:
        from tapkit.image.tax.merge import rewritten

        merged = rewritten(image, previous.encode() if isinstance(previous, str) else previous)
        if merged is not None:
            return merged
    return Writer(image).document()


def read(data: bytes, where: str = "image.tax") -> nodes.Image:
    """The image that XML spells. Nothing it names is imported or called.

    Parameters:
        where: how messages name the file.

    Raises:
        TaxError: the text is no image; all its mistakes with file, line and column.
    """
    from tapkit.image.tax.careful import Reader
    from tapkit.image.tax.quick import quick

    image = quick(data)
    return Reader(data, where).image() if image is None else image
