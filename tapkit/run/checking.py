"""`--check`: all of a start that needs no start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tapkit import application as applications
from tapkit.application import Application
from tapkit.run import launch
from tapkit.run.launch import Settings
from tapkit.run.process.confine import Confinement, state_folder
from tapkit.run.saving.policy import SavePolicy


def check(settings: Settings, load: Callable[[], tuple[Application, SavePolicy]]) -> str:
    """Load what would be run and save it to nowhere; bind, start and write nothing.

    Returns:
        What was checked, in one line.

    Raises:
        TapkitError: what would keep it from starting, as far as this can tell.
    """
    launch.enter(settings.rundir)
    application, saving = load()
    confinement = launch.confinement_of(settings, application)
    confinement.check()
    services = sum(1 for _ in _services(application))
    count = "1 service" if services == 1 else f"{services} services"
    saved = _dry_save(application, saving, confinement)
    return f"{application.name}: {count}; {saved}; nothing was started"


def _services(collection: Any) -> Iterator[Any]:
    for service in getattr(collection, "services", ()):
        yield service
        yield from _services(service)


def _dry_save(application: Application, saving: SavePolicy, confinement: Confinement) -> str:
    if saving.folder is None:
        return saving.describe(application)
    size = len(applications.dumps(application))
    saving.folder = saving.shown = state_folder(confinement.chroot, saving.folder)
    with confinement.as_it_will_be():
        saving.check_folder()
    return f"its state can be saved ({application.form}, {size} bytes)"
