"""docs/link.md says what is so: its limits and its metrics are those of the code."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

from prometheus_client import CollectorRegistry
from skerry.wire import limits

from controlplane.link.metrics import PrometheusLinkMetrics

PAGE = (Path(__file__).parents[4] / "docs" / "link.md").read_text()
CONSTANTS = (
    "MAX_QUEUED_FRAMES",
    "MAX_CONTROL_FRAMES",
    "MAX_UNACKNOWLEDGED_COMMANDS",
    "MAX_WAITING_FOR_STORE",
    "SEND_BUFFER",
)


def test_every_limit_is_documented_with_its_value() -> None:
    documented = {
        name: int(value)
        for name, value in re.findall(r"^\| .*\(`(\w+)`\) \| (\d+) \|", PAGE, re.MULTILINE)
    }
    real = asdict(limits.Limits()) | {name: getattr(limits, name) for name in CONSTANTS}
    assert documented == real


def test_every_metric_is_documented_with_its_labels() -> None:
    registry = CollectorRegistry()
    PrometheusLinkMetrics(registry)
    real = {
        collector._name: tuple(collector._labelnames)  # type: ignore[attr-defined]
        for collector in registry._collector_to_names
    }
    assert documented_metrics("skerry_link_") == real


def documented_metrics(prefix: str) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(skerry_\w+)` \| (.*?) \|", PAGE, re.MULTILINE)
        if name.startswith(prefix)
    }


def test_the_memory_bound_is_the_documented_one() -> None:
    assert limits.memory_bound(limits.Limits()) == 32 * limits.MIB
    assert "payload for one connection: 32 MiB" in PAGE
