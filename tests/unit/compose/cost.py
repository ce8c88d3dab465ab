"""What a conversion costs, counted in calls, which are the same on every machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


class TooMuchError(AssertionError):
    """More calls than were allowed; raised inside what is measured, so that a test ends early."""


def calls(run: Callable[[], object], most: int) -> int:
    """How many functions were called, Python's and C's. Raises TooMuchError beyond `most`."""
    count = 0

    def seen(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1
            if count > most:
                raise TooMuchError(f"more than {most:,} calls")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count
