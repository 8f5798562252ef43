"""Into a chroot and out of root's privileges, once the ports are bound; and what follows of it.

Every path of the command line is an outside name, as the caller sees it. The files that are open
by then - the log, the pidfile - stay open. A path that is inside the new root is renamed to what
it is called there; one that is not can't be reached any more:

- the state is saved in the working directory: --rundir where that is inside, else the new root;
- a pidfile outside is emptied at the end, not removed: nobody's stale number is left in it;
- the log is written to the end, but not opened anew when it is rotated away.

No directory outside is kept open for these: a descriptor of one is a way out of the chroot.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat

from tapkit.application import Application
from tapkit.errors import DaemonError
from tapkit.image import files
from tapkit.run.process import privileges
from tapkit.run.process.pidfile import PidFile
from tapkit.run.process.privileges import Identity
from tapkit.run.saving.policy import SavePolicy

log = logging.getLogger("tapkit.confine")


class Confinement:
    """What the process gives up.

    Parameters:
        chroot: the directory that becomes the root, or None.
        identity: whom to become.
    """

    def __init__(self, chroot: str | None, identity: Identity):
        self.chroot = chroot and os.path.realpath(chroot)
        self.identity = identity

    def check(self) -> None:
        """Find out early, while nothing is started, whether `apply` can work.

        Raises:
            DaemonError: there is no such directory or user, or the process may not.
        """
        privileges.check(self.identity.uid, self.identity.gid)
        if self.chroot is None:
            return
        if not os.path.isdir(self.chroot):
            raise DaemonError("no directory to chroot to", self.chroot, "make it, empty if you can")
        if os.geteuid() != 0:
            raise DaemonError("can't chroot: only root may", self.chroot, "start it as root")

    def give(self, path: str, fd: int) -> None:
        """Give a file that was just made to whom we will become, for it may open it anew.

        Only one that is new and really is what `path` names: in a directory that is another
        user's, a link laid there would make root give away whatever it leads to.
        """
        uid = self.identity.uid
        if uid is None or os.geteuid() != 0:
            return
        opened, named = os.fstat(fd), os.lstat(path)
        plain = stat.S_ISREG(opened.st_mode) and (opened.st_size, opened.st_nlink) == (0, 1)
        if plain and os.path.samestat(opened, named):
            os.fchown(fd, uid, self._group(uid))

    def apply(self, application: Application, saving: SavePolicy, pidfile: PidFile) -> None:
        """Change the root, then shed the privileges.

        Raises:
            DaemonError: one of them is not possible; the process must not go on.
        """
        if self.chroot is not None:
            _enter(self.chroot, application, saving, pidfile)
        elif self._loses_imports():
            from tapkit.run.process import preload

            preload.all_that_may_be_needed()
            preload.explain_late_imports(f"by uid {self.identity.uid}")
        who = self.identity
        privileges.shed(who.uid, who.gid, who.effective_only)

    def as_it_will_be(self) -> contextlib.AbstractContextManager[None]:
        """Be whom we will become for a moment, where that is another than now."""
        uid = self.identity.uid
        if not uid or os.geteuid() != 0:
            return contextlib.nullcontext()
        return privileges.borrowed(uid, self._group(uid))

    def _group(self, uid: int) -> int:
        """The group that goes with a user."""
        group = privileges.own_group(uid) if self.identity.gid is None else self.identity.gid
        return uid if group is None else group

    def _loses_imports(self) -> bool:
        """Whether we become a user who may not read what we import from: a Python in /root."""
        uid = self.identity.uid
        if not uid or os.geteuid() != 0:
            return False
        from tapkit.run.process import preload

        return not preload.within_reach(uid, self._group(uid))


def _enter(root: str, application: Application, saving: SavePolicy, pidfile: PidFile) -> None:
    from tapkit.run.process import preload  # most daemons stay where they are

    preload.all_that_may_be_needed()
    inside = _renamed(root, os.getcwd()) or "/"
    lock = _renamed(root, pidfile.path) or ""
    source = application.loaded_from and _renamed(root, application.loaded_from)
    if not source:
        application.replaced = _content(application.loaded_from)
    folder = saving.folder and state_folder(root, saving.folder)
    state = folder and _renamed(root, folder)
    try:
        os.chroot(root)
        os.chdir(inside)
    except OSError as error:
        raise DaemonError(f"can't chroot ({error.strerror})", root) from error
    preload.explain_late_imports(f"inside the chroot {root}")
    application.loaded_from = source or application.loaded_from
    saving.folder, saving.shown = state, folder
    pidfile.path = lock
    log.info(
        "the root directory is %s now, the working directory in it %s; this log can't be opened "
        "anew: rotate it with copytruncate",
        root,
        inside,
    )


def state_folder(root: str | None, folder: str) -> str:
    """Where, seen from outside, the state is saved that would be saved in `folder`."""
    return folder if root is None or _renamed(root, folder) else root


def _content(path: str | None) -> bytes | None:
    """What a text image holds, whose comments go into the next; nothing of that size is text."""
    if path is None or not os.path.exists(path) or os.path.getsize(path) > files.MAP_ABOVE:
        return None
    return files.contents(path)


def _renamed(root: str, path: str) -> str | None:
    """What an outside path is called under a root; None if it is not under it."""
    path = os.path.realpath(path)
    if os.path.commonpath([root, path]) != root:
        return None
    return "/" + os.path.relpath(path, root) if path != root else "/"
