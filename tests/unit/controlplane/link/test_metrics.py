"""What the link tells Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from controlplane.link.metrics import PrometheusLinkMetrics


def test_sessions_traffic_round_trips_and_resets_are_counted() -> None:
    registry = CollectorRegistry()
    metrics = PrometheusLinkMetrics(registry)
    metrics.session_opened()
    metrics.session_opened()
    metrics.session_closed("SILENT")
    metrics.traffic("in", "bulk", 3, 300)
    metrics.round_trip(0.02)
    metrics.streams_reset("FLOW_CONTROL", 2)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("skerry_link_sessions") == 1
    assert value("skerry_link_sessions_closed_total", reason="SILENT") == 1
    assert value("skerry_link_frames_total", direction="in", lane="bulk") == 3
    assert value("skerry_link_payload_bytes_total", direction="in", lane="bulk") == 300
    assert value("skerry_link_round_trip_seconds_count") == 1
    assert value("skerry_link_streams_reset_total", reason="FLOW_CONTROL") == 2
