"""Which services are daemons (Deployment) and which run to completion (Job).

No restart policy means a daemon: nearly all real files leave it out. `no` and `on-failure` mean a
Job only where nothing says the service is meant to stay up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.compose.diagnostics import Report
from agent.compose.model import Condition, RestartPolicy, Service
from agent.compose.result import WorkloadKind

_DEFAULT_ATTEMPTS = 6
_MAX_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """How often a Job is tried."""

    restart_policy: str
    backoff_limit: int


def workload_kind(service: Service, active: Mapping[str, Service], report: Report) -> WorkloadKind:
    """Deployment, Job or CronJob; contradictions in the file are reported."""
    conditions = {
        d.condition for s in active.values() for d in s.depends_on if d.service == service.name
    }
    policy = service.restart.policy
    if service.extension.cron:
        if conditions:
            service.fields.error(
                "CMP502", "x-skerry", "other services depend on it, but it runs by a schedule"
            )
        return WorkloadKind.CRON_JOB
    if Condition.COMPLETED in conditions:
        if policy in (RestartPolicy.ALWAYS, RestartPolicy.UNLESS_STOPPED):
            report.warning(
                "CMP205",
                service.restart.origin or service.origin,
                service.restart.path,
                f'"{policy}" contradicts services that wait for it to complete; it is run once',
                'Write restart: "no".',
            )
        return WorkloadKind.JOB
    if service.job_mode:
        return WorkloadKind.JOB
    if policy not in (RestartPolicy.NO, RestartPolicy.ON_FAILURE):
        return WorkloadKind.DEPLOYMENT
    reason = _stays_up(service, conditions)
    if reason is None:
        return WorkloadKind.JOB
    report.warning(
        "CMP206",
        service.restart.origin or service.origin,
        service.restart.path,
        f'"{policy}" is for services that end, but {reason}; it is kept running',
        "Remove the restart policy, or what says that it stays up.",
    )
    return WorkloadKind.DEPLOYMENT


def job_policy(service: Service) -> JobPolicy:
    """`no` is never tried again; `on-failure[:N]` N times."""
    if service.restart.policy is RestartPolicy.NO:
        return JobPolicy("Never", 0)
    attempts = service.restart.attempts
    if attempts is None:
        attempts = service.hints.attempts
    limit = _DEFAULT_ATTEMPTS if attempts is None else min(attempts, _MAX_ATTEMPTS)
    return JobPolicy("OnFailure", limit)


def _stays_up(service: Service, conditions: set[Condition]) -> str | None:
    if service.ports or service.exposed:
        return "it has ports"
    if service.healthcheck is not None and not service.healthcheck.disabled:
        return "it has a health check"
    if conditions:
        return "other services depend on it"
    return None
