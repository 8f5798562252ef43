"""Where plug-ins are registered: the files along `sys.path` that may name some.

Every top-level package with a `plugins.tml`, and every distribution's `entry_points.txt`. A
path entry costs one scandir, a package one stat. Packages that only an import hook knows
(editable installs) are asked of the hook, and a zip file on the path is looked into.
"""

from __future__ import annotations

import os
import stat
import sys

from tapkit.errors import PluginError
from tapkit.finding.drop_in import SIZE_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Progress = Callable[[int, int, str], None]
    Debug = Callable[[str], None]

DROP_IN = "plugins.tml"
ENTRY_POINTS = "entry_points.txt"
_ENTRY_POINTS_LIMIT = 1024 * 1024
_DISTRIBUTION = (".dist-info", ".egg-info", "EGG-INFO")


class Source:
    """A file that may register plug-ins. `owner` is its package or distribution."""

    __slots__ = ("_read", "file", "owner")

    def __init__(self, owner: str, file: str, read: Callable[[str], bytes]):
        self.owner = owner
        self.file = file
        self._read = read

    @property
    def is_drop_in(self) -> bool:
        return self.file.endswith(DROP_IN)

    def read(self) -> bytes:
        """The bytes of the file.

        Raises:
            PluginError: it can't be read, is no regular file, or is too big.
        """
        return self._read(self.file)

    def sibling(self, name: str) -> bytes:
        """The bytes of a file beside it, b"" where there is none."""
        try:
            return self._read(os.path.join(os.path.dirname(self.file), name))
        except PluginError:
            return b""


def sources(
    path: Sequence[str] | None = None,
    progress: Progress | None = None,
    debug: Debug | None = None,
) -> Iterator[Source]:
    """Every file that may register plug-ins, in the order of imports.

    Parameters:
        path: directories and zip files; None is `sys.path` and the editable installs.
        progress: called with (entries done, all entries, the entry's name).
        debug: called with a line for each entry.
    """
    tell = debug or _silence
    entries = [entry for entry in (sys.path if path is None else path) if isinstance(entry, str)]
    total = len(entries) + (path is None)
    seen: set[tuple[int, int]] = set()
    for done, entry in enumerate(entries, 1):
        yield from _in_entry(entry or os.getcwd(), seen, tell)
        if progress:
            progress(done, total, entry)
    if path is None:
        yield from _editable(tell)
        if progress:
            progress(total, total, "editable installs")


def _silence(line: str) -> None:
    pass


def _in_entry(entry: str, seen: set[tuple[int, int]], tell: Debug) -> Iterator[Source]:
    try:
        status = os.stat(entry)
    except (OSError, ValueError) as error:
        tell(f"path {entry}: {_reason(error)}")
        return
    if (status.st_dev, status.st_ino) in seen:
        tell(f"path {entry}: looked at already")
        return
    seen.add((status.st_dev, status.st_ino))
    if stat.S_ISDIR(status.st_mode):
        yield from _in_directory(entry, tell)
    elif stat.S_ISREG(status.st_mode):
        yield from _in_zip(entry, tell)
    else:
        tell(f"path {entry}: neither a directory nor a file")


def _in_directory(directory: str, tell: Debug) -> Iterator[Source]:
    try:
        with os.scandir(directory) as listing:
            names = sorted(item.name for item in listing if _may_register(item))
    except OSError as error:
        tell(f"path {directory}: {_reason(error)}")
        return
    tell(f"path {directory}: {len(names)} packages and distributions")
    prefix = os.path.join(directory, "")
    for name in names:
        yield from _in_package(name, prefix + name, tell)


def _may_register(item: os.DirEntry[str]) -> bool:
    if not (item.name.isidentifier() or item.name.endswith(_DISTRIBUTION)):
        return False
    try:
        return item.is_dir()
    except OSError:  # a loop of symbolic links
        return False


def _in_package(name: str, directory: str, tell: Debug) -> Iterator[Source]:
    file = f"{directory}/{ENTRY_POINTS if name.endswith(_DISTRIBUTION) else DROP_IN}"
    try:
        status = os.stat(file)
    except FileNotFoundError:
        return
    except OSError as error:
        tell(f"{file}: {_reason(error)}")
        return
    read = _read_file if stat.S_ISREG(status.st_mode) else _refuse_to_read
    yield Source(_owner(name), file, read)


def _owner(name: str) -> str:
    """`quotes` for `quotes-1.0.dist-info`."""
    return name.partition("-")[0] if name.endswith(_DISTRIBUTION) else name


def _refuse_to_read(file: str) -> bytes:
    raise PluginError("a drop-in can't be read: not a regular file", file)


def _read_file(file: str) -> bytes:
    limit = _limit(file)
    try:
        # Non-blocking: it was a regular file, and may be a FIFO by now.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            data = os.read(descriptor, limit + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise PluginError(f"a drop-in can't be read: {_reason(error)}", file) from error
    return _bounded(data, limit, file)


def _limit(file: str) -> int:
    return SIZE_LIMIT if file.endswith(DROP_IN) else _ENTRY_POINTS_LIMIT


def _bounded(data: bytes, limit: int, file: str) -> bytes:
    if len(data) > limit:
        raise PluginError(f"a drop-in can't be read: more than {limit} bytes", file)
    return data


def _in_zip(archive: str, tell: Debug) -> Iterator[Source]:
    import zipfile  # slow to import, and hardly ever needed

    try:
        with zipfile.ZipFile(archive) as opened:
            names = sorted(opened.namelist())
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        tell(f"path {archive}: {_reason(error)}")
        return
    tell(f"path {archive}: a zip file of {len(names)} files")
    for name in names:
        package, _, file = name.partition("/")
        wanted = ENTRY_POINTS if package.endswith(_DISTRIBUTION) else DROP_IN
        if file == wanted and (package.isidentifier() or wanted == ENTRY_POINTS):
            yield Source(_owner(package), os.path.join(archive, name), _reader_of(archive))


def _reader_of(archive: str) -> Callable[[str], bytes]:
    def read(file: str) -> bytes:
        import zipfile

        limit = _limit(file)
        try:
            with (
                zipfile.ZipFile(archive) as opened,
                opened.open(os.path.relpath(file, archive)) as stream,
            ):
                return _bounded(stream.read(limit + 1), limit, file)
        except PluginError:
            raise
        # zlib.error, KeyError, RuntimeError (encrypted): zipfile lets them all through.
        except Exception as error:
            raise PluginError(f"a drop-in can't be read: {_reason(error)}", file) from error

    return read


def _editable(tell: Debug) -> Iterator[Source]:
    """Packages that an editable install's import hook maps to directories.

    setuptools keeps a MAPPING of names to directories in the hook's module; the `editables`
    package (hatch, pdm, flit ...) keeps names to `__init__.py` files in the hook itself.
    """
    for finder in list(sys.meta_path):
        module = str(getattr(finder, "__module__", ""))
        mapping: dict[str, str] = {}
        if module.startswith("__editable___"):
            mapping = getattr(sys.modules.get(module), "MAPPING", {})
        elif module == "editables.redirector":
            mapping = getattr(finder, "_redirections", {})
        if mapping:
            tell(f"editable installs of {module}: {', '.join(sorted(mapping))}")
        for name, place in sorted(mapping.items()):
            directory = os.path.dirname(place) if place.endswith("__init__.py") else place
            if name.isidentifier():
                yield from _in_package(name, directory, tell)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or repr(error)
