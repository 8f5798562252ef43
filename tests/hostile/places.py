"""Files that are no files, that others can change, or that somebody else has put there."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from tapkit.image import files
from tests.hostile.case import Case, bomb

STRANGER = 54321


def cases() -> Iterator[Case]:
    for name, make, said in (
        ("FIFO", fifo, "it is a FIFO"),
        ("socket", unix_socket, "it is a socket|No such device"),
        ("directory", lambda folder: folder, "it is a directory"),
        ("device", lambda folder: "/dev/zero", "it is a device"),
        ("link to a device", link_to("/dev/zero"), "it is a device"),
        ("link to nothing", link_to("nothing"), "no such file"),
        ("link to itself", link_to("link.tap"), "can't be read|symbolic"),
        ("world-writable", with_mode(0o602), "others may write to the image"),
        ("group-writable", with_mode(0o620), "others may write to the image"),
        ("link to world-writable", linked(with_mode(0o666)), "others may write to the image"),
        ("world-writable directory", in_directory(0o777), "everybody may write to the directory"),
        ("hard link in /tmp's like", hard_link, r"has 2 names \(hard links\)"),
        ("a sparse file of 128 GiB", sparse, "larger than"),
    ):
        yield Case(f"place: {name}", make, said)
    if os.geteuid() != 0:
        return
    for name, make, said in (
        ("a stranger's file", strangers, "belongs to another user"),
        ("a stranger's link", strangers_link, "another user's symbolic link"),
        ("under a world-writable directory", below(0o777), "everybody may write to the directory"),
    ):
        yield Case(f"place: root and {name}", make, said)


def written(folder: Path, name: str = "hostile.tap") -> Path:
    path = folder / name
    files.write_atomic(str(path), bomb())
    return path


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo.tap", 0o600)
    return folder / "fifo.tap"


def unix_socket(folder: Path) -> Path:
    made = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(folder)  # a socket's path may have some hundred characters and no more
    try:
        made.bind("s.tap")
    finally:
        os.chdir(here)
        made.close()
    return folder / "s.tap"


def link_to(target: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "link.tap").symlink_to(target)
        return folder / "link.tap"

    return make


def with_mode(mode: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = written(folder)
        path.chmod(mode)
        return path

    return make


def linked(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    def make_link(folder: Path) -> Path:
        (folder / "link.tap").symlink_to(make(folder))
        return folder / "link.tap"

    return make_link


def in_directory(mode: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        inner = folder / "open"
        inner.mkdir()
        path = written(inner)
        inner.chmod(mode)
        return path

    return make


def below(mode: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        inner = folder / "open"
        (inner / "closed").mkdir(parents=True)
        path = written(inner / "closed")
        inner.chmod(mode)
        return path

    return make


def hard_link(folder: Path) -> Path:
    path = written(folder)
    sticky = folder / "sticky"
    sticky.mkdir()
    os.link(path, sticky / "linked.tap")
    sticky.chmod(0o1777)
    return sticky / "linked.tap"


def sparse(folder: Path) -> Path:
    path = written(folder)
    with open(path, "r+b") as file:
        file.truncate(1 << 37)
    return path


def strangers(folder: Path) -> Path:
    path = written(folder)
    os.chown(path, STRANGER, STRANGER)
    return path


def strangers_link(folder: Path) -> Path:
    path = folder / "link.tap"
    path.symlink_to(written(folder))
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
    return path
