"""Plug-ins: found without importing anything, then the chosen one alone is loaded.

    found = plugin.find("tap")
    builder = plugin.load_builder(found.get("qotd"))
    config = builder.Options()
    config.parseOptions(argv)
    service = plugin.make_service(builder, config)

"No such tap type", "its module is missing" and "it broke while importing" are three different
errors. What is wrong with one drop-in costs that drop-in alone: it is in `Found.faults`.
"""

from __future__ import annotations

from tapkit.errors import (
    BrokenModuleError,
    NotFoundError,
    PluginError,
    TapkitError,
    UnknownPluginError,
    describe,
)
from tapkit.finding import drop_in, search_path
from tapkit.finding.drop_in import PlugIn
from tapkit.names import innermost_place, named_module, suggestion
from tapkit.options.secrecy import hide_secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType
    from typing import Any

    from tapkit.finding.search_path import Debug, Progress, Source

__all__ = ["Builder", "Found", "PlugIn", "find", "load", "load_builder", "make_service"]

GROUP = "tapkit.plugins"  # of entry points
LAST = "tapkit_plugins"  # the built-in drop-in gives way to all others


class Found:
    """The plug-ins of a type.

    Attributes:
        plugins: in the order of precedence, each name once.
        shadowed: those that lost their name to an earlier one.
        faults: PluginErrors, one for each drop-in that can't be read.
    """

    def __init__(self, type: str | None = None) -> None:
        self.type = type
        self.plugins: list[PlugIn] = []
        self.shadowed: list[PlugIn] = []
        self.faults: list[PluginError] = []
        self._by_name: dict[tuple[str, str], PlugIn] = {}

    def add(self, plugin: PlugIn) -> PlugIn:
        """Take a plug-in in; returns the one that has its name: the first to claim it."""
        winner = self._by_name.setdefault((plugin.type, plugin.called), plugin)
        if winner is plugin:
            self.plugins.append(plugin)
        elif winner.where != plugin.where:  # else the same one, found by two ways
            self.shadowed.append(plugin)
        return winner

    def get(self, name: str) -> PlugIn:
        """The plug-in of that tapname, or name where it has no tapname.

        Raises:
            UnknownPluginError: there is none.
        """
        for plugin in self.plugins:
            if plugin.called == name:
                return plugin
        close = suggestion(name, [plugin.called for plugin in self.plugins])
        kind = f"{self.type} type" if self.type else "plug-in"
        remedy = None
        if self.faults:
            remedy = f"it may be in a drop-in that can't be read: {self.faults[0].where}"
        raise UnknownPluginError(f"no such {kind}: {name}{close}", None, remedy)


class Builder:
    """A loaded TAP builder: its module has `Options` and `makeService`."""

    def __init__(self, plugin: PlugIn, module: ModuleType):
        self.plugin = plugin
        self.module = module

    @property
    def Options(self) -> type[Any]:  # noqa: N802  # what the tutorial's module calls it
        """The class of its options."""
        options: type[Any] = vars(self.module)["Options"]
        return options


def find(
    type: str | None = "tap",
    path: Sequence[str] | None = None,
    progress: Progress | None = None,
    debug: Debug | None = None,
) -> Found:
    """The plug-ins of a type, without importing any.

    Parameters:
        type: the registered type; None finds all types.
        path: where to look, instead of `sys.path` and the editable installs.
        progress: called with (done, total, name of the path entry).
        debug: called with a line for every path entry, drop-in, plug-in and loser of a name.
    """
    found = Found(type)
    last: list[Source] = []
    for source in search_path.sources(path, progress, debug):
        if source.owner == LAST and source.is_drop_in:
            last.append(source)
        else:
            _add(found, source, debug)
    for source in last:
        _add(found, source, debug)
    return found


def _add(found: Found, source: Source, debug: Debug | None) -> None:
    try:
        plugins = list(_registered(source))
    except PluginError as fault:
        # An unreadable entry_points.txt is most likely none of ours: no fault to warn of.
        if source.is_drop_in or fault.where != source.file:
            found.faults.append(fault)
        if debug:
            debug(f"fault: {fault}")
        return
    if debug and (plugins or source.is_drop_in):
        debug(f"drop-in {source.file}: {len(plugins)} registered")
    for plugin in plugins:
        if found.type not in (None, plugin.type):
            continue
        winner = found.add(plugin)
        if debug and winner is plugin:
            debug(f"{plugin.type or 'plug-in'} {plugin.called}: {plugin.module}, {plugin.where}")
        elif debug:
            debug(f"{plugin.where}: {plugin.called} is shadowed by {winner.where}")


def _registered(source: Source) -> Iterator[PlugIn]:
    data = source.read()
    if source.is_drop_in:
        yield from drop_in.read(data, source.file, source.owner)
    elif f"[{GROUP}]".encode() in data:
        yield from _entry_points(source, data)


def _entry_points(source: Source, data: bytes) -> Iterator[PlugIn]:
    """`name = module` in the group makes a TAP builder of that name."""
    import configparser  # slow to import; few distributions have the group

    parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#", ";"))
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their case
    try:
        text = data.decode("utf-8-sig")
        parser.read_string(text)
    except (configparser.Error, UnicodeDecodeError) as error:
        what = f"entry points can't be read: {' '.join(str(error).split())}"
        raise PluginError(what, f"{source.file}:1", "reinstall the distribution") from error
    summary = _summary(source)
    for name, value in parser.items(GROUP):
        module = value.partition("[")[0].partition(":")[0].strip()
        line = next((n for n, row in enumerate(text.splitlines(), 1) if row.startswith(name)), 1)
        where = f"{source.file}:{line}"
        if not drop_in.is_tapname(name) or not all(p.isidentifier() for p in module.split(".")):
            raise PluginError(f"{name} = {value} is not a name and a module", where)
        yield PlugIn(
            name,
            module,
            type="tap",
            tapname=name,
            description=summary,
            where=where,
            drop_in=source.owner,
        )


def _summary(source: Source) -> str:
    for name in ("METADATA", "PKG-INFO"):
        header = source.sibling(name).decode("utf-8", "replace").partition("\n\n")[0]
        for line in header.splitlines():
            if line.startswith("Summary:"):
                return line.partition(":")[2].strip()
    return ""


def load(plugin: PlugIn) -> ModuleType:
    """Import a plug-in's module.

    Raises:
        PluginError: it is missing, or it broke while it was imported.
    """
    try:
        return named_module(plugin.module)
    except NotFoundError as error:
        raise PluginError(
            f"the module of plug-in {plugin.called} is missing: {error}",
            f"named in {plugin.where}",
            "correct the name there, or install the module again",
        ) from error
    except BrokenModuleError as error:
        reason = describe(error.__cause__) if error.__cause__ else error.what
        raise _broken(plugin, error.where, reason) from error
    except SystemExit as error:  # no plug-in ends the program that lists it
        raise _broken(plugin, innermost_place(error.__traceback__), describe(error)) from error


def _broken(plugin: PlugIn, where: str | None, reason: str) -> PluginError:
    return PluginError(f"plug-in {plugin.called} broke while importing", where, reason)


def load_builder(plugin: PlugIn) -> Builder:
    """Import a TAP builder and check that it is one.

    Raises:
        PluginError: as `load`; or it has no `makeService` to call, or no `Options` class.
    """
    module = load(plugin)
    where = getattr(module, "__file__", None) or plugin.where
    names = vars(module)
    if not callable(names.get("makeService")):
        raise PluginError(f"plug-in {plugin.called} {_instead(names)}", where, _MAKE_SERVICE)
    options = names.get("Options")
    if not (isinstance(options, type) and callable(getattr(options, "parseOptions", None))):
        what = "has no Options" if options is None else "has an Options that is no Options class"
        remedy = "define class Options(tapkit.usage.Options)"
        raise PluginError(f"plug-in {plugin.called} {what}", where, remedy)
    return Builder(plugin, module)


_MAKE_SERVICE = "define makeService(config), returning a service"


def _instead(names: dict[str, Any]) -> str:
    """What a module has in the place of a `makeService`."""
    if "makeService" in names:
        return f"has a makeService that can't be called: {names['makeService']!r}"
    for slip in ("make_service", "makeservice", "MakeService", "updateApplication"):
        if slip in names:
            return f"has no makeService; it has {slip}"
    return "has no makeService"


def make_service(builder: Builder, config: Any) -> Any:
    """Let a TAP builder make its service.

    Parameters:
        config: its Options, after `parseOptions`.

    Raises:
        PluginError: makeService raised (`where` is the place), or returned no service.
        TapkitError: makeService's own, as it is: a UsageError about its options, say.
    """
    called = builder.plugin.called
    function = vars(builder.module)["makeService"]
    try:
        service = function(config)
    except TapkitError as error:
        hide_secrets(error, config)
        raise
    except (Exception, SystemExit) as error:
        inside = error.__traceback__ and error.__traceback__.tb_next
        where = innermost_place(inside) or _place_of(function, builder.module)
        failed = PluginError(f"makeService of plug-in {called} failed", where, describe(error))
        failed.__cause__ = error
        hide_secrets(failed, config)
        raise failed from failed.__cause__
    _refuse_no_service(service, called, _place_of(function, builder.module))
    return service


def _refuse_no_service(service: Any, called: str, where: str | None) -> None:
    from tapkit.service import IService  # imports asyncio, which finding plug-ins must not

    if isinstance(service, IService):
        return
    returned = "None" if service is None else f"a {type(service).__name__}, which is no service"
    remedy = "return the service at its end"
    if hasattr(service, "cr_code"):
        service.close()
        remedy = "define it without async"
    raise PluginError(f"makeService of plug-in {called} returned {returned}", where, remedy)


def _place_of(function: Any, module: ModuleType) -> str | None:
    code = getattr(function, "__code__", None)
    if code is None:
        return getattr(module, "__file__", None)
    return f"{code.co_filename}:{code.co_firstlineno}"
