"""tests/loops.py itself."""

from __future__ import annotations

import asyncio

import pytest

from tests.loops import NEW_LOOP, run_with
from tests.loops import run as run


def test_the_helper_finds_what_is_left_behind() -> None:
    """These tests themselves: a task left behind fails them."""

    async def leave() -> None:
        leave.task = asyncio.ensure_future(asyncio.sleep(100))  # type: ignore[attr-defined]

    with pytest.raises(AssertionError, match="tasks left behind"):
        run_with(NEW_LOOP["asyncio"], leave())
