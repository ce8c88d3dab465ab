"""What is reported of an app, in the light of how its last deploy ended."""

from __future__ import annotations

from agent.workloads.inventory import Failed, Inventory, Stage
from agent.workloads.model import ServiceStatus, State
from agent.workloads.reporter import app_status, newest_of_each_service

READY = ServiceStatus("web", "Deployment", State.READY, ready=1, desired=1)
BROKEN = ServiceStatus("web", "Deployment", State.FAILED, "CrashLoop", "exits with code 1")


def record(stage: Stage, revision: int, failed: Failed | None = None) -> Inventory:
    return Inventory("demo", "uid", revision, "d", "h", stage, (), failed)


def test_a_ready_app() -> None:
    status = app_status(record(Stage.READY, 3), "shop", [READY])
    assert (status.state, status.revision, status.app_uid) == (State.READY, 3, "uid")


def test_an_old_revision_that_serves_after_a_failed_deploy_is_degraded() -> None:
    failed = Failed(4, 10, "ImageNotFound", "revision 4 failed")
    status = app_status(record(Stage.FAILED, 3, failed), "shop", [READY])
    assert (status.state, status.reason) == (State.DEGRADED, "ImageNotFound")
    assert status.revision == 3
    assert "revision 4 failed" in status.message


def test_a_first_deploy_that_failed_is_failed_whatever_its_pods_do() -> None:
    failed = Failed(1, 10, "CrashLoop", "revision 1 failed")
    status = app_status(record(Stage.FAILED, 0, failed), "shop", [READY])
    assert (status.state, status.reason) == (State.FAILED, "CrashLoop")


def test_trouble_of_its_own_wins_over_an_old_failure() -> None:
    failed = Failed(4, 10, "ImageNotFound", "revision 4 failed")
    status = app_status(record(Stage.FAILED, 3, failed), "shop", [BROKEN])
    assert (status.state, status.reason) == (State.FAILED, "CrashLoop")


def test_a_first_deploy_under_way_is_progressing() -> None:
    assert app_status(record(Stage.APPLYING, 0), "shop", []).state is State.PROGRESSING


def test_only_the_newest_job_of_a_service_is_news() -> None:
    def job(name: str, day: int) -> dict[str, object]:
        return {
            "kind": "Job",
            "metadata": {
                "name": name,
                "labels": {"skerry.dev/service": "migrate"},
                "creationTimestamp": f"2026-11-{day:02d}T00:00:00Z",
            },
        }

    assert newest_of_each_service([job("new", 9), job("old", 3)]) == [job("new", 9)]
