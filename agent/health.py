"""The agent's small HTTP side: /healthz, /readyz and /metrics, in a thread of its own.

Own thread, because its first question is whether the event loop still turns. Run by `app`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from skerry.version import VERSION

from agent.link import LinkCounts, LinkState, ReportBoard

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BEAT_SECONDS = 2.0
STUCK_SECONDS = 30.0


class ListenError(Exception):
    """The address cannot be listened on; the message says why."""


@dataclass(frozen=True, slots=True)
class CertificateView:
    """What the HTTP side may know of the agent's certificate; `last_error` is why the last renewal failed."""

    expire_time: datetime
    renewals: int
    last_error: str


@dataclass(frozen=True, slots=True)
class LinkView:
    """What the HTTP side may know of the link."""

    state: LinkState
    round_trip_seconds: float
    last_error: str
    certificate: CertificateView | None = None
    counts: LinkCounts = field(default_factory=LinkCounts)


class Health(Collector):
    """What is asked for. `beat` runs in the event loop, everything else in the server's thread."""

    def __init__(
        self,
        link: Callable[[], LinkView],
        board: ReportBoard,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._board = board
        self._monotonic = monotonic
        self._last_beat = monotonic()
        self._tasks = 0

    async def beat(self) -> None:
        """Shows that the event loop turns; ends by cancellation."""
        while True:
            self._last_beat = self._monotonic()
            self._tasks = len(asyncio.all_tasks())
            await asyncio.sleep(BEAT_SECONDS)

    def collect(self) -> Iterator[Metric]:
        """For Prometheus."""
        link = self._link()
        info = GaugeMetricFamily("skerry_agent_info", "1, with the version.", labels=["version"])
        info.add_metric([VERSION], 1)
        yield info
        yield GaugeMetricFamily(
            "skerry_agent_link_connected",
            "1 while the link to the control plane is up.",
            value=float(link.state is LinkState.CONNECTED),
        )
        yield GaugeMetricFamily(
            "skerry_agent_link_round_trip_seconds",
            "The link's last measured round trip.",
            value=link.round_trip_seconds,
        )
        yield from _counted(link.counts)
        yield GaugeMetricFamily(
            "skerry_agent_tasks",
            "Tasks of the event loop; they should not grow with time.",
            value=float(self._tasks),
        )
        if link.certificate is not None:
            yield GaugeMetricFamily(
                "skerry_agent_certificate_expire_timestamp_seconds",
                "When the agent's certificate ends, in seconds since 1970.",
                value=link.certificate.expire_time.timestamp(),
            )
            yield CounterMetricFamily(
                "skerry_agent_certificate_renewals",
                "Certificates got since the start.",
                value=link.certificate.renewals,
            )
            yield GaugeMetricFamily(
                "skerry_agent_certificate_renewal_failing",
                "1 while the last try to renew the certificate failed.",
                value=float(bool(link.certificate.last_error)),
            )
        add_ons = GaugeMetricFamily(
            "skerry_agent_add_on_state", "1 for the state it is in.", labels=["add_on", "state"]
        )
        for report in dict(self._board.snapshot()).values():
            if report.HasField("add_on"):
                add_ons.add_metric([report.add_on.name, report.add_on.state], 1)
        yield add_ons

    def answer(self, path: str) -> tuple[str, dict[str, Any]]:
        """Status line and body for a path that is not /metrics."""
        link = self._link()
        body = {"link": link.state.value, "last_error": link.last_error, "version": VERSION}
        match path:
            case "/healthz":
                stuck = self._monotonic() - self._last_beat > STUCK_SECONDS
                return ("503 Service Unavailable" if stuck else "200 OK"), {**body, "stuck": stuck}
            case "/readyz":
                ready = link.state is LinkState.CONNECTED
                return ("200 OK" if ready else "503 Service Unavailable"), body
            case _:
                return "404 Not Found", {"paths": ["/healthz", "/readyz", "/metrics"]}


def _counted(counts: LinkCounts) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "skerry_agent_link_streams", "Streams open on the link.", value=float(counts.streams)
    )
    frames = CounterMetricFamily(
        "skerry_agent_link_frames", "Frames on the link.", labels=["direction", "lane"]
    )
    for key, count in counts.frames.items():
        frames.add_metric(key, count)
    yield frames
    sizes = CounterMetricFamily(
        "skerry_agent_link_payload_bytes", "Payload on the link.", labels=["direction", "lane"]
    )
    for key, size in counts.payload_bytes.items():
        sizes.add_metric(key, size)
    yield sizes
    resets = CounterMetricFamily(
        "skerry_agent_link_streams_reset", "Streams that either end reset.", labels=["reason"]
    )
    for reason, count in counts.resets.items():
        resets.add_metric([reason], count)
    yield resets
    ends = CounterMetricFamily(
        "skerry_agent_link_connections_ended",
        "Connections, and tries to connect, that ended.",
        labels=["reason"],
    )
    for reason, count in counts.ends.items():
        ends.add_metric([reason], count)
    yield ends


class HealthServer:
    """A context manager around the listening thread. Raises ListenError on entering."""

    def __init__(self, address: str, health: Health) -> None:
        self._address = address
        self._health = health
        registry = CollectorRegistry()
        registry.register(health)
        self._metrics = make_wsgi_app(registry)
        self._server: WSGIServer | None = None

    @property
    def port(self) -> int:
        """The port listened on; 0 when not listening."""
        return self._server.server_port if self._server else 0

    def __enter__(self) -> Self:
        host, _, port = self._address.rpartition(":")
        try:
            self._server = make_server(
                host.strip("[]") or "0.0.0.0",  # noqa: S104 - `:port` asks for all interfaces  # nosec B104
                int(port),
                self._serve,
                server_class=_Server,
                handler_class=_Quiet,
            )
        except (OSError, OverflowError) as error:
            raise ListenError(
                f"cannot listen on {self._address}: {error}; choose another --metrics-address"
            ) from error
        Thread(target=self._server.serve_forever, name="health", daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _serve(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            metrics: Iterable[bytes] = self._metrics(environ, start)
            return metrics
        status, body = self._health.answer(path)
        content = json.dumps(body).encode()
        start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
        return [content]


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request: a client that sends nothing must not keep the kubelet's probe waiting."""

    daemon_threads = True

    def server_bind(self) -> None:
        """As the base, without asking DNS for our own name: that can take as long as a start may."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()[:2]
        self.setup_environ()


class _Quiet(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """A probe every few seconds is no news."""
