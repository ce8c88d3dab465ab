"""One answer to one question: everything that an agent says on a stream, until it finishes. Used by `registry`.

A caller that goes away takes its question back: the agent is told, and stops.
"""

import asyncio
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from skerry.wire.errors import StreamReset
from skerry.wire.session import LinkStream

from controlplane.domain.errors import DeadlineExceeded, Internal, RequestTooLarge, StatusCode
from controlplane.link.streams import domain_error

MAX_BYTES = 64 * 1024 * 1024

MessageT = TypeVar("MessageT", bound=Message)


class Answer:
    """To be read once. `what` names it in errors; `seconds` is how long the agent has."""

    def __init__(self, stream: LinkStream, what: str, seconds: float) -> None:
        self._stream = stream
        self._what = what
        self._seconds = seconds

    async def message(self, kind: type[MessageT]) -> MessageT:
        """The answer as a message.

        Raises DeadlineExceeded, RequestTooLarge, Internal (it cannot be read), AgentOffline when the link was cut, another
        SkerryError when the agent refused with a status.
        """
        payload = await self._read()
        try:
            return kind.FromString(payload)
        except DecodeError as error:
            raise self._unreadable() from error

    async def text(self) -> str:
        """The answer as UTF-8 text. Raises as `message`."""
        payload = await self._read()
        try:
            return payload.decode()
        except UnicodeDecodeError as error:
            raise self._unreadable() from error

    async def _read(self) -> bytes:
        ended = False
        try:
            async with asyncio.timeout(self._seconds):
                payload = await self._all()
            ended = True
            return payload
        except StreamReset as error:
            raise domain_error(error) from error
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"the agent did not finish the {self._what} within {self._seconds:.0f} s; try again"
            ) from error
        finally:
            if ended:
                self._stream.finish()
            else:
                self._stream.reset(StatusCode.CANCELLED, "CANCELLED", "the caller has gone")

    async def _all(self) -> bytes:
        parts, size = [], 0
        while (data := await self._stream.receive()) is not None:
            size += len(data.payload)
            if size > MAX_BYTES:
                raise RequestTooLarge(f"the {self._what} is larger than {MAX_BYTES} bytes")
            parts.append(data.payload)
        return b"".join(parts)

    def _unreadable(self) -> Internal:
        return Internal(f"the agent's {self._what} cannot be read")
