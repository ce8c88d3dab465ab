"""How long to wait before trying again: used by repeated calls and by watches that reconnect."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter, so that clients cut off together do not come back together."""

    first: float = 0.1
    """Upper bound of the first wait, in seconds."""
    most: float = 5.0
    """Upper bound of every wait, in seconds."""
    random: Callable[[], float] = random.random

    def delay(self, failures: int) -> float:
        """Seconds to wait after this many failures in a row, from 1."""
        ceiling: float = min(self.most, self.first * 2 ** min(failures - 1, 30))
        return ceiling * self.random()
