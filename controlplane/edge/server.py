"""Serves the HTTP routes with uvicorn in a loop that belongs to somebody else. Started and stopped by `app.py`."""

import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp


class EdgeServer:
    """One HTTP listener. The constructor binds, so that a taken port is an error before anything runs."""

    def __init__(self, application: ASGIApp, *, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = _QuietServer(config)

    async def run(self) -> None:
        """Serves until `stop`."""
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Makes `run` return soon."""
        self._server.should_exit = True

    def close(self) -> None:
        """Frees the port when `run` was never called; harmless otherwise."""
        self._socket.close()


class _QuietServer(uvicorn.Server):
    """Leaves signals to the process that embeds it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
