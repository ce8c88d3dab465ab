"""What is said about workloads, from recorded objects."""

from __future__ import annotations

import copy

import pytest

from agent.workloads.model import ServiceStatus, State
from agent.workloads.status import app_state, assess, crashed
from tests.unit.agent.workloads.recorded import objects_of, recorded


@pytest.mark.parametrize(
    ("name", "state", "reason", "words"),
    [
        ("ready", State.READY, "", "1 of 1 pods ready"),
        ("job-done", State.READY, "Completed", "ran to its end"),
        ("job-failed", State.FAILED, "JobFailed", "exits with code 3"),
        ("image-not-found", State.FAILED, "ImageNotFound", "no such host"),
        ("invalid-image-name", State.FAILED, "ImageNotFound", "must be lowercase"),
        ("crash-loop", State.PROGRESSING, "CrashLoop", "exits with code 7 (2 restarts)"),
        ("exits-zero", State.PROGRESSING, "CrashLoop", "must keep running"),
        ("oom-killed", State.FAILED, "OOMKilled", "limit of 16Mi"),
        ("unschedulable-memory", State.PROGRESSING, "Unschedulable", "not enough memory"),
        ("unschedulable-selector", State.PROGRESSING, "Unschedulable", "no node has the labels"),
        ("volume-pending", State.PROGRESSING, "VolumePending", "volume nowhere does not exist"),
        ("config-error", State.FAILED, "ConfigError", 'secret "nowhere" not found'),
        ("mount-missing-secret", State.FAILED, "ConfigError", 'secret "nowhere" not found'),
        ("bad-command", State.FAILED, "ConfigError", "/no/such/program"),
        ("init-waiting", State.PROGRESSING, "InitFailing", "waits for db (healthy)"),
        ("init-failing", State.PROGRESSING, "CrashLoop", "seed, which runs before it, exits"),
        ("probe-failing", State.PROGRESSING, "ProbeFailing", "no heartbeat"),
        ("startup-probe-failing", State.PROGRESSING, "ProbeFailing", "connection refused"),
        ("pod-security", State.FAILED, "PodSecurity", "privileged"),
        (
            "quota-exceeded",
            State.DEGRADED,
            "QuotaExceeded",
            "requested pods=1, used pods=1, limit pods=1",
        ),
    ],
)
def test_each_way_a_workload_can_be_has_its_words(
    name: str, state: State, reason: str, words: str
) -> None:
    content = recorded(name)
    found = assess(content["workload"], objects_of(content))
    assert (found.status.state, found.status.reason) == (state, reason)
    assert words in found.status.message


def test_the_last_lines_of_a_crash_are_part_of_the_message() -> None:
    content = recorded("crash-loop")
    objects = objects_of(content)
    (trouble,) = crashed(objects)
    tails = {(trouble.pod, trouble.container, trouble.restarts): "boom"}
    assert "boom" in assess(content["workload"], objects, tails).status.message


def test_a_deployment_changed_but_not_yet_looked_at_is_not_done() -> None:
    content = recorded("ready")
    content["workload"]["metadata"]["generation"] += 1
    assert not assess(content["workload"], objects_of(content)).done


def test_an_old_pod_still_there_keeps_a_rollout_from_being_done() -> None:
    content = recorded("ready")
    content["workload"]["status"]["replicas"] = 2
    found = assess(content["workload"], objects_of(content))
    assert not found.done
    assert found.status.state is State.PROGRESSING


def test_a_pod_that_stops_being_ready_after_the_rollout_degrades_the_service() -> None:
    content = recorded("ready")
    workload = content["workload"]
    workload["spec"]["replicas"] = 2
    workload["status"] |= {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 1}
    second = copy.deepcopy(content["pods"][0])
    second["metadata"] |= {"uid": "other", "name": "other"}
    second["status"]["containerStatuses"][0]["ready"] = False
    content["pods"].append(second)
    found = assess(workload, objects_of(content))
    assert found.status.state is State.DEGRADED
    assert (found.status.ready, found.status.desired) == (1, 2)


def test_scaled_to_zero_is_stopped() -> None:
    content = recorded("ready")
    workload = content["workload"]
    workload["spec"]["replicas"] = 0
    workload["status"] = {"observedGeneration": workload["metadata"]["generation"]}
    content["pods"] = []
    assert assess(workload, objects_of(content)).status.state is State.STOPPED


def test_pods_of_another_workload_do_not_count() -> None:
    content = recorded("ready")
    content["pods"] += recorded("crash-loop")["pods"]
    found = assess(content["workload"], objects_of(content))
    assert [pod.ready for pod in found.status.pods] == [True]


def test_a_pod_being_deleted_is_terminating_and_no_trouble() -> None:
    content = recorded("crash-loop")
    content["pods"][0]["metadata"]["deletionTimestamp"] = "2026-11-23T15:00:00Z"
    (pod,) = assess(content["workload"], objects_of(content)).status.pods
    assert (pod.phase, pod.reason) == ("Terminating", "")


def service(name: str, state: State, *, ready: int = 0, kind: str = "Deployment") -> ServiceStatus:
    return ServiceStatus(name, kind, state, "Why", "because", ready=ready)


@pytest.mark.parametrize(
    ("services", "state"),
    [
        ([], State.STOPPED),
        ([service("a", State.READY, ready=1)], State.READY),
        ([service("a", State.READY, ready=1), service("b", State.STOPPED)], State.READY),
        ([service("a", State.STOPPED)], State.STOPPED),
        ([service("a", State.READY, ready=1), service("b", State.PROGRESSING)], State.PROGRESSING),
        ([service("a", State.READY, ready=1), service("b", State.FAILED)], State.DEGRADED),
        ([service("a", State.PROGRESSING), service("b", State.FAILED)], State.FAILED),
        (
            [service("a", State.READY, ready=1, kind="Job"), service("b", State.FAILED)],
            State.FAILED,
        ),
    ],
)
def test_the_worst_service_speaks_for_the_app(services: list[ServiceStatus], state: State) -> None:
    assert app_state(services)[0] is state


def test_the_message_of_an_app_names_the_service() -> None:
    services = [service("a", State.READY, ready=1), service("b", State.FAILED)]
    assert app_state(services)[1:] == ("Why", "b: because")
