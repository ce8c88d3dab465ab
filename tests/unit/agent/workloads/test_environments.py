"""The guards of an environment as manifests."""

from __future__ import annotations

from agent.workloads.environments import what_remains
from agent.workloads.guards import (
    EnvironmentLimits,
    default_service_account,
    limit_range,
    namespace_manifest,
    quota,
)
from agent.workloads.model import EnvironmentSpec
from agent.workloads.quantity import parse_quantity

SHOP = EnvironmentSpec("shop-prod-abc123", "uid", "default", "shop", "prod")


def test_the_namespace_says_whose_it_is_and_how_safe_its_pods_must_be() -> None:
    assert namespace_manifest(SHOP, "home")["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "skerry",
        "skerry.dev/organization": "default",
        "skerry.dev/project": "shop",
        "skerry.dev/environment": "prod",
        "skerry.dev/environment-uid": "uid",
        "skerry.dev/cluster": "home",
        "pod-security.kubernetes.io/enforce": "baseline",
        "pod-security.kubernetes.io/enforce-version": "latest",
        "pod-security.kubernetes.io/warn": "restricted",
        "pod-security.kubernetes.io/warn-version": "latest",
    }


def test_pods_get_no_token_for_the_api_server() -> None:
    assert default_service_account()["automountServiceAccountToken"] is False


def test_a_container_without_limits_fits_the_limits_of_one() -> None:
    limits = limit_range(EnvironmentLimits())["spec"]["limits"]
    container = next(one for one in limits if one["type"] == "Container")
    for resource, most in container["max"].items():
        requested = parse_quantity(container["defaultRequest"][resource])
        assert requested <= parse_quantity(container["default"][resource]) <= parse_quantity(most)


def test_nothing_opens_a_port_on_a_node_or_a_load_balancer() -> None:
    hard = quota(EnvironmentLimits())["spec"]["hard"]
    assert (hard["services.nodeports"], hard["services.loadbalancers"]) == ("0", "0")


def test_the_quota_limits_what_the_limit_range_gives_defaults_for() -> None:
    """A quota on something pods need not name would refuse pods that do not name it."""
    hard = quota(EnvironmentLimits())["spec"]["hard"]
    named = {name.partition(".")[2] for name in hard if name.startswith(("requests.", "limits."))}
    defaults = EnvironmentLimits().default_limits
    assert named - {"storage"} <= set(defaults)


def test_what_holds_a_namespace_back_is_told() -> None:
    namespace = {
        "status": {
            "conditions": [
                {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "ok"},
                {
                    "type": "NamespaceFinalizersRemaining",
                    "status": "True",
                    "message": "Some content has finalizers remaining: example.com/hold",
                },
            ]
        }
    }
    assert what_remains(namespace) == "Some content has finalizers remaining: example.com/hold"
    assert what_remains({"status": {}}) == ""
