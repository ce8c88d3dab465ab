"""What an app takes of its environment's quota, and what is said when it is too much."""

from __future__ import annotations

from typing import Any

from agent.workloads.budget import needs, shortage
from agent.workloads.guards import EnvironmentLimits

LIMITS = EnvironmentLimits(
    default_limits={"cpu": "1", "memory": "512Mi"},
    default_requests={"cpu": "25m", "memory": "64Mi"},
)


def deployment(
    replicas: int = 1, init: list[dict[str, Any]] | None = None, **resources: Any
) -> dict[str, Any]:
    container = {"name": "c", "resources": resources}
    pod = {"containers": [container], "initContainers": init or []}
    return {"kind": "Deployment", "spec": {"replicas": replicas, "template": {"spec": pod}}}


def quota(used: dict[str, str] | None = None, **hard: str) -> dict[str, Any]:
    named = {key.replace("_", "."): value for key, value in hard.items()}
    return {"spec": {"hard": named}, "status": {"hard": named, "used": used or {}}}


def test_every_replica_counts_with_the_defaults_of_the_environment() -> None:
    found = needs([deployment(3)], LIMITS)
    assert found["pods"] == 3
    assert found["requests.memory"] == 3 * 64 * 2**20
    assert found["limits.cpu"] == 3


def test_a_limit_without_a_request_is_the_request_too() -> None:
    assert needs([deployment(limits={"memory": "1Gi"})], LIMITS)["requests.memory"] == 2**30


def test_a_larger_init_container_decides() -> None:
    init = [{"name": "i", "resources": {"requests": {"memory": "1Gi"}}}]
    assert needs([deployment(init=init)], LIMITS)["requests.memory"] == 2**30


def test_volumes_and_objects_count() -> None:
    claim = {
        "kind": "PersistentVolumeClaim",
        "spec": {"resources": {"requests": {"storage": "5Gi"}}},
    }
    found = needs([claim, {"kind": "Secret"}, {"kind": "Service", "spec": {}}], LIMITS)
    assert (found["requests.storage"], found["persistentvolumeclaims"]) == (5 * 2**30, 1)
    assert (found["secrets"], found["services"]) == (1, 1)


def test_a_refusal_has_all_the_numbers() -> None:
    wanted = needs([deployment(requests={"memory": "3Gi"})], LIMITS)
    found = shortage(wanted, {}, quota({"requests.memory": "6Gi"}, requests_memory="8Gi"))
    assert found == ["requests.memory: 3Gi wanted, 2Gi left (8Gi in all, 6Gi used by others)"]


def test_what_the_app_has_already_is_its_own() -> None:
    app = needs([deployment(2)], LIMITS)
    assert shortage(app, app, quota({"pods": "2"}, pods="2")) == []


def test_an_app_that_asks_for_less_than_it_has_is_let_through() -> None:
    """A quota that was lowered below what is used must not keep anybody from scaling down."""
    own = needs([deployment(5)], LIMITS)
    assert shortage(needs([deployment(4)], LIMITS), own, quota({"pods": "5"}, pods="2")) == []
