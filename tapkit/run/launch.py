"""From a command to a running daemon: lock, load, fork, log, run - and the truth to the caller."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import NamedTuple

from tapkit.application import Application
from tapkit.errors import EXIT_FAILED, EXIT_OK, DaemonError, TapkitError, describe
from tapkit.run import daemonize, logs, runner
from tapkit.run.pidfile import PidFile
from tapkit.run.snapshot import SavePolicy

log = logging.getLogger("tapkit.launch")

# State and logs may hold secrets: nobody else reads what a daemon writes.
_UMASK = 0o077


class Settings(NamedTuple):
    """How to run, whatever is run. Paths are relative to `rundir`."""

    daemon: bool
    rundir: str
    pidfile: str
    logfile: str | None
    syslog_prefix: str | None
    level: int
    reactor: str
    start_timeout: float | None


def launch(
    settings: Settings,
    load: Callable[[], tuple[Application, SavePolicy]],
    warn: Callable[[str], None],
) -> daemonize.Verdict:
    """Run what `load` returns, in the background unless told otherwise.

    Parameters:
        load: called once the pidfile is locked, so that of two starts one loads nothing.
        warn: told what the user should know of a start that goes on.

    Returns:
        In the command: how the start went. In the process that served: how its life went.

    Raises:
        TapkitError: it could not start; nothing is left behind.
    """
    _enter(settings.rundir)
    pidfile = PidFile(settings.pidfile)
    stale = pidfile.acquire()
    if stale is not None:
        warn(f"replaced a stale pidfile: {settings.pidfile}: it said {stale!r}, nobody held it")
    try:
        application, saving = load()
        if not settings.daemon:
            return _serve(settings, application, saving, pidfile, lambda: None)
        role = daemonize.detach()
    except BaseException:
        pidfile.remove()
        raise
    if isinstance(role, daemonize.Waiting):
        return _await(role, settings, pidfile)
    return _serve_in_background(settings, application, saving, pidfile, role)


def _enter(rundir: str) -> None:
    try:
        os.chdir(rundir)
    except OSError as error:
        raise DaemonError(
            f"can't change to the directory ({error.strerror})",
            rundir,
            "name another with --rundir",
        ) from error


def _await(waiting: daemonize.Waiting, settings: Settings, pidfile: PidFile) -> daemonize.Verdict:
    try:
        verdict = waiting.wait(settings.start_timeout)
    except BaseException:
        pidfile.remove()
        raise
    if verdict.status == EXIT_OK:
        pidfile.leave()
    else:
        pidfile.remove()  # the daemon did, if it could
    return verdict


def _serve_in_background(
    settings: Settings,
    application: Application,
    saving: SavePolicy,
    pidfile: PidFile,
    report: daemonize.Report,
) -> daemonize.Verdict:
    """The daemon's whole life. Its verdict goes to the command that waits, and to the log."""
    try:
        verdict = _serve(settings, application, saving, pidfile, report.ready)
    except BaseException as error:
        ours = error if isinstance(error, TapkitError) else None
        status = ours.exit_status if ours else EXIT_FAILED
        if log.hasHandlers():  # else it is the log itself that can't be opened
            log.critical("%s", describe(error), exc_info=None if ours else error)
        report.failed(status, describe(error))
        return daemonize.Verdict(status, "")
    return verdict


def _serve(
    settings: Settings,
    application: Application,
    saving: SavePolicy,
    pidfile: PidFile,
    ready: Callable[[], None],
) -> daemonize.Verdict:
    try:
        _open_log(settings, application)
        pidfile.write()
        runner.run(application, settings.reactor, saving, ready)
    finally:
        pidfile.remove()
    return daemonize.Verdict(EXIT_OK, "")


def _open_log(settings: Settings, application: Application) -> None:
    log_fd = None
    if settings.daemon:
        os.umask(_UMASK)
    if settings.syslog_prefix is not None:
        logs.to_syslog(settings.syslog_prefix or str(application.name), settings.level)
    elif settings.logfile is not None:
        log_fd = logs.to_file(settings.logfile, settings.level)
    else:
        logs.to_stdout(settings.level)
    if settings.daemon:
        daemonize.redirect_streams(log_fd)
    python = ".".join(map(str, sys.version_info[:3]))
    log.info("starting %s, PID %d, Python %s", application.name, os.getpid(), python)
