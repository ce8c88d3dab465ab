"""What a dry run's refusals mean before anything is applied."""

from __future__ import annotations

from typing import Any

import pytest

from agent.kube.errors import (
    ConflictError,
    FieldConflict,
    InvalidError,
    KubeError,
    PodSecurityError,
    QuotaExceededError,
)
from agent.workloads.errors import RefusedError
from agent.workloads.quantity import parse_quantity
from agent.workloads.rehearsal import Rehearsed, check, exceeds_alone, pod_of

MANIFEST: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            ConflictError("apply Service web", (FieldConflict("me", ".spec"),)),
            "OBJECT_OWNED_ELSEWHERE",
        ),
        (QuotaExceededError("apply Pod web: exceeded quota"), "QUOTA_EXCEEDED"),
        (PodSecurityError("apply Pod web: violates PodSecurity"), "PodSecurity"),
        (InvalidError("apply Service web: no"), "CLUSTER_API_ERROR"),
    ],
)
def test_a_refusal_has_its_reason(error: KubeError, reason: str) -> None:
    with pytest.raises(RefusedError, match="nothing was applied") as caught:
        check([Rehearsed(MANIFEST, None, error)])
    assert caught.value.reason == reason


def test_all_refusals_are_told_at_once() -> None:
    errors = [InvalidError("apply Service a: no"), InvalidError("apply Service b: never")]
    with pytest.raises(RefusedError, match=r"Service a: no; Service b: never"):
        check([Rehearsed(MANIFEST, None, error) for error in errors])


def test_nothing_refused_is_no_error() -> None:
    check([Rehearsed(MANIFEST, None)])


def test_a_pod_is_made_as_its_controller_would() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}
    deployment = {
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": template},
    }
    pod = pod_of(deployment)
    assert pod is not None
    assert (pod["kind"], pod["metadata"]["labels"]) == ("Pod", {"a": "b"})
    assert pod["spec"] == {"containers": [], "restartPolicy": "Always"}
    cron_job = {
        **deployment,
        "kind": "CronJob",
        "spec": {"jobTemplate": {"spec": {"template": template}}},
    }
    assert pod_of(cron_job) is not None
    assert pod_of(MANIFEST) is None


@pytest.mark.parametrize(
    ("requested", "used", "limited", "alone"),
    [
        ("pods=1", "pods=10", "pods=10", False),
        ("limits.memory=16Gi", "limits.memory=0", "limits.memory=8Gi", True),
        ("limits.cpu=500m,pods=1", "limits.cpu=8,pods=1", "limits.cpu=8,pods=9", False),
        ("requests.cpu=9", "requests.cpu=0", "requests.cpu=8500m", True),
    ],
)
def test_only_what_alone_exceeds_the_quota_can_never_fit(
    requested: str, used: str, limited: str, alone: bool
) -> None:
    message = f"exceeded quota: skerry, requested: {requested}, used: {used}, limited: {limited}"
    assert exceeds_alone(message) is alone


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1", 1.0), ("500m", 0.5), ("1Gi", 2.0**30), ("2k", 2000.0), ("1e3", 1000.0), ("0", 0.0)],
)
def test_quantities(text: str, amount: float) -> None:
    assert parse_quantity(text) == pytest.approx(amount)


@pytest.mark.parametrize("text", ["", "Gi", "1.5Zi", "one"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(text)
