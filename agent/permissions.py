"""What the agent may ask of the API server, each right with its reason.

The one list: `doctor` checks it, and `python -m agent.permissions > deploy/agent/rbac.yaml` writes the
roles that grant exactly it (a test compares).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

READ = ("get", "list", "watch")
# Server-side apply is `patch`, and `create` when the object is not there yet.
APPLY = ("get", "list", "watch", "create", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Rule:
    """`own_namespace` limits it to the agent's own namespace; otherwise it holds in all."""

    reason: str
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    own_namespace: bool = False


RULES: tuple[Rule, ...] = (
    Rule(
        "one namespace an environment, an add-on and the policy probe", "", ("namespaces",), APPLY
    ),
    Rule(
        "what guards an environment",
        "",
        ("resourcequotas", "limitranges", "serviceaccounts"),
        APPLY,
    ),
    Rule(
        "isolation of environments, and the probe for it",
        "networking.k8s.io",
        ("networkpolicies",),
        APPLY,
    ),
    Rule(
        "apps and manifests of add-ons; secrets also for helm's release records",
        "",
        ("services", "configmaps", "secrets", "persistentvolumeclaims"),
        APPLY,
    ),
    Rule("apps and manifests of add-ons", "apps", ("deployments", "statefulsets"), APPLY),
    Rule("one-off services, helm's install jobs", "batch", ("jobs", "cronjobs"), APPLY),
    Rule("routes of apps", "networking.k8s.io", ("ingresses",), APPLY),
    Rule("states of rollouts; the policy probe's pods", "", ("pods",), (*READ, "create", "patch")),
    Rule("logs of apps, the reason why a job fails", "", ("pods/log",), ("get",)),
    # Since Kubernetes 1.35 a WebSocket needs `create`, before it `get`.
    Rule("terminals into apps' containers", "", ("pods/exec",), ("get", "create")),
    Rule("why a pod does not start", "", ("events",), READ),
    Rule("rollouts", "apps", ("replicasets",), READ),
    Rule("add-ons somebody else installed", "apps", ("daemonsets",), READ),
    Rule("facts; addresses that apps must not reach", "", ("nodes",), READ),
    Rule(
        "the service addresses that apps must not reach directly",
        "networking.k8s.io",
        ("servicecidrs",),
        READ,
    ),
    Rule(
        "the API server's addresses, which apps must not reach, and the name servers', which they must",
        "discovery.k8s.io",
        ("endpointslices",),
        READ,
    ),
    Rule("facts", "storage.k8s.io", ("storageclasses",), READ),
    Rule("is an add-on's API there", "apiextensions.k8s.io", ("customresourcedefinitions",), READ),
    Rule("is helm-controller at work", "helm.cattle.io", ("helmcharts",), READ),
    # helm-controller installs charts as cluster-admin: this right is as good as that one.
    Rule(
        "add-ons that are charts",
        "helm.cattle.io",
        ("helmcharts",),
        ("create", "patch", "delete"),
        own_namespace=True,
    ),
)

NAMESPACE = "skerry-system"
NAME = "skerry-agent"
_HEAD = """\
# Written by `python -m agent.permissions`; change the list there.
#
# The agent is no cluster-admin, but it is powerful: it reads and writes the secrets of all environments,
# and a HelmChart is installed by helm-controller as cluster-admin. Whoever controls the agent, or may
# write HelmCharts or run pods in its namespace, controls the cluster.
"""


def render() -> str:
    """`deploy/agent/rbac.yaml`."""
    cluster = [rule for rule in RULES if not rule.own_namespace]
    own = [rule for rule in RULES if rule.own_namespace]
    return _HEAD + "---\n".join(
        (
            _object("v1", "ServiceAccount", f"  name: {NAME}\n  namespace: {NAMESPACE}\n", ""),
            _object(_RBAC, "ClusterRole", f"  name: {NAME}\n", _rules(cluster)),
            _object(_RBAC, "ClusterRoleBinding", f"  name: {NAME}\n", _binding("ClusterRole")),
            _object(_RBAC, "Role", f"  name: {NAME}\n  namespace: {NAMESPACE}\n", _rules(own)),
            _object(
                _RBAC,
                "RoleBinding",
                f"  name: {NAME}\n  namespace: {NAMESPACE}\n",
                _binding("Role"),
            ),
        )
    )


_RBAC = "rbac.authorization.k8s.io/v1"


def _object(api_version: str, kind: str, metadata: str, rest: str) -> str:
    return f"apiVersion: {api_version}\nkind: {kind}\nmetadata:\n{metadata}{rest}"


def _rules(rules: Iterable[Rule]) -> str:
    return "rules:\n" + "".join(
        f"# {rule.reason}\n"
        f'- apiGroups: ["{rule.group}"]\n'
        f"  resources: [{', '.join(rule.resources)}]\n"
        f"  verbs: [{', '.join(rule.verbs)}]\n"
        for rule in rules
    )


def _binding(kind: str) -> str:
    return (
        f"roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: {NAME}}}\n"
        f"subjects:\n- {{kind: ServiceAccount, name: {NAME}, namespace: {NAMESPACE}}}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(render())
