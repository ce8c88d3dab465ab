"""Waiting for something outside this process to become so, with a bound and a message that says what it was instead."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    what: str, probe: Callable[[], T | None], *, timeout: float = 60, interval: float = 0.1
) -> T:
    """The first truthy value of `probe`; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {timeout:g} s: {what}; last seen: {value!r}")
        time.sleep(interval)
