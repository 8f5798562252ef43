"""twistd --restricted: an image is tried in a child, and loads no more than is permitted."""

from __future__ import annotations

from tapkit.errors import UsageError

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tapkit.application import Application
    from tapkit.image.forms import Form
    from tapkit.image.loading import Loader
    from tapkit.image.permitted import Permitted
    from tapkit.image.rows import Loaded
    from tapkit.run.saving.policy import SavePolicy

    Source = Callable[[], tuple[Application, SavePolicy]]


def restricted(
    source: Source, arguments: dict[str, Any], is_image: bool, warn: Callable[[str], None]
) -> Source:
    """What is to be run, loaded as `--restricted` and `--allow` say.

    Parameters:
        is_image: whether it is an image; a script or a TAP builder can't be restricted.
        warn: told what does not hold here.

    Raises:
        UsageError: the options make no sense together, or `--allow` names what may not be.
    """
    if not arguments["--restricted"]:
        if arguments["--allow"]:
            raise UsageError("it needs --restricted", "--allow", "add --restricted")
        return source
    if not is_image:
        raise UsageError("only an image can be loaded so", "--restricted", "name an image")
    from tapkit.image import loading
    from tapkit.image.permitted import Permitted

    loader = _loader(Permitted(arguments["--allow"]), warn)

    def load() -> tuple[Application, SavePolicy]:
        with loading.by(loader):
            return source()

    return load


def _loader(permitted: Permitted, warn: Callable[[str], None]) -> Loader:
    from tapkit.image import restricted
    from tapkit.run import trial

    def load(row: Form, data: Any, where: str) -> Loaded:
        tried = trial.attempt(
            lambda: restricted.load(row, data, where, permitted),
            trial.limits_for(restricted.weight(data, where)),
            where,
        )
        if not tried.namespace:
            warn(
                "no network namespace is permitted here: the trial of the image was kept from"
                " the network by an audit hook alone"
            )
        return restricted.load(row, data, where, permitted)

    return load
