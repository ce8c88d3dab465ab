"""The wire's error tree. The agent and the control plane translate it once, at their border."""

from __future__ import annotations


class WireError(Exception):
    """Anything that goes wrong on the link."""


class StreamReset(WireError):
    """The stream was ended at once, by the peer or by a limit of this end.

    `code` is a canonical gRPC code, `reason` the name of an `ErrorReason` without its prefix.
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message

    def again(self) -> StreamReset:
        """The same error for another caller: an exception raised twice would pile up tracebacks."""
        return type(self)(self.code, self.reason, self.message)


class LinkLost(StreamReset):
    """The connection under the stream is gone; the work may be begun anew on another one."""

    def __init__(
        self, code: int = 14, reason: str = "LINK_LOST", message: str = "the link was lost"
    ) -> None:
        super().__init__(code, reason, message)


class StreamFinished(WireError):
    """Something was sent after `finish()`: a mistake of the caller."""


class MessageTooLarge(WireError):
    """A message does not fit into a frame and may not be cut."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"a message of {size} bytes does not fit into a frame of {limit} bytes; send less at a "
            "time, or send it as bytes that may be cut"
        )


class ProtocolError(WireError):
    """The peer broke the protocol; the connection cannot go on."""


class PeerSilentError(WireError):
    """The peer was not heard for too long: frozen, or cut off without a word."""


class TransportError(WireError):
    """The transport under the connection failed. `code` is the name of a gRPC status code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message


class ConnectionRefused(WireError):
    """A stream cannot be opened: the connection is closed, is going away, or see `TooManyStreams`."""


class TooManyStreams(ConnectionRefused):
    """The connection holds as many streams as it may, or opened as many lately."""
