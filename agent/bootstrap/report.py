"""An add-on's record as the report that the control plane gets. Pure; used by `reconciler`."""

from __future__ import annotations

from skerry.agent.v1 import report_pb2

from agent.bootstrap.addon import AddOn
from agent.bootstrap.machine import Record


def report_key(name: str) -> str:
    return f"addons/{name}"


def status(add_on: AddOn, record: Record) -> report_pb2.AddOnStatus:
    """What to say about it."""
    report = report_pb2.AddOnStatus(
        name=add_on.name,
        version=add_on.version,
        state=record.state.value,
        message=record.message,
        log_tail=record.log_tail,
        attempts=record.attempts,
        depends_on=add_on.depends_on,
    )
    report.transition_time.FromDatetime(record.changed)
    if record.retry_at is not None:
        report.retry_time.FromDatetime(record.retry_at)
    return report
