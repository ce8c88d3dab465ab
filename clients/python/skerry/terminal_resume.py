"""What a client of a kept terminal must remember to go on after a cut without losing or doubling a byte.

Used by `skerry.services.kept_terminals`. Output carries its offset; of the input, what the server has not said that it has is
kept, and is sent again.
"""

from __future__ import annotations


class TerminalPosition:
    """How far both directions are, in bytes from the terminal's beginning. Pure.

    `received` is the input that the server had before this client; None when it must say so first.
    """

    def __init__(self, *, received: int | None = None) -> None:
        self.output: int | None = None
        """Offset behind the last output; None before the first."""
        self._received = received
        self._unacknowledged = bytearray()

    @property
    def may_send(self) -> bool:
        """Whether it is known where this client's input begins."""
        return self._received is not None

    @property
    def pending(self) -> int:
        """Input that the server has not said that it has, in bytes."""
        return len(self._unacknowledged)

    def take(self, offset: int, data: bytes) -> tuple[bytes, int]:
        """What of a piece of output is new, and how many bytes before it are lost."""
        if self.output is None:
            self.output = offset
        ahead = offset - self.output
        fresh = data[max(0, -ahead) :]
        self.output = max(self.output, offset + len(data))
        return fresh, max(0, ahead)

    def sent(self, data: bytes) -> None:
        """This input was given to a call, whatever becomes of it."""
        self._unacknowledged += data

    def acknowledge(self, received: int) -> None:
        """The server has so much input."""
        if self._received is not None and received > self._received:
            del self._unacknowledged[: received - self._received]
        self._received = max(received, self._received or 0)

    def again(self) -> bytes:
        """The input to send again after a cut: all that the server has not."""
        return bytes(self._unacknowledged)
