"""Ends open streams when the server shuts down, with an error that says so. Begun by `app.py`, asked by the pipeline."""

import contextlib
from collections.abc import Iterator

from controlplane.api.interceptors.interrupts import Interrupt
from controlplane.domain.errors import Draining


class Drain:
    """Knows whether the server is shutting down, and interrupts the streams that wait for their next message then."""

    def __init__(self) -> None:
        self._begun = False
        self._open: set[Interrupt] = set()

    def begin(self) -> None:
        """Refuses new calls from now on and ends the open streams. A second time does nothing."""
        self._begun = True
        for interrupt in tuple(self._open):
            interrupt.fire(_draining())

    def check(self) -> None:
        """Raises Draining once the server is shutting down."""
        if self._begun:
            raise _draining()

    @contextlib.contextmanager
    def watching(self, interrupt: Interrupt) -> Iterator[None]:
        """Fires the interrupt when the shutdown begins inside the block."""
        self._open.add(interrupt)
        if self._begun:
            interrupt.fire(_draining())
        try:
            yield
        finally:
            self._open.discard(interrupt)


def _draining() -> Draining:
    return Draining("the server is shutting down; call again", retry_after=1.0)
