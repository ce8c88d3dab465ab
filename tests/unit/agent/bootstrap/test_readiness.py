"""Whether an object works, and why a pod does not."""

from __future__ import annotations

import pytest

from agent.bootstrap.readiness import failed_container, pod_trouble, trouble
from agent.kube import ObjectRef

DEPLOYMENT = ObjectRef("apps/v1", "Deployment", "web", "shop")
STATEFUL_SET = ObjectRef("apps/v1", "StatefulSet", "db", "shop")
CRD = ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "things.example.com")


def workload(replicas=2, generation=3, observed=3, **status):
    return {
        "metadata": {"generation": generation},
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": observed, **status},
    }


def pod(*containers, conditions=()):
    return {
        "metadata": {"name": "p"},
        "status": {"conditions": list(conditions), "containerStatuses": list(containers)},
    }


def test_what_is_not_there_is_not_ready():
    assert trouble(DEPLOYMENT, None) == "Deployment web in shop is not there"


def test_all_pods_of_the_new_version_available_is_ready():
    assert trouble(DEPLOYMENT, workload(updatedReplicas=2, availableReplicas=2)) == ""


def test_old_pods_do_not_count():
    found = workload(updatedReplicas=1, availableReplicas=2)
    assert (
        trouble(DEPLOYMENT, found) == "Deployment web in shop: 1 of 2 pods are of the new version"
    )


def test_a_change_that_its_controller_has_not_seen_is_not_ready():
    found = workload(observed=2, updatedReplicas=2, availableReplicas=2)
    assert trouble(DEPLOYMENT, found) == "Deployment web in shop waits for its controller"


def test_a_stateful_set_needs_its_pods_ready():
    assert trouble(STATEFUL_SET, workload(1, updatedReplicas=1)).endswith("0 of 1 pods are ready")
    assert trouble(STATEFUL_SET, workload(1, updatedReplicas=1, readyReplicas=1)) == ""


@pytest.mark.parametrize(("status", "text"), [("True", ""), ("False", "is not established")])
def test_a_crd_is_ready_once_established(status, text):
    found = {"metadata": {}, "status": {"conditions": [{"type": "Established", "status": status}]}}
    assert text in trouble(CRD, found)
    assert bool(trouble(CRD, found)) == bool(text)


def test_a_missing_image_is_told():
    waiting = {
        "name": "c",
        "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}},
    }
    assert pod_trouble(pod(waiting)) == "pod p: ErrImagePull: not found"


def test_an_unschedulable_pod_is_told():
    condition = {"type": "PodScheduled", "status": "False", "message": "Insufficient memory"}
    assert pod_trouble(pod(conditions=[condition])) == "pod p cannot be placed: Insufficient memory"


def test_a_pod_that_is_starting_is_no_trouble():
    assert (
        pod_trouble(pod({"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}})) == ""
    )


def test_a_crash_loop_names_the_exit_code_and_the_log_to_read():
    crashing = {
        "name": "c",
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 3}},
    }
    assert pod_trouble(pod(crashing)) == "pod p ends again and again (exit code 3)"
    assert failed_container(pod(crashing)) == ("c", True)


def test_a_container_that_just_failed_is_read_as_it_is():
    ended = {"name": "c", "state": {"terminated": {"exitCode": 1}}}
    assert failed_container(pod(ended)) == ("c", False)


def test_a_running_container_has_no_failure_to_read():
    assert failed_container(pod({"name": "c", "state": {"running": {}}})) is None
