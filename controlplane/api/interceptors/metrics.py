"""Second stage: counts and times calls, under the names that gRPC dashboards know (go-grpc-prometheus). Wired by `app.py`."""

import contextlib
from collections.abc import AsyncIterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from controlplane.api.interceptors.call import Call, Context
from controlplane.domain.clock import Clock

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class CallMetrics:
    """Calls begun, ended and in flight. Only methods that exist get here, so the labels stay few."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        labels = ("grpc_type", "grpc_service", "grpc_method")
        self._clock = clock
        self._handled = Counter(
            "grpc_server_handled",
            "Calls that ended, by how.",
            (*labels, "grpc_code"),
            registry=registry,
        )
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "How long calls with one answer took.",
            labels,
            buckets=_BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "grpc_server_in_flight", "Calls being served.", labels, registry=registry
        )

    @contextlib.asynccontextmanager
    async def __call__(self, call: Call, _context: Context) -> AsyncIterator[None]:
        labels = (call.kind, call.service, call.rpc)
        started = self._clock.monotonic()
        in_flight = self._in_flight.labels(*labels)
        in_flight.inc()
        try:
            yield
        finally:
            in_flight.dec()
            self._handled.labels(*labels, call.code.name).inc()
            # A stream lasts as long as its reader likes, so its duration says nothing about the server.
            if call.kind == "unary":
                self._seconds.labels(*labels).observe(self._clock.monotonic() - started)
