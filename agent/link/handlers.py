"""What the link asks of the code that does the work: stream handlers and command handlers.

Implemented in `agent.handlers`, mounted by `agent.app`. A handler never sees grpc, credit or the
connection; it gets one stream, or one command.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias

from skerry.agent.v1 import command_pb2, link_pb2
from skerry.wire.data import StreamData


class Stream(Protocol):
    """One stream, both directions. Several tasks may send; one task may receive.

    `send`, `send_message` and `receive` raise `skerry.wire.errors.StreamReset` when the stream or the
    connection under it has ended; a handler need not catch it, the link also cancels the handler.
    """

    @property
    def error(self) -> Exception | None:
        """Why it ended, if it did not end well: `LinkLost` when the connection under it was cut."""
        ...

    @property
    def max_message_bytes(self) -> int:
        """The largest payload that `send_message` takes, in bytes."""
        ...

    async def send(
        self, payload: bytes, channel: link_pb2.Channel.ValueType = link_pb2.CHANNEL_UNSPECIFIED
    ) -> None:
        """Queue bytes, cut into frames as needed; waits for credit. Nothing is sent for no bytes."""
        ...

    async def send_message(
        self, payload: bytes, channel: link_pb2.Channel.ValueType = link_pb2.CHANNEL_UNSPECIFIED
    ) -> None:
        """Queue one frame that arrives in one piece; waits for credit.

        Raises `MessageTooLarge` above `max_message_bytes`, and `ValueError` for no bytes.
        """
        ...

    async def receive(self) -> StreamData | None:
        """The next piece, or None after the peer's last one. Taking it lets the peer send more."""
        ...

    def finish(self) -> None:
        """Nothing follows in this direction. The link does it when the handler returns."""
        ...

    def reset(self, code: int, reason: str, message: str) -> None:
        """End both directions at once. What was queued and not yet written is dropped."""
        ...


StreamHandler: TypeAlias = Callable[[link_pb2.Open, Stream], Awaitable[None]]
"""Runs for one stream. Returning finishes the stream, `StreamError` resets it with that status, any
other error resets it with INTERNAL and is logged. Cancelled when the peer resets the stream or the
connection is lost. Mounted under the name of the kind in `Open`: "logs", "exec", "plan"."""

Progress: TypeAlias = Callable[[str, command_pb2.DeployProgress | None], None]
"""Say how far a command is: a message for people, and the deploy's state for a deploy. Does not wait;
a newer one replaces an older one that was not sent yet."""

CommandHandler: TypeAlias = Callable[
    [command_pb2.Command, Progress], Awaitable[command_pb2.CommandResult]
]
"""Makes something so and says how it went; `seq` and `command_id` of the result are filled in by the
link. Must be declarative: after a crash it is called again with the same command. Goes on while the
link is down. Cancelled when the control plane asks, when a newer command supersedes it (both are
recorded by the link), and when the agent stops (then it runs again at the next start). Mounted under
the name of the kind in `Command`: "deploy_app", "ensure_environment", …"""

StreamHandlers: TypeAlias = Mapping[str, StreamHandler]
CommandHandlers: TypeAlias = Mapping[str, CommandHandler]
