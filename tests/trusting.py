"""A machine of its own for tests of trust: its policy, trusted keys and state are in a folder."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from tapkit.image import files
from tapkit.image.seal import places, signing
from tapkit.image.seal.trusted import TrustedKey
from tests.place import Place

MODULE = """
from tapkit.image.seal import places
places.SYSTEM = {system!r}
places.SYSTEM_STATE = {state!r}
places.MACHINE_ID = {machine!r}
places._home = lambda: {home!r}
"""


class Machine:
    """What `places` says, for this process and those started in a place."""

    def __init__(self, root: Path):
        self.root = root
        for name in ("system/trust.d", "home/.config/tapkit/trust.d"):
            (root / name).mkdir(parents=True)
        self.system = root / "system"
        self.user_trust = root / "home/.config/tapkit/trust.d"
        self.machine_id = root / "machine-id"
        self.machine_id.write_text("0123456789abcdef0123456789abcdef\n")
        self._known = {
            "SYSTEM": str(self.system),
            "SYSTEM_STATE": str(root / "state"),
            "MACHINE_ID": str(self.machine_id),
        }

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        """This process is on the machine."""
        for name, value in self._known.items():
            patch.setattr(places, name, value)
        patch.setattr(places, "_home", lambda: str(self.root / "home"))

    def take_in(self, place: Place) -> None:
        """The commands of a place are, too."""
        place.add_module(
            "sitecustomize.py",
            MODULE.format(
                system=str(self.system),
                state=str(self.root / "state"),
                machine=str(self.machine_id),
                home=str(self.root / "home"),
            ),
        )

    def policy(self, text: str) -> Path:
        """The administrator's policy."""
        path = self.system / "policy.ini"
        path.write_text(f"[trust]\n{text}\n")
        path.chmod(0o644)
        return path

    def key(
        self,
        name: str = "release",
        *,
        trust: bool = True,
        applications: tuple[str, ...] = ("*",),
        expires: datetime.date | None = None,
        system: bool = False,
    ) -> str:
        """A new private key's path; its public one is trusted unless told otherwise."""
        path = str(self.root / name)
        about = TrustedKey(b"", f"the {name} key", applications, expires)
        signing.generate(path, about)
        if trust:
            folder = self.system / "trust.d" if system else self.user_trust
            files.write_atomic(
                str(folder / f"{name}.pub"), Path(f"{path}.pub").read_bytes(), mode=0o644
            )
        return path
