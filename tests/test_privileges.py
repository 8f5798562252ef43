"""Users, groups, and shedding privileges in a real process."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys

import pytest

from tapkit.errors import DaemonError, UsageError
from tapkit.run.process import privileges
from tests.place import ROOT

ME = pwd.getpwuid(os.getuid())


def test_users_and_groups_by_number_or_name() -> None:
    """A number stands for itself, known or not; a name for its entry."""
    assert privileges.user_id("12345") == 12345
    assert privileges.user_id(ME.pw_name) == ME.pw_uid
    assert privileges.group_id("0") == 0
    assert privileges.group_id(grp.getgrgid(ME.pw_gid).gr_name) == ME.pw_gid


def test_an_unknown_name_gets_a_suggestion() -> None:
    """The message names the option and the nearest name there is."""
    with pytest.raises(UsageError, match=r"no such user: nobdy; did you mean nobody\?: --uid"):
        privileges.user_id("nobdy")
    with pytest.raises(UsageError, match=r"no such group: nogrp.*: --gid"):
        privileges.group_id("nogrp")


def test_being_it_already_is_no_change() -> None:
    """An image made for this user needs no privilege."""
    privileges.shed(None, None)
    if os.getuid() != 0:
        privileges.shed(os.getuid(), os.getgid())


def test_an_image_edited_by_hand() -> None:
    """What is no number is named by its path, before anything is given up."""
    with pytest.raises(DaemonError, match=r"'nobody' is no number: application\.uid"):
        privileges.shed("nobody", None)


SHED = """
import os
from tapkit.errors import DaemonError
from tapkit.run.process import privileges
privileges.shed({uid}, {gid})
print(os.getresuid(), os.getresgid(), sorted(os.getgroups()))
try:
    os.setuid(0)
except PermissionError:
    print("for good")
try:
    privileges.shed(1, 1)
except DaemonError as error:
    print(error)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can shed privileges")
@pytest.mark.parametrize(
    ("uid", "gid", "groups"),
    [(65534, 12, [12]), (54321, None, [54321]), (65534, None, [65534])],
)
def test_shedding_is_complete_and_for_good(uid: int, gid: int | None, groups: list[int]) -> None:
    """All three uids, all three gids and every group go; root does not come back."""
    done = subprocess.run(
        [sys.executable, "-c", SHED.format(uid=uid, gid=gid)],
        env={"PYTHONPATH": str(ROOT)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    ids, second, third = done.stdout.splitlines()
    assert ids == f"{(uid,) * 3} {(groups[0],) * 3} {groups}"
    assert second == "for good"
    assert third.startswith("can't become uid 1, gid 1: only root may")


@pytest.mark.skipif(os.getuid() == 0, reason="root may become anyone")
def test_only_root_can_become_another() -> None:
    """Refused in words, with what to do."""
    with pytest.raises(DaemonError, match="only root may: start it as root"):
        privileges.shed(os.getuid() + 1, None)
