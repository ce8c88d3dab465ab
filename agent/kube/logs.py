"""A container's log as raw chunks, as fast as the kubelet sends it.

Lines are not looked at here: splitting and decoding them one by one costs more than moving them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from agent.kube.connection import Connection

READ_TIMEOUT = 300.0
"""Seconds without a line after which a connection is made anew; a reader goes on at its cursor."""


async def read_log(
    connection: Connection,
    namespace: str,
    pod: str,
    container: str,
    *,
    follow: bool = False,
    since_time: datetime | None = None,
    tail_lines: int | None = None,
    previous: bool = False,
    timestamps: bool = True,
) -> AsyncGenerator[bytes, None]:
    """Chunks of the log, cut anywhere. With `follow` ends when the container's run ends (or the
    runtime rotates the file, or the connection is cut).

    `since_time` is taken in whole seconds by the API server. Raises NotFoundError (no such pod),
    InvalidError (the container has not started: `reason` is BadRequest), UnreachableError.
    """
    query = [("container", container), ("timestamps", str(timestamps).lower())]
    if follow:
        query.append(("follow", "true"))
    if since_time is not None:
        query.append(("sinceTime", since_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")))
    if tail_lines is not None:
        query.append(("tailLines", str(tail_lines)))
    if previous:
        query.append(("previous", "true"))
    async with connection.stream(
        f"/api/v1/namespaces/{namespace}/pods/{pod}/log",
        about=f"read the log of {pod}/{container}",
        query=query,
        read_timeout=READ_TIMEOUT,
    ) as content:
        async for chunk in content.iter_any():
            yield chunk
