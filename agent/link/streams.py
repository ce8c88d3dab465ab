"""Runs a handler for each stream that the control plane opens. Owned by `link`.

A handler ends with its stream: when the control plane resets it, and when the connection is lost (the
control plane opens logs anew, with cursors).
"""

from __future__ import annotations

import asyncio

import structlog
from skerry.agent.v1 import link_pb2
from skerry.wire.errors import StreamReset
from skerry.wire.session import LinkStream

from agent.link.errors import StreamError
from agent.link.handlers import StreamHandler, StreamHandlers

log = structlog.get_logger(__name__)

_CANCELLED, _UNIMPLEMENTED, _INTERNAL = 1, 12, 13


class StreamRunner:
    """The handlers at work, by stream."""

    def __init__(self, handlers: StreamHandlers) -> None:
        self._handlers = handlers
        self._tasks: dict[LinkStream, asyncio.Task[None]] = {}

    def opened(self, stream: LinkStream, open_: link_pb2.Open) -> None:
        """Start the handler for what the stream is for."""
        kind = open_.WhichOneof("kind") or "unknown"
        handler = self._handlers.get(kind)
        if handler is None:
            stream.reset(
                _UNIMPLEMENTED, "INTERNAL", f"this agent cannot do {kind}; update the agent"
            )
            return
        task = asyncio.get_running_loop().create_task(
            self._run(handler, stream, open_, kind), name=f"stream-{stream.id}-{kind}"
        )
        self._tasks[stream] = task
        task.add_done_callback(lambda _: self._tasks.pop(stream, None))

    def ended(self, stream: LinkStream) -> None:
        """The stream is over; a handler that still works on it works for nobody."""
        task = self._tasks.get(stream)
        if task is not None and stream.error is not None:
            task.cancel()

    async def close(self) -> None:
        """End all handlers."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(
        self, handler: StreamHandler, stream: LinkStream, open_: link_pb2.Open, kind: str
    ) -> None:
        try:
            await handler(open_, stream)
        except asyncio.CancelledError:
            stream.reset(_CANCELLED, "CANCELLED", "the agent stopped working on this")
            raise
        except StreamError as error:
            stream.reset(error.code, error.reason, error.message)
        except StreamReset:
            pass  # the stream's own end, which the handler let through
        except Exception:
            log.exception("stream_handler_failed", kind=kind)
            stream.reset(
                _INTERNAL, "INTERNAL", f"the agent failed at {kind}; its log has the reason"
            )
        else:
            stream.finish()
        finally:
            stream.abandon()  # input that nobody took must not count as held
