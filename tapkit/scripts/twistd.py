"""twistd: run an Application as a daemon, from an image, a script or a TAP builder."""

from __future__ import annotations

import gc
import os

from tapkit import usage
from tapkit.errors import EXIT_OK, TapkitError, UsageError
from tapkit.scripts import ending, saving, sealing
from tapkit.scripts.console import command, complain

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tapkit.application import Application
    from tapkit.run.instruments import Instruments
    from tapkit.run.launch import Settings
    from tapkit.run.process.privileges import Identity
    from tapkit.run.reload.origin import Origin
    from tapkit.run.saving.policy import SavePolicy

    Source = Callable[[], tuple[Application, SavePolicy]]

PROGRAM = "twistd"
_DEFAULT_IMAGE = "twistd.tap"
_IMAGE_OPTIONS = {"--file": None, "--xml": "xml", "--source": "source"}


def main(argv: list[str], doc: str, default: Callable[[str], str] | None = None) -> int:
    """Run twistd; `doc` is its usage text, which docopt reads.

    Parameters:
        default: makes the image that is run where none is named, given --rundir; returns its
            path. None: twistd.tap.
    """

    def run(arguments: dict[str, Any]) -> int:
        return _run(arguments | {"default": default})

    # Nothing that a start makes is garbage; the daemon turns the collector on when it is ready.
    gc.disable()
    try:
        return command(PROGRAM, argv, doc, run, more_help=_commands, repeated=sealing.REPEATED)
    finally:
        gc.enable()


def _commands() -> str:
    from tapkit.scripts import builders  # an image is run without looking for plug-ins

    return builders.listing(PROGRAM)


def _run(arguments: dict[str, Any]) -> int:
    if arguments["--help-reactors"]:
        print(_reactors(), end="")
        return EXIT_OK
    from tapkit.run import lazily

    lazily.import_asyncio()
    from tapkit.run.reload import origin

    begun = origin.of_this_process()
    try:
        return _begin(arguments, begun)
    except TapkitError as error:
        begun.failed(str(error))  # a reload that went wrong before there was anything to run
        raise


def _begin(arguments: dict[str, Any], begun: Origin) -> int:
    try:
        source = _restricted(_with_settings(_source(arguments), arguments["--set"]), arguments)
    except usage.HelpRequested as asked:
        print(asked.text, end="")
        return EXIT_OK
    settings = _settings(arguments)._replace(origin=begun)
    if arguments["--check"]:
        return _check(settings, source)
    return _launch(settings, source)


def _check(settings: Settings, source: Source) -> int:
    from tapkit.run import checking

    print(checking.check(settings, source))
    return EXIT_OK


def _launch(settings: Settings, source: Source) -> int:
    from tapkit.run.launch import launch

    try:
        verdict = launch(settings, source, lambda line: complain(PROGRAM, f"warning: {line}"))
    finally:
        ending.end_within(settings.stop.stop_timeout)
    if verdict.message:
        complain(PROGRAM, verdict.message)
    return verdict.status


def _reactors() -> str:
    from tapkit.run import reactors

    lines = [
        f"  {name:<10}{about}{'' if reactors.installed(name) else ' (not installed)'}"
        for name, about in reactors.REACTORS.items()
    ]
    return "Reactors, for --reactor:\n" + "\n".join(lines) + "\n"


def _settings(arguments: dict[str, Any]) -> Settings:
    import logging

    from tapkit.run import reactors
    from tapkit.run.launch import Settings

    alone = [option for option in ("--nodaemon", "--debug", "--spew") if arguments[option]]
    daemon = not alone
    logfile = arguments["--logfile"] or ("twistd.log" if daemon else "-")
    if logfile == "-" and daemon:
        raise UsageError("a daemon has no standard output", "--logfile", "add --nodaemon")
    if arguments["--syslog"] and arguments["--logfile"]:
        raise UsageError("--syslog and --logfile contradict each other", None, "give one of them")
    prefix = arguments["--prefix"] or ""
    return Settings(
        daemon=daemon,
        rundir=arguments["--rundir"],
        pidfile=arguments["--pidfile"],
        logfile=None if logfile == "-" else logfile,
        syslog_prefix=prefix if arguments["--syslog"] else None,
        level=logging.WARNING if arguments["--quiet"] else logging.INFO,
        reactor=reactors.check(arguments["--reactor"] or _debuggable(arguments)),
        workers=_workers(arguments["--workers"]),
        start_timeout=_seconds(arguments["--start-timeout"]),
        umask=_mode_bits(arguments["--umask"]),
        chroot=arguments["--chroot"] and os.path.abspath(arguments["--chroot"]),
        identity=_identity(arguments),
        title=not arguments["--originalname"],
        instruments=_instruments(arguments),
        stop=ending.stop_rules(arguments),
        log_style=ending.log_style(arguments),
    )


def _workers(text: str) -> int:
    if text == "1":
        return 1
    from tapkit.run.workers.master import count_of

    return count_of(text)


def _debuggable(arguments: dict[str, Any]) -> str | None:
    return "asyncio" if arguments["--debug"] else None  # uvloop's frames are C


def _identity(arguments: dict[str, Any]) -> Identity:
    from tapkit.run.process import privileges

    user, group = arguments["--uid"], arguments["--gid"]
    return privileges.Identity(
        user and privileges.user_id(user),
        group and privileges.group_id(group),
        arguments["--euid"],
    )


def _instruments(arguments: dict[str, Any]) -> Instruments:
    from tapkit.run.instruments import Instruments

    profile = None
    if arguments["--profile"]:
        from tapkit.run.instruments import profiling

        if arguments["--spew"] or arguments["--debug"]:
            raise UsageError(
                "--profile does not go together with --debug and --spew", None, "one at a time"
            )
        name = profiling.check(arguments["--profiler"])
        profile = profiling.Profile(arguments["--profile"], name, arguments["--savestats"])
    elif arguments["--savestats"]:
        raise UsageError("it saves what --profile measures", "--savestats", "add --profile FILE")
    return Instruments(arguments["--debug"], arguments["--spew"], profile)


def _mode_bits(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        bits = int(text, 8)
    except ValueError:
        bits = -1
    if not 0 <= bits <= 0o777:
        raise UsageError(f"{text!r} is not octal, 0 to 777", "--umask", "such as 027")
    return bits


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"{text!r} is not a number of seconds", "--start-timeout")
    return seconds or None


def _source(arguments: dict[str, Any]) -> Source:
    """What to run. Exactly one of the ways to say it; the default is twistd.tap."""
    word = arguments["IMAGE"] or arguments["COMMAND"]
    ways = [option for option in (*_IMAGE_OPTIONS, "--python") if arguments[option]]
    if len(ways) + bool(word) > 1:
        given = " and ".join([*ways, *([repr(word)] if word else [])])
        raise UsageError(f"one thing to run, please, not {given}", None, "give one of them")
    if arguments["--python"]:
        saving.refuse_for("a script", arguments)
        sealing.refuse_for("a script", arguments)
        return _from_script(_from_here(arguments["--python"], arguments))
    for option, form in _IMAGE_OPTIONS.items():
        if arguments[option]:
            return _from_image(arguments[option], form, arguments)
    if word is None:
        default = arguments["default"]
        path = default(arguments["--rundir"]) if default else _DEFAULT_IMAGE
        return _from_image(path, None, arguments)
    if not _names_image(word):
        saving.refuse_for("a TAP builder", arguments)
        sealing.refuse_for("a TAP builder", arguments)
        return _from_builder(word, arguments["ARGS"])
    if arguments["ARGS"]:
        raise UsageError(f"unexpected argument {arguments['ARGS'][0]!r} after the image {word}")
    return _from_image(word, None, arguments)


def _with_settings(source: Source, texts: list[str]) -> Source:
    """What is run, with what `--set` says laid over it."""
    if not texts:
        return source
    from tapkit.run import overlay

    settings = [overlay.parse(text) for text in texts]

    def load() -> tuple[Application, SavePolicy]:
        application, saving = source()
        overlay.lay(application, settings)
        return application, saving

    return load


def _restricted(source: Source, arguments: dict[str, Any]) -> Source:
    """What is run, loaded within the limits of `--restricted`."""
    if not arguments["--restricted"] and not arguments["--allow"]:
        return source
    from tapkit.scripts.restricting import restricted

    word = arguments["IMAGE"] or arguments["COMMAND"]
    is_image = not arguments["--python"] and (word is None or _names_image(word))
    return restricted(
        source, arguments, is_image, lambda line: complain(PROGRAM, f"warning: {line}")
    )


def _names_image(word: str) -> bool:
    """Whether a word names an image rather than a command: by its looks, not by what lies
    about in the directory, so that `twistd web` means the same wherever it is typed."""
    from tapkit.image import forms

    return os.sep in word or os.path.splitext(word)[1] in forms.extensions()


def _from_here(path: str, arguments: dict[str, Any]) -> str:
    """What to run is named from where the command is typed, not from --rundir."""
    return path if arguments["--rundir"] == "." else os.path.abspath(path)


def _from_image(path: str, form: str | None, arguments: dict[str, Any]) -> Source:
    path = _from_here(path, arguments)
    make_policy, load_image = saving.policy(arguments), sealing.loader(arguments)

    def load() -> tuple[Application, SavePolicy]:
        if not arguments["--resume"]:
            return load_image(path, form), make_policy(())
        newest, notes = saving.resumed(PROGRAM, path)
        return load_image(newest, form if newest == path else None), make_policy(notes)

    return load


def _from_script(path: str) -> Source:
    def load() -> tuple[Application, SavePolicy]:
        from tapkit import application
        from tapkit.run.saving.policy import SavePolicy

        return application.run_script(path), SavePolicy(None, "it comes from a script")

    return load


def _from_builder(name: str, argv: list[str]) -> Source:
    """Build at once: a mistyped option is told before a directory or a pidfile is touched."""
    from tapkit.scripts import builders

    found = builders.find(PROGRAM)
    built = builders.build(PROGRAM, found, name, argv)

    def load() -> tuple[Application, SavePolicy]:
        from tapkit import application
        from tapkit.run.saving.policy import SavePolicy

        made = application.new(name, built.service)
        return made, SavePolicy(None, "it comes from no image; mktap makes one")

    return load
