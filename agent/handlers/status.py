"""Status onto the report board: what the status reporter and the guardian see goes to the control plane."""

from __future__ import annotations

from agent.handlers.messages import app_status_to, guard_status_to
from agent.link.reports import ReportBoard
from agent.workloads.model import AppStatus, GuardStatus


class AppReports:
    """`publish` and `retract` for `StatusReporter`."""

    def __init__(self, board: ReportBoard) -> None:
        self._board = board

    def publish(self, status: AppStatus) -> None:
        message = app_status_to(status)
        message.observe_time.GetCurrentTime()
        self._board.put(f"apps/{status.app_uid}", message)

    def retract(self, app_uid: str) -> None:
        self._board.delete(f"apps/{app_uid}")


class EnvironmentReports:
    """`publish` and `retract` for `Guardian`."""

    def __init__(self, board: ReportBoard) -> None:
        self._board = board

    def publish(self, status: GuardStatus) -> None:
        self._board.put(f"environments/{status.environment.uid}", guard_status_to(status))

    def retract(self, environment_uid: str) -> None:
        self._board.delete(f"environments/{environment_uid}")
