"""The HTTP routes /healthz, /readyz and /metrics, and those of browsers beside them. Built by `app.py`, served by `edge.server`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import prometheus_client
import structlog
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

Check = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)


def build(
    *, checks: Mapping[str, Check], registry: CollectorRegistry, more: Sequence[Route] = ()
) -> Starlette:
    """An ASGI application. `checks` by name: each raises when the server should get no traffic."""

    async def healthz(_request: Request) -> Response:
        # The event loop turns: that is all a liveness probe may ask, or a full disk would get the server killed.
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        results = {name: await _run(name, check) for name, check in checks.items()}
        ready = all(result == "ok" for result in results.values())
        return JSONResponse({"ready": ready, "checks": results}, status_code=200 if ready else 503)

    async def metrics(_request: Request) -> Response:
        return Response(
            prometheus_client.generate_latest(registry),
            media_type=prometheus_client.CONTENT_TYPE_LATEST,
        )

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            *more,
        ]
    )


async def _run(name: str, check: Check) -> str:
    try:
        await check()
    except Exception as error:  # a probe reports whatever is wrong; nothing is hidden, it is in the answer and the log
        log.warning("not_ready", check=name, error=str(error))
        return str(error) or type(error).__name__
    return "ok"
