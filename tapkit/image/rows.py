"""What each form does: the functions behind the rows of `forms.FORMS`.

Each imports what it needs when it is called: the names of the forms are wanted by commands that
load no image, and cloudpickle alone takes longer to import than they run.

All forms are spellings of one pickle stream. `.tap` holds it as it is; the text forms hold it
as nodes, decompiled and assembled again. So loading and saving are the same for all, but for a
`.tas` that a developer made a program of, which can only be run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tapkit.errors import BrokenModuleError, ImageError, NotFoundError
from tapkit.image import header
from tapkit.image.header import ImageInfo
from tapkit.names import named_object
from tapkit.records import Record

if TYPE_CHECKING:
    from tapkit.image import nodes
    from tapkit.image.seal import Unsealed

Previous = Callable[[], "bytes | None"]
"""The text that is to be replaced, read when it is wanted."""

# Finding a large text's old places again takes a daemon's stop minutes; where there is no
# comment to be kept, nobody would see the difference but in the order of attributes.
_TOO_LARGE_TO_MERGE = 10_000_000

_COMPILED = ("tapkit.styles", "compiled")


class Loaded(Record):
    """What an image held, what it says of itself, and how its file was sealed (if it had one)."""

    obj: Any
    info: ImageInfo
    unsealed: Unsealed | None = None


# -- .tap


def dump_tap(obj: Any, root: str, meta: dict[str, Any], previous: Previous) -> bytes:
    from tapkit.image import dumping, tap

    encoding = meta.pop("encoding", "raw")
    carried = meta.pop("carried", ())
    stream = dumping.dumps(obj, root)
    needed = [name for name in stream.modules if name not in carried]
    info = header.made_here(needed, by_value=stream.by_value, classes=stream.classes, **meta)
    return b"".join(tap.write(stream.payload, stream.buffers, info, encoding))


def rehearse_tap(obj: Any, root: str) -> None:
    from tapkit.image import dumping

    dumping.dumps(obj, root)  # the header can't fail, and looks for the versions of all modules


def load_tap(data: Any, where: str, *, intact: bool = False) -> Loaded:
    from tapkit.image import live, tap

    info, payload, buffers = tap.read(data, where, intact=intact)
    header.check_needs(info, where)
    try:
        return Loaded(live.loads(payload, buffers, where), info)
    except live.MissingNameError as error:
        raise live.with_others(error, info.classes) from error


def load_intact_tap(data: Any, where: str) -> Loaded:
    return load_tap(data, where, intact=True)


def decode_tap(data: Any, where: str) -> tuple[nodes.Image, ImageInfo]:
    from tapkit.image import collector, live, pickled, tap

    info, payload, buffers = tap.read(data, where)
    try:
        with collector.no_collector():
            return pickled.decompile(bytes(payload), buffers or None), info
    except ImageError as error:
        raise live.placed(error, where) from error


def encode_tap(image: nodes.Image, info: ImageInfo, previous: bytes | None) -> bytes:
    from tapkit.image import collector, pickled, schema, tap

    with collector.no_collector():
        payload = pickled.assemble(image)
        info = info._replace(classes=schema.for_header(image))  # an edit may have changed it
    return b"".join(tap.write(payload, [], info, info.encoding))


def inspect_tap(data: Any, where: str) -> ImageInfo:
    from tapkit.image import tap

    return tap.inspect(data, where)


def check_tap(data: Any, where: str) -> None:
    from tapkit.image import tap

    tap.read(data, where)


# -- the text forms


class TextForm:
    """The functions of a form that spells nodes as text.

    Parameters:
        name: the form's.
        read: text and place to nodes.
        write: nodes, and the text they replace, to text.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[bytes, str], nodes.Image],
        write: Callable[[nodes.Image, bytes | None], bytes],
    ):
        self._name = name
        self._read = read
        self._write = write

    def dump(self, obj: Any, root: str, meta: dict[str, Any], previous: Previous) -> bytes:
        from tapkit.image import collector, dumping, nodes, pickled

        stream = dumping.dumps(obj, root, out_of_band=False, counts=False)
        with collector.no_collector():
            image = pickled.decompile(stream.payload)
            del stream  # the text is to take its place in memory
            text = self._write(image, previous())
            nodes.let_go(image)
            del image
            return text

    def rehearse(self, obj: Any, root: str) -> None:
        self.dump(obj, root, {}, lambda: None)

    def load(self, data: Any, where: str) -> Loaded:
        """What the text needs is not looked for beforehand, as in a `.tap`, whose header names
        it: here that would be one more walk over all the nodes. Loading says what is missing.
        """
        from tapkit.image import collector, live, nodes, pickled

        with collector.no_collector():
            image = self._read(bytes(data), where)
            info = header.made_here([], name=_name_of(image.root), form=self._name)
            payload = pickled.assemble(image)
            nodes.let_go(image)
        del image  # the nodes and the objects together would take twice the memory
        return Loaded(live.loads(payload, None, where), info)

    def decode(self, data: Any, where: str) -> tuple[nodes.Image, ImageInfo]:
        from tapkit.image import collector, naming

        with collector.no_collector():
            image = self._read(bytes(data), where)
            if image.shared is None or not image.names:  # else the reader came by both
                image.names = sorted(naming.called(image))
        called = set(image.names)
        modules = {module.partition(".")[0] for module, _ in called}
        by_value = _COMPILED in called
        info = header.made_here(
            modules, name=_name_of(image.root), form=self._name, by_value=by_value
        )
        return image, info

    def encode(self, image: nodes.Image, info: ImageInfo, previous: bytes | None) -> bytes:
        from tapkit.image import collector

        with collector.no_collector():
            return self._write(image, previous)

    def inspect(self, data: Any, where: str) -> ImageInfo:
        return self.decode(data, where)[1]

    def check(self, data: Any, where: str) -> None:
        """Nothing can be known of a text without reading all of it, which loading does."""


class XmlForm(TextForm):
    """XML, where a name that leads nowhere is shown in its line, as every other mistake is."""

    def load(self, data: Any, where: str) -> Loaded:
        from tapkit.image.tax import TaxError

        try:
            return super().load(data, where)
        except TaxError:
            raise
        except ImageError as error:
            raise self._shown(data, where) or error from error

    def _shown(self, data: Any, where: str) -> ImageError | None:
        """The first name in the text that can't be had, or None if that is not what failed."""
        from tapkit.image.tax.blame import blame

        for module, name in self.decode(data, where)[0].names:
            try:
                named_object(f"{module}.{name}")
            except (NotFoundError, BrokenModuleError) as error:
                return blame(bytes(data), where, module, name, str(error))
        return None


class SourceForm(TextForm):
    """Python source: read where it says no more than we write, else run as the program it is."""

    def load(self, data: Any, where: str) -> Loaded:
        from tapkit.image import live, tas

        try:
            return super().load(data, where)
        except tas.SourceBeyondError:
            made = live.upgraded(lambda: tas.run(bytes(data), where), where)
            return Loaded(made, header.made_here([], form=self._name))


def _name_of(root: nodes.Node) -> str | None:
    """The attribute `name` of the root, where it is an object with plain attributes."""
    from tapkit.image import nodes

    if type(root) is nodes.Object:
        for verb, state in root.each_step():
            if verb == nodes.STATE and type(state) is nodes.Dict:
                named = [value for key, value in state.items() if key == "name"]
                return named[-1] if named and type(named[-1]) is str else None
    return None


def _read_tax(data: bytes, where: str) -> nodes.Image:
    from tapkit.image import tax

    return tax.read(data, where)


def _write_tax(image: nodes.Image, previous: bytes | None) -> bytes:
    from tapkit.image import tax

    if previous and len(previous) > _TOO_LARGE_TO_MERGE and b"<!--" not in previous:
        previous = None
    return tax.write(image, previous)


def _read_tas(data: bytes, where: str) -> nodes.Image:
    from tapkit.image import tas

    return tas.read(data, where)


def _write_tas(image: nodes.Image, previous: bytes | None) -> bytes:
    from tapkit.image import tas

    return tas.write(image, tas.learn(image.names))


XML = XmlForm("xml", _read_tax, _write_tax)
SOURCE = SourceForm("source", _read_tas, _write_tas)
