"""What the link counts. `session` and `registry` see a protocol; `app` gives the Prometheus one."""

from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_ROUND_TRIPS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LinkMetrics(Protocol):
    """Told by live sessions, now and then and at their end; never for each frame."""

    def session_opened(self) -> None:
        """An agent was admitted."""
        ...

    def session_closed(self, reason: str) -> None:
        """Its connection ended: a `GoAwayReason` without prefix, or `LOST`, `SILENT`, `CLOSED`."""
        ...

    def traffic(self, direction: str, lane: str, frames: int, size: int) -> None:
        """Frames and payload bytes since the last time; direction `in` or `out`."""
        ...

    def round_trip(self, seconds: float) -> None:
        """A measured round trip."""
        ...

    def handshake_refused(self, reason: str) -> None:
        """An agent was asked to come back later: `RATE` or `BUSY`."""
        ...

    def open_refused(self) -> None:
        """A stream was not opened, because of a limit."""
        ...

    def streams_reset(self, reason: str, count: int) -> None:
        """Streams that either end reset since the last time."""
        ...


class NoLinkMetrics:
    """Counts nothing."""

    def session_opened(self) -> None: ...

    def session_closed(self, reason: str) -> None: ...

    def traffic(self, direction: str, lane: str, frames: int, size: int) -> None: ...

    def round_trip(self, seconds: float) -> None: ...

    def handshake_refused(self, reason: str) -> None: ...

    def open_refused(self) -> None: ...

    def streams_reset(self, reason: str, count: int) -> None: ...


class PrometheusLinkMetrics:
    """On a Prometheus registry, without a label for each agent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sessions = Gauge(
            "skerry_link_sessions", "Agents connected to this replica.", registry=registry
        )
        self._closed = Counter(
            "skerry_link_sessions_closed", "Connections that ended.", ["reason"], registry=registry
        )
        self._frames = Counter(
            "skerry_link_frames", "Frames on the link.", ["direction", "lane"], registry=registry
        )
        self._bytes = Counter(
            "skerry_link_payload_bytes",
            "Payload on the link.",
            ["direction", "lane"],
            registry=registry,
        )
        self._round_trip = Histogram(
            "skerry_link_round_trip_seconds",
            "Application pings answered.",
            buckets=_ROUND_TRIPS,
            registry=registry,
        )
        self._handshakes = Counter(
            "skerry_link_handshakes_refused",
            "Agents asked to come back later.",
            ["reason"],
            registry=registry,
        )
        self._opens = Counter(
            "skerry_link_opens_refused",
            "Streams not opened because of a limit.",
            registry=registry,
        )
        self._resets = Counter(
            "skerry_link_streams_reset",
            "Streams ended by a reset of either end.",
            ["reason"],
            registry=registry,
        )

    def session_opened(self) -> None:
        self._sessions.inc()

    def session_closed(self, reason: str) -> None:
        self._sessions.dec()
        self._closed.labels(reason).inc()

    def traffic(self, direction: str, lane: str, frames: int, size: int) -> None:
        self._frames.labels(direction, lane).inc(frames)
        self._bytes.labels(direction, lane).inc(size)

    def round_trip(self, seconds: float) -> None:
        self._round_trip.observe(seconds)

    def streams_reset(self, reason: str, count: int) -> None:
        self._resets.labels(reason).inc(count)

    def handshake_refused(self, reason: str) -> None:
        self._handshakes.labels(reason).inc()

    def open_refused(self) -> None:
        self._opens.inc()
