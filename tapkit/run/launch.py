"""From a command to a running daemon: lock, load, fork, log, run - and the truth to the caller."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tapkit.application import Application
from tapkit.errors import EXIT_FAILED, EXIT_OK, DaemonError, TapkitError, describe
from tapkit.net import inherited
from tapkit.records import Record
from tapkit.run import logs, runner
from tapkit.run.control import sockets as control_sockets
from tapkit.run.control.server import control_socket
from tapkit.run.instruments import Instruments
from tapkit.run.process import daemonize, descriptors, titles
from tapkit.run.process.confine import Confinement
from tapkit.run.process.pidfile import PidFile
from tapkit.run.process.privileges import Identity
from tapkit.run.reload.handover import Handover
from tapkit.run.reload.origin import Origin
from tapkit.run.saving.policy import SavePolicy
from tapkit.run.stopping import StopRules

if TYPE_CHECKING:
    from tapkit.run.reload.succession import Successor

log = logging.getLogger("tapkit.launch")

# State and logs may hold secrets: nobody else reads what a daemon writes. Nor its pidfile, for
# whoever may open that could hold the lock on it, and keep the daemon from starting.
_UMASK = 0o077


Load = Callable[[], tuple[Application, SavePolicy]]


class Settings(Record):
    """How to run, whatever is run. Paths are relative to `rundir`."""

    daemon: bool
    rundir: str
    pidfile: str
    logfile: str | None
    syslog_prefix: str | None
    level: int
    reactor: str
    start_timeout: float | None
    umask: int | None = None
    chroot: str | None = None
    identity: Identity = Identity()
    title: bool = True
    instruments: Instruments = Instruments()
    origin: Origin | None = None
    workers: int = 1
    stop: StopRules = StopRules()
    log_style: logs.Style = logs.Style()


def launch(
    settings: Settings,
    load: Load,
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
    enter(settings.rundir)
    if settings.daemon or settings.umask is not None:
        os.umask(_UMASK if settings.umask is None else settings.umask)
    pidfile = PidFile(settings.pidfile)
    if settings.origin is not None and settings.origin.successor is not None:
        return _succeed(settings, load, pidfile, settings.origin.successor)
    stale = pidfile.acquire()
    if stale is not None:
        warn(f"replaced a stale pidfile: {settings.pidfile}: it said {stale!r}, nobody held it")
    try:
        application, saving = load()
        confinement_of(settings, application).check()
        if not settings.daemon:
            return _serve(settings, application, saving, pidfile, lambda: None)
        sockets = descriptors.announced()
        role = daemonize.detach()
    except BaseException:
        pidfile.remove()
        raise
    if isinstance(role, daemonize.Waiting):
        return _await(role, settings, pidfile)
    descriptors.close(keep=sockets)
    return _serve_in_background(settings, application, saving, pidfile, role)


def _succeed(
    settings: Settings, load: Load, pidfile: PidFile, successor: Successor
) -> daemonize.Verdict:
    """Take over from a process that is a daemon already: there is nothing to fork from, and the
    lock on the pidfile came along. That process hears what the command would have."""
    pidfile.borrow(successor.lock_fd)
    try:
        application, saving = successor.load(load)
        confinement_of(settings, application).check()
        if settings.daemon:
            return _serve_in_background(settings, application, saving, pidfile, successor)
        return _serve(settings, application, saving, pidfile, successor.ready)
    except BaseException as error:
        successor.failed(EXIT_FAILED, describe(error))
        raise
    finally:
        pidfile.remove()


def confinement_of(settings: Settings, application: Application) -> Confinement:
    """What the process will give up: what the command line says, else the image."""
    identity = settings.identity.over(application.uid, application.gid)
    return Confinement(settings.chroot, identity)


def enter(rundir: str) -> None:
    """Change to the directory everything is relative to.

    Raises:
        DaemonError: that is not possible.
    """
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
        control_sockets.discard(pidfile.path)
        pidfile.remove()
        raise
    if verdict.status == EXIT_OK:
        pidfile.leave()
    else:
        control_sockets.discard(pidfile.path)
        pidfile.remove()  # the daemon did, if it could
    return verdict


def _serve_in_background(
    settings: Settings,
    application: Application,
    saving: SavePolicy,
    pidfile: PidFile,
    report: daemonize.Report | Successor,
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
    confinement = confinement_of(settings, application)
    handover = None
    try:
        _open_log(settings, application)
        pidfile.write()
        teller = getattr(ready, "__self__", None)
        ready, handover = _follow(settings, application, pidfile, ready)
        if settings.title:
            ready = functools.partial(_named, str(application.name), ready)
        with control_socket(pidfile, confinement.identity.uid) as control:
            settings.instruments.run(
                lambda: _runner(settings, pidfile, teller)(
                    application,
                    settings.reactor,
                    saving,
                    ready,
                    control,
                    lambda: confinement.apply(application, saving, pidfile),
                    handover,
                    start_timeout=None if settings.daemon else settings.start_timeout,
                    rules=settings.stop._replace(leave=pidfile.remove),
                )
            )
    except TapkitError as error:
        if handover is None or not handover.left_to:
            raise
        log.error("%s", error)  # of the process that was replaced; the service goes on
    finally:
        pidfile.remove()
    if handover is not None and handover.left_to:
        from tapkit.run.reload.standing_in import stand_in

        return daemonize.Verdict(stand_in(handover.left_to, pidfile.path), "")
    return daemonize.Verdict(EXIT_OK, "")


def _runner(settings: Settings, pidfile: PidFile, teller: object) -> Callable[..., None]:
    """What runs the application: in this process, or in workers."""
    if settings.workers == 1:
        return runner.run
    from tapkit.run.workers import master as workers

    private = workers.private_descriptors(pidfile, teller, *inherited.noted("control"))
    return functools.partial(workers.run, settings.workers, private)


def _follow(
    settings: Settings, application: Application, pidfile: PidFile, ready: Callable[[], None]
) -> tuple[Callable[[], None], Handover | None]:
    """What is to be done when it is ready, and how it is succeeded."""
    origin = settings.origin
    if origin is None:
        return ready, None
    stays = not (settings.daemon or origin.notifier.listens or origin.successor)
    obstacle = "it runs in a chroot, and the program is outside" if settings.chroot else None
    handover = Handover(
        origin.line, pidfile, origin.notifier, settings.start_timeout, stays, obstacle
    )
    return origin.follow(application, pidfile, ready, handover), handover


def _named(name: str, ready: Callable[[], None]) -> None:
    """Not sooner: the first client does not wait for what a title takes to import."""
    titles.show(name)
    ready()


def _open_log(settings: Settings, application: Application) -> None:
    log_fd = None
    if settings.syslog_prefix is not None:
        prefix = settings.syslog_prefix or str(application.name)
        logs.to_syslog(prefix, settings.level, settings.log_style)
    elif settings.logfile is not None:
        movable = settings.chroot is None
        log_fd = logs.to_file(settings.logfile, settings.level, settings.log_style, movable)
        confinement_of(settings, application).give(settings.logfile, log_fd)
    else:
        logs.to_stdout(settings.level, settings.log_style)
    if settings.daemon:
        daemonize.redirect_streams(log_fd)
    python = ".".join(map(str, sys.version_info[:3]))
    log.info("starting %s, PID %d, Python %s", application.name, os.getpid(), python)
