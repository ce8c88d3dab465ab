"""Health checks → probes.

Docker never restarts an unhealthy container, so a health check becomes a startup probe and a
readiness probe, and a liveness probe only where x-skerry asks for one. A failing startup probe does
kill a container; its patience is therefore an hour at least.
"""

from __future__ import annotations

from typing import Any

from agent.compose.diagnostics import Report
from agent.compose.durations import SECOND, ceil_seconds
from agent.compose.model import Healthcheck, Service

MIN_PERIOD = 10
"""Seconds between readiness probes at least: each is a process in the container."""
STARTUP_PATIENCE = 3_600
MAX_PATIENCE = 7 * 86_400
MIN_PROGRESS = 600
"""Seconds a rollout may make no progress, which is the Kubernetes default."""
DEFAULT_START_INTERVAL = 5


def probes(service: Service, report: Report) -> dict[str, Any]:
    """The probe fields of the container; empty without a health check."""
    check = service.healthcheck
    if check is None or check.disabled:
        return {}
    if not check.command:
        report.warning(
            "CMP241",
            check.origin,
            check.path,
            "there is no test; the image's own health check is not known here",
            "Add healthcheck.test.",
        )
        return {}
    action = {"exec": {"command": list(check.command)}}
    interval = ceil_seconds(check.interval)
    timeout = max(1, ceil_seconds(check.timeout))
    period = max(MIN_PERIOD, interval)
    if interval < MIN_PERIOD:
        report.info(
            "CMP242",
            check.origin,
            check.path,
            f"once started, the check runs every {MIN_PERIOD}s instead of every {interval}s",
        )
    steady = {
        **action,
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": check.retries,
    }
    startup_period = _startup_period(check, interval)
    result: dict[str, Any] = {
        "startupProbe": {
            **action,
            "periodSeconds": startup_period,
            "timeoutSeconds": timeout,
            "failureThreshold": -(-startup_seconds(check) // startup_period),
        },
        "readinessProbe": steady,
    }
    if service.extension.liveness:
        result["livenessProbe"] = steady
    return result


def startup_seconds(check: Healthcheck) -> int:
    """How long a container may take until its first success."""
    return max(STARTUP_PATIENCE, _docker_patience(check))


def progress_deadline(service: Service) -> int:
    """Seconds until a rollout that makes no progress counts as failed."""
    check = service.healthcheck
    if check is None or check.disabled:
        return MIN_PROGRESS
    return max(MIN_PROGRESS, _docker_patience(check) + 60)


def _docker_patience(check: Healthcheck) -> int:
    """Seconds until Docker would call a container unhealthy."""
    docker = ceil_seconds(check.start_period) + ceil_seconds(check.interval) * check.retries
    return min(docker, MAX_PATIENCE)


def _startup_period(check: Healthcheck, interval: int) -> int:
    if check.start_interval is not None:
        return max(1, ceil_seconds(check.start_interval))
    return max(1, min(DEFAULT_START_INTERVAL, interval, ceil_seconds(check.interval or SECOND)))
