"""twistd: run an Application as a daemon, from an image, a script or a TAP builder."""

from __future__ import annotations

import functools
import os

from tapkit import usage
from tapkit.errors import EXIT_OK, UsageError
from tapkit.scripts import builders
from tapkit.scripts.console import command, complain

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tapkit.application import Application
    from tapkit.run.launch import Settings
    from tapkit.run.snapshot import SavePolicy

    Source = Callable[[], tuple[Application, SavePolicy]]

PROGRAM = "twistd"
_DEFAULT_IMAGE = "twistd.tap"
_IMAGE_OPTIONS = {"--file": None, "--xml": "xml", "--source": "source"}


def main(argv: list[str], doc: str) -> int:
    """Run twistd; `doc` is its usage text, which docopt reads."""
    more = functools.partial(builders.listing, PROGRAM)
    return command(PROGRAM, argv, doc, _run, more_help=more)


def _run(arguments: dict[str, Any]) -> int:
    if arguments["--help-reactors"]:
        print(_reactors(), end="")
        return EXIT_OK
    try:
        source = _source(arguments)
    except usage.HelpRequested as asked:
        print(asked.text, end="")
        return EXIT_OK
    return _launch(_settings(arguments), source)


def _launch(settings: Settings, source: Source) -> int:
    from tapkit.run.launch import launch

    verdict = launch(settings, source, lambda line: complain(PROGRAM, f"warning: {line}"))
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

    daemon = not arguments["--nodaemon"]
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
        reactor=reactors.check(arguments["--reactor"]),
        start_timeout=_seconds(arguments["--start-timeout"]),
    )


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
        return _from_script(_from_here(arguments["--python"], arguments))
    for option, form in _IMAGE_OPTIONS.items():
        if arguments[option]:
            return _from_image(arguments[option], form, arguments)
    if word is None:
        return _from_image(_DEFAULT_IMAGE, None, arguments)
    if not _names_image(word):
        return _from_builder(word, arguments["ARGS"])
    if arguments["ARGS"]:
        raise UsageError(f"unexpected argument {arguments['ARGS'][0]!r} after the image {word}")
    return _from_image(word, None, arguments)


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

    def load() -> tuple[Application, SavePolicy]:
        from tapkit import application
        from tapkit.run.snapshot import SavePolicy

        saving = SavePolicy(None, "--no_save") if arguments["--no_save"] else SavePolicy(".")
        return application.load(path, form), saving

    return load


def _from_script(path: str) -> Source:
    def load() -> tuple[Application, SavePolicy]:
        from tapkit import application
        from tapkit.run.snapshot import SavePolicy

        return application.run_script(path), SavePolicy(None, "it comes from a script")

    return load


def _from_builder(name: str, argv: list[str]) -> Source:
    """Build at once: a mistyped option is told before a directory or a pidfile is touched."""
    found = builders.find(PROGRAM)
    built = builders.build(PROGRAM, found, name, argv)

    def load() -> tuple[Application, SavePolicy]:
        from tapkit import application
        from tapkit.run.snapshot import SavePolicy

        made = application.new(name, built.service)
        return made, SavePolicy(None, "it comes from no image; mktap makes one")

    return load
