"""What HelmChart, Job and release say together; shapes as helm-controller 0.17 writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.bootstrap.addon import AddOn, HelmSource
from agent.bootstrap.helm import chart_manifest, go_duration, progress, reason_of
from agent.bootstrap.machine import Phase

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = HelmSource(
    release="tiny",
    chart="tiny",
    version="1.0.0",
    repository="http://charts.example",
    target_namespace="tiny",
)
ADD_ON = AddOn(name="tiny", version="1.0.0", source=SOURCE)


def chart(previous_job: str = "", age: float = 5, **fields):
    manifest = chart_manifest(
        ADD_ON,
        SOURCE,
        "skerry-system",
        previous_job=previous_job,
        applied_at=NOW - timedelta(seconds=age),
    )
    return {**manifest, **fields}


def job(uid: str = "new", condition: str = "", **metadata):
    conditions = [{"type": condition, "status": "True"}] if condition else []
    return {"metadata": {"uid": uid, **metadata}, "status": {"conditions": conditions}}


def release(status: str, version: int = 1):
    return {
        "metadata": {"name": f"v{version}", "labels": {"status": status, "version": str(version)}}
    }


def look(chart, job=None, releases=(), spec_hash=ADD_ON.spec_hash):
    return progress(chart, job, releases, spec_hash, NOW)


def test_a_completed_job_and_a_deployed_release_is_success():
    assert look(chart(), job(condition="Complete"), [release("deployed")]).phase is Phase.SUCCEEDED


def test_a_completed_job_without_a_release_is_not_yet_success():
    assert look(chart(), job(condition="Complete")).phase is Phase.RUNNING


def test_only_the_newest_release_counts():
    releases = [release("superseded", 9), release("failed", 10)]
    assert look(chart(), job(condition="Complete"), releases).phase is Phase.FAILED


def test_a_failed_job_is_failure():
    run = look(chart(), job(condition="Failed"))
    assert (run.phase, run.run) == (Phase.FAILED, "new")


def test_the_job_of_the_configuration_before_does_not_count():
    run = look(chart(previous_job="old"), job("old", "Complete"), [release("deployed")])
    assert run.phase is Phase.RUNNING
    assert "take the change up" in run.message


def test_a_job_that_stays_after_a_change_counts_in_the_end():
    run = look(chart(previous_job="old", age=61), job("old", "Complete"), [release("deployed")])
    assert run.phase is Phase.SUCCEEDED


def test_a_stale_failed_condition_of_an_older_job_does_not_count():
    status = {"conditions": [{"type": "Failed", "status": "True", "reason": "Job failed"}]}
    assert look(chart(status=status), job()).phase is Phase.RUNNING


def test_what_the_controller_itself_refuses_is_failure():
    status = {
        "conditions": [
            {
                "type": "Failed",
                "status": "True",
                "reason": "Unsupported version",
                "message": "Only v3",
            }
        ]
    }
    run = look(chart(status=status))
    assert run.phase is Phase.FAILED
    assert run.message == "helm-controller: Unsupported version: Only v3"


def test_another_hash_is_outdated():
    assert look(chart(), job(condition="Complete"), spec_hash="other").phase is Phase.OUTDATED


def test_a_chart_being_deleted_is_removing():
    manifest = chart()
    manifest["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert look(manifest).phase is Phase.REMOVING


def test_no_job_at_first_is_waited_for():
    assert look(chart()).phase is Phase.RUNNING


def test_no_job_for_long_means_no_controller():
    run = look(chart(age=121))
    assert run.phase is Phase.FAILED
    assert "is it running?" in run.message


def test_the_manifest_names_the_configuration_and_the_job_before_it():
    annotations = chart(previous_job="old")["metadata"]["annotations"]
    assert annotations["skerry.dev/spec-hash"] == ADD_ON.spec_hash
    assert annotations["skerry.dev/previous-job"] == "old"


def test_the_manifest_never_reinstalls_by_itself():
    spec = chart()["spec"]
    assert (spec["failurePolicy"], spec["backOffLimit"], spec["timeout"]) == ("abort", 2, "5m0s")


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        ("", ""),
        ("hello\nError: no such host\nbye", "Error: no such host"),
        ("one\n\ntwo\n", "two"),
    ],
)
def test_the_reason_is_the_error_line_else_the_last_one(tail, reason):
    assert reason_of(tail) == reason


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(30, "30s"), (60, "1m0s"), (600, "10m0s"), (3600, "1h0m0s"), (3725, "1h2m5s"), (0, "0s")],
)
def test_durations_are_written_as_the_controller_writes_them(seconds, text):
    assert go_duration(seconds) == text
