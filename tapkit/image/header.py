"""What an image says of itself, and what it needs: readable and checked without loading it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from tapkit import __version__, aliases
from tapkit.errors import ImageError
from tapkit.image import classes, requirements
from tapkit.image.classes import ClassSummary
from tapkit.image.leniency import allows_placeholders
from tapkit.records import Record

MAX_HEADER = 1 << 20
MAX_BUFFERS = 1 << 16
MAX_ENTRIES = 1 << 14
ENCODINGS = ("raw", "zstd")


class ImageInfo(Record):
    """What an image says of itself.

    Attributes:
        form: how it is spelt, `pickle`.
        name: the application's name, or None.
        tap_type, options: what it was made with; secrets were left out by the maker.
        tapkit, python, implementation, bytecode, cloudpickle: what saved it; `bytecode` is the
            magic number of compiled code.
        created: when, in UTC, ISO 8601.
        modules: top-level names of the modules it needs; the version of each that is known.
        by_value: whether it carries compiled code, which only the same Python may load.
        encoding: how the payload is stored, `raw` or `zstd`.
        size, stored: of the payload, in bytes: unpacked, and in the file.
        classes: those of the graph by their dotted names, see `classes`; a text has none, nor
            has what an older tapkit made.
        buffers: of each out-of-band buffer, its size in bytes and whether it is read-only.
    """

    form: str = "pickle"
    name: str | None = None
    tap_type: str | None = None
    options: Mapping[str, Any] = MappingProxyType({})
    tapkit: str = __version__
    python: str = ""
    implementation: str = ""
    bytecode: int = 0
    cloudpickle: str = ""
    created: str = ""
    modules: Mapping[str, str | None] = MappingProxyType({})
    by_value: bool = False
    encoding: str = "raw"
    size: int = 0
    stored: int = 0
    buffers: tuple[tuple[int, bool], ...] = ()
    classes: Mapping[str, ClassSummary] = MappingProxyType({})


_TYPES: dict[str, type | tuple[type, ...]] = {
    "name": (str, type(None)),
    "tap_type": (str, type(None)),
    "options": dict,
    "tapkit": str,
    "python": str,
    "implementation": str,
    "bytecode": int,
    "cloudpickle": str,
    "created": str,
    "modules": dict,
    "by_value": bool,
    "encoding": str,
    "size": int,
    "stored": int,
    "buffers": list,
}
"""The header's keys. All must be there. A reader may skip a key it does not know, as long as
the key does not begin with `!`: then the image can't be understood without it."""

CLASSES = "classes"
"""A key that not every header has."""


def made_here(modules: Iterable[str], **known: Any) -> ImageInfo:
    """The info of an image that this process saves now."""
    import datetime

    import cloudpickle  # the caller has just pickled with it

    return ImageInfo(
        python=".".join(map(str, sys.version_info[:3])),
        implementation=sys.implementation.name,
        bytecode=_bytecode(),
        cloudpickle=cloudpickle.__version__,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        modules={name: _version(name) for name in sorted(modules)},
        **known,
    )


def pack(info: ImageInfo) -> bytes:
    """The header's bytes.

    Raises:
        ImageError: what the caller gave to be kept there is too large.
    """
    import msgpack  # type: ignore[import-untyped,unused-ignore]

    known = {key: getattr(info, key) for key in _TYPES}
    known["options"] = {str(key): _plain(value) for key, value in info.options.items()}
    known["modules"] = dict(info.modules)
    if info.classes:
        known[CLASSES] = classes.packed(info.classes)
    packed: bytes = msgpack.packb(known)
    if len(packed) > MAX_HEADER:
        raise ImageError("the options it was made with take more than 1 MiB", "the header")
    return packed


def unpack(packed: bytes, where: str) -> ImageInfo:
    """What `pack` packed, strictly.

    Raises:
        ImageError: the header is no map of the known keys and types, each once.
    """
    import msgpack  # type: ignore[import-untyped,unused-ignore]

    try:
        found = msgpack.unpackb(
            packed,
            object_pairs_hook=_once,
            strict_map_key=True,
            ext_hook=_no_extensions,
            max_array_len=MAX_BUFFERS,
            max_map_len=MAX_ENTRIES,
        )
    except Exception as error:  # msgpack documents no common base of what it raises
        raise ImageError(f"the header is damaged ({error})", where) from error
    if not isinstance(found, dict):
        raise ImageError("the header is damaged (it is no map)", where)
    _check_types(found, where)
    known = {key: found[key] for key in _TYPES}
    known["buffers"] = tuple(map(tuple, found["buffers"]))
    try:
        known[CLASSES] = classes.unpacked(found.get(CLASSES, {}))
    except (ValueError, TypeError, AttributeError) as error:
        raise ImageError(f"the header is damaged ({CLASSES!r}: {error})", where) from error
    return ImageInfo(**known)


def check_needs(info: ImageInfo, where: str | None) -> None:
    """Refuse, in words and before anything is loaded, what could not run here.

    Raises:
        ImageError: code by value of another Python (it would crash this one), and modules that
            can't be found, all of them at once.
    """
    found = misses(info)
    if found:
        what = "; ".join(miss.what for miss in found)
        raise ImageError(what, where, "; ".join(miss.remedy for miss in found))


def misses(info: ImageInfo) -> list[requirements.Miss]:
    """All that an image's header says it needs and that is not here. Imports nothing."""

    def is_there(name: str) -> bool:
        return allows_placeholders() or _is_there(name) or aliases.mentions(name)

    return requirements.misses(info, _bytecode() if info.by_value else 0, is_there)


def _check_types(found: dict[str, Any], where: str) -> None:
    for key in found:
        if key.startswith("!"):
            raise ImageError(f"the header has {key!r}", where, "a newer tapkit reads it: upgrade")
    for key, types in _TYPES.items():
        if key not in found:
            raise ImageError(f"the header is damaged (no {key!r})", where)
        value = found[key]
        if not isinstance(value, types) or (types is int and isinstance(value, bool)):
            raise ImageError(f"the header is damaged ({key!r} is a {type(value).__name__})", where)
    numbers = [found["size"], found["stored"], found["bytecode"]]
    pairs = found["buffers"]
    good = len(pairs) <= MAX_BUFFERS and all(
        isinstance(pair, list) and list(map(type, pair)) == [int, bool] for pair in pairs
    )
    if not good or min(numbers + [pair[0] for pair in pairs]) < 0:
        raise ImageError("the header is damaged (its sizes make no sense)", where)
    if found["encoding"] not in ENCODINGS:
        raise ImageError(
            f"the payload is encoded as {found['encoding']!r}",
            where,
            "a newer tapkit reads it: upgrade",
        )
    if found["encoding"] == "raw" and found["size"] != found["stored"]:
        raise ImageError("the header is damaged (its sizes make no sense)", where)
    # Only top-level names: to look for `a.b` is to import, and so to run, `a`.
    if not all(isinstance(name, str) and name and "." not in name for name in found["modules"]):
        raise ImageError("the header is damaged (its modules make no sense)", where)


def _once(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found or not isinstance(key, str):
            raise ValueError(f"{key!r} twice" if key in found else f"{key!r} is no text")
        found[key] = value
    return found


def _no_extensions(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"extension {code}")


def _plain(value: Any) -> Any:
    """An option's value as msgpack can hold it; what it can't, by its `str`."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value if value is None or type(value) in (bool, int, float, bytes) else str(value)


def _bytecode() -> int:
    import importlib.util

    return int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")


def _is_there(name: str) -> bool:
    if name in sys.modules or name in sys.builtin_module_names:
        return True
    import importlib.util

    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False  # it is there by name alone, and broken: as good as missing


def _version(module: str) -> str | None:
    """The version of a module's distribution, where that costs next to nothing."""
    if module in sys.stdlib_module_names:
        return None
    version = getattr(sys.modules.get(module), "__version__", None)
    if isinstance(version, str):
        return version
    from importlib import metadata

    try:
        return metadata.version(module)
    except (metadata.PackageNotFoundError, ValueError):
        return None
