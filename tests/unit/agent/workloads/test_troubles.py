"""The wording of single reasons, where recordings cannot show each case."""

from __future__ import annotations

import pytest

from agent.workloads.troubles import Reason, pod_trouble, quota_message, workload_trouble
from tests.unit.agent.workloads.recorded import recorded


def test_a_pod_that_is_ready_has_no_trouble() -> None:
    assert pod_trouble(recorded("ready")["pods"][0]) is None


def test_a_pod_that_has_done_its_work_has_no_trouble() -> None:
    assert pod_trouble(recorded("job-done")["pods"][0]) is None


def test_a_job_whose_pod_ended_well_a_moment_ago_has_not_crashed() -> None:
    pod = recorded("job-done")["pods"][0]
    pod["status"]["phase"] = "Running"
    pod["status"]["containerStatuses"][0]["ready"] = False
    trouble = pod_trouble(pod)
    assert trouble is None or not trouble.crashed


def test_an_evicted_pod_says_why() -> None:
    pod = recorded("ready")["pods"][0]
    pod["status"] = {"phase": "Failed", "reason": "Evicted", "message": "low on disk"}
    trouble = pod_trouble(pod)
    assert trouble is not None
    assert (trouble.reason, "low on disk" in trouble.message) == (Reason.EVICTED, True)


def test_a_back_off_shows_what_the_registry_answered_before() -> None:
    content = recorded("image-not-found")
    pod = content["pods"][0]
    waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    waiting |= {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    trouble = pod_trouble(pod, content["events"])
    assert trouble is not None
    assert "no such host" in trouble.message


def test_without_events_a_probe_that_fails_is_only_not_ready() -> None:
    trouble = pod_trouble(recorded("probe-failing")["pods"][0])
    assert trouble is not None
    assert trouble.reason is Reason.STARTING


def test_the_newest_event_speaks() -> None:
    content = recorded("probe-failing")
    unhealthy = next(e for e in content["events"] if e["reason"] == "Unhealthy")
    newer = {**unhealthy, "lastTimestamp": "2099-01-01T00:00:00Z", "message": "newer"}
    trouble = pod_trouble(content["pods"][0], [newer, *content["events"]])
    assert trouble is not None
    assert trouble.message == "newer"


def test_a_very_long_message_is_cut() -> None:
    pod = recorded("config-error")["pods"][0]
    waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    waiting["message"] = "x" * 100_000
    trouble = pod_trouble(pod)
    assert trouble is not None
    assert len(trouble.message) < 2_000


def test_a_healthy_deployment_has_no_trouble() -> None:
    assert workload_trouble(recorded("ready")["workload"]) is None


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            'pods "a" is forbidden: exceeded quota: skerry, requested: limits.memory=2Gi,pods=1, '
            "used: limits.memory=7Gi,pods=3, limited: limits.memory=8Gi,pods=3",
            "requested limits.memory=2Gi,pods=1, used limits.memory=7Gi,pods=3, "
            "limit limits.memory=8Gi,pods=3",
        ),
        ("exceeded quota in words nobody expects", "in words nobody expects"),
    ],
)
def test_a_quota_refusal_tells_its_numbers(message: str, words: str) -> None:
    assert words in quota_message(message)
