"""Which run of a container there is to read."""

from __future__ import annotations

from typing import Any

import pytest

from agent.workloads.logfollow import begun_run, containers_of
from tests.unit.agent.workloads.recorded import recorded


@pytest.mark.parametrize(
    ("status", "run"),
    [
        (None, None),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, None),
        ({"state": {"running": {}}, "restartCount": 0}, 0),
        ({"state": {"terminated": {"exitCode": 1}}, "restartCount": 0}, 0),
        ({"state": {"running": {}}, "lastState": {"terminated": {}}, "restartCount": 2}, 2),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {}},
                "restartCount": 3,
            },
            3,
        ),
    ],
)
def test_the_newest_run_that_has_begun(status: dict[str, Any] | None, run: int | None) -> None:
    assert begun_run(status) == run


@pytest.mark.parametrize(("name", "run"), [("crash-loop", 2), ("ready", 0), ("init-waiting", None)])
def test_runs_of_recorded_pods(name: str, run: int | None) -> None:
    (status,) = recorded(name)["pods"][0]["status"]["containerStatuses"]
    assert begun_run(status) == run


def test_containers_that_prepare_are_not_the_apps_own() -> None:
    assert containers_of(recorded("init-waiting")["pods"][0]) == ["main"]
