"""Last stage: how large a request may be. Wired by `app.py`."""

from google.protobuf.message import Message

from controlplane.domain.errors import RequestTooLarge


class SizeLimit:
    """Refuses requests above `max_bytes`, with a reason.

    gRPC's own limit lies above it (`transport_bytes`): that one cuts the call off without a word that a program could read, and is
    there for what no honest client sends.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    @property
    def transport_bytes(self) -> int:
        """For `grpc.max_receive_message_length`."""
        return 4 * self._max_bytes

    def __call__(self, request: Message) -> None:
        """Raises RequestTooLarge."""
        size = request.ByteSize()
        if size > self._max_bytes:
            raise RequestTooLarge(
                f"the request is {size} bytes, this server takes {self._max_bytes}: send fewer or smaller files",
                metadata={"size": str(size), "limit": str(self._max_bytes)},
            )
