"""What the agent has to say about its cluster, latest wins by key, until the control plane has it.

Filled by the facts, add-on and app watchers; emptied by the link, which says a report again after a
reconnect until the control plane has acknowledged it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from skerry.agent.v1 import report_pb2

ReportKind: TypeAlias = (
    report_pb2.ClusterFacts
    | report_pb2.AddOnStatus
    | report_pb2.AppStatus
    | report_pb2.EnvironmentStatus
)


@dataclass(slots=True)
class _Entry:
    report: report_pb2.Report
    acked: bool = False


class ReportBoard:
    """Reports by key: `facts`, `addons/{name}`, `apps/{uid}`, `environments/{uid}`. One event loop; nothing here waits."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._on_change: Callable[[report_pb2.Report], None] | None = None

    def put(self, key: str, kind: ReportKind) -> None:
        """Say what is so under `key` from now on. Saying the same again sends nothing."""
        report = report_pb2.Report(key=key)
        match kind:
            case report_pb2.ClusterFacts():
                report.facts.CopyFrom(kind)
            case report_pb2.AddOnStatus():
                report.add_on.CopyFrom(kind)
            case report_pb2.AppStatus():
                report.app.CopyFrom(kind)
            case report_pb2.EnvironmentStatus():
                report.environment.CopyFrom(kind)
        self._replace(report)

    def delete(self, key: str) -> None:
        """The thing under `key` is gone. Nothing happens for a key that was never put."""
        if key in self._entries:
            self._replace(report_pb2.Report(key=key, deleted=True))

    def snapshot(self) -> Mapping[str, report_pb2.Report]:
        """What holds now, by key, without what was deleted."""
        return {
            key: entry.report for key, entry in self._entries.items() if not entry.report.deleted
        }

    def pending(self) -> Sequence[report_pb2.Report]:
        """What the control plane has not acknowledged: the link says it after each (re)connect."""
        return [entry.report for entry in self._entries.values() if not entry.acked]

    def acknowledged(self, key: str, version: int) -> None:
        """The control plane has `version` of `key` in its database."""
        entry = self._entries.get(key)
        if entry is not None and entry.report.version <= version:
            entry.acked = True

    def subscribe(self, on_change: Callable[[report_pb2.Report], None] | None) -> None:
        """Have each new report handed to the link's live connection, or to nobody."""
        self._on_change = on_change

    def _replace(self, report: report_pb2.Report) -> None:
        old = self._entries.get(report.key)
        report.version = old.report.version if old else 0
        if old is not None and old.report == report:
            return
        report.version += 1
        self._entries[report.key] = _Entry(report)
        if self._on_change is not None:
            self._on_change(report)
